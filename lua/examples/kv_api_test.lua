-- SPDX-License-Identifier: MIT
local asked
local function origin(url, options)
  asked[#asked + 1] = url
  equal(options.method, "GET")
  equal(options.cache, false)
  if url == "/api/items/gone" then return {status = 404, body = "no"} end
  if url == "/api/items/down" then return nil, "timeout" end
  return {body = '{"id": "' .. url:match("%w+$") .. '"}'}
end
local site = handlers("kv_api.lua", {env = {TTL = "30"}, now = 1700000000, fetch = origin})

test("the first asks the origin, others do not, until the ttl is over", function()
  asked = {}
  local r = site:request{url = "http://a/api/items/7"}
  equal(r.body, '{"id": "7"}')
  equal(r.headers["x-from"], "origin")
  equal(site:kv("items", "7"), '{"id": "7"}')
  equal(site:request{url = "http://a/api/items/7"}.headers["x-from"], "edge")
  equal(#asked, 1)
  site:advance(31)
  equal(site:request{url = "http://a/api/items/7"}.headers["x-from"], "origin")
  equal(#asked, 2)
end)

test("a write makes the edge forget", function()
  asked = {}
  site:request{url = "http://a/api/items/8"}
  equal(site:request{method = "PUT", url = "http://a/api/items/8"}.answered, false)
  equal(site:kv("items", "8"), nil)
end)

test("what the origin does not have, or does not say, is not kept", function()
  asked = {}
  equal(site:request{url = "http://a/api/items/gone"}.status, 404)
  equal(site:kv("items", "gone"), nil)
  local r = site:request{url = "http://a/api/items/down"}
  equal(r.status, 503)
  equal(r.log[1], "items: timeout")
  equal(site:request{url = "http://a/other"}.answered, false)
end)
