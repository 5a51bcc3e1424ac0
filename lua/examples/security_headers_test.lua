-- SPDX-License-Identifier: MIT
local site = handlers("security_headers.lua")

test("headers are added and what tells of the origin is removed", function()
  local r = site:request{response = {headers = {["X-Powered-By"] = "PHP", Server = "x"}}}
  equal(r.error, nil)
  equal(r.headers["x-content-type-options"], "nosniff")
  equal(r.headers["x-powered-by"], nil)
  equal(r.headers.server, nil)
end)

test("what the origin says itself stays", function()
  local r = site:request{response = {headers = {["X-Frame-Options"] = "SAMEORIGIN"}}}
  equal(r.headers["x-frame-options"], "SAMEORIGIN")
end)
