-- SPDX-License-Identifier: MIT
local site = handlers("geo_route.lua", {geo = {
  ["192.0.2.1"] = {country = "AT"}, ["192.0.2.2"] = {country = "US"}}})

test("the language that is asked for goes before that of the country", function()
  local function to(ip, languages)
    return site:request{ip = ip, headers = {["Accept-Language"] = languages}}.headers.location
  end
  equal(to("192.0.2.1"), "/de/")
  equal(to("192.0.2.1", "fr-CH, de;q=0.5"), "/fr/")
  equal(to("192.0.2.1", "xx"), "/de/")
  equal(to("192.0.2.2"), "/en/")
  equal(to("192.0.2.3"), "/en/")
end)

test("the shop is cached by zone, whatever a client claims", function()
  local r = site:request{url = "http://a/shop/1", ip = "192.0.2.1", headers = {["X-Zone"] = "world"}}
  equal(r.request.key, "union")
  equal(r.request.headers["x-zone"], "union")
  r = site:request{url = "http://a/shop/1", ip = "192.0.2.3"}
  equal(r.request.key, "world")
  equal(site:request{url = "http://a/other"}.request.key, "")
end)
