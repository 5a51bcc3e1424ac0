-- SPDX-License-Identifier: MIT
local site = handlers("maintenance.lua", {env = {KEY = "opensesame"}})

test("visitors get the page", function()
  local r = site:request{url = "https://example.com/any"}
  equal(r.answered, true)
  equal(r.status, 503)
  equal(r.headers["retry-after"], "600")
  assert(r.body:find("back soon"))
end)

test("those with the key are let through", function()
  equal(site:request{headers = {Cookie = "maintenance=opensesame"}}.answered, false)
end)
