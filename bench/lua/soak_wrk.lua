-- SPDX-License-Identifier: MIT
-- wrk's side of the soak: the kinds in turn, with many different names; one in 1000 fails.
local KINDS = {"/answer", "/json", "/dict", "/digest", "/closures", "/1024"}
local n = 0

request = function()
  n = n + 1
  local path = n % 1000 == 0 and "/error" or KINDS[n % #KINDS + 1]
  local query = path == "/1024" and "" or "?name=" .. n % 100000
  return wrk.format("GET", path .. query)
end
