-- SPDX-License-Identifier: MIT
local site = handlers("redirect_map.lua", {kv = {redirects = {
  ["/old"] = "301 /new", ["/away"] = "308 https://example.org/x?a=1", ["/broken"] = "somewhere"}}})

test("what is in the map is sent on, with its query", function()
  local r = site:request{url = "http://a/old?b=2"}
  equal(r.status, 301)
  equal(r.headers.location, "/new?b=2")
  r = site:request{url = "http://a/away?b=2"}
  equal(r.status, 308)
  equal(r.headers.location, "https://example.org/x?a=1&b=2")
  equal(site:request{url = "http://a/old"}.headers.location, "/new")
end)

test("what is not goes through", function()
  equal(site:request{url = "http://a/other"}.answered, false)
  equal(site:request{url = "http://a/" .. ("x"):rep(300)}.answered, false)
end)

test("an entry that is none is told and does no harm", function()
  local r = site:request{url = "http://a/broken"}
  equal(r.answered, false)
  equal(r.log[1], "redirects: not CODE TARGET under /broken")
end)
