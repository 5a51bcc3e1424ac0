-- SPDX-License-Identifier: MIT
local site = handlers("rate_limit.lua", {env = {RATE = "1", BURST = "3"}, now = 1700000000})

local function ask(key, ip)
  return site:request{headers = {["X-Api-Key"] = key}, ip = ip}
end

test("a key has its burst, then its rate", function()
  for _ = 1, 3 do equal(ask("a").answered, false) end
  local r = ask("a")
  equal(r.status, 429)
  equal(r.headers["retry-after"], "1")
  equal(r.headers.ratelimit, '"api";r=0;t=1')
  equal(site:metric("rate_limited"), 1)
  site:advance(1)
  equal(ask("a").answered, false)
  equal(ask("a").status, 429)
end)

test("others are not concerned; without a key the address counts", function()
  equal(ask("b").answered, false)
  for _ = 1, 3 do equal(ask(nil, "192.0.2.7").answered, false) end
  equal(ask(nil, "192.0.2.7").status, 429)
  equal(ask(nil, "192.0.2.8").answered, false)
end)
