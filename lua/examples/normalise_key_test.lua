-- SPDX-License-Identifier: MIT
local site = handlers("normalise_key.lua")

local function target(path)
  local r = site:request{url = "https://example.com" .. path}
  equal(r.error, nil)
  return r.request.target
end

test("arguments are put in order, campaigns and empty ones go", function()
  equal(target("/list?b=2&utm_source=x&a=1&fbclid=y&c="), "/list?a=1&b=2")
  equal(target("/list?utm_medium=x"), "/list")
  equal(target("/list"), "/list")
end)

test("values of one name keep their order", function()
  equal(target("/list?z=1&a=2&a=1"), "/list?a=2&a=1&z=1")
end)

test("a value means what it meant", function()
  equal(target("/s?q=a%26b+c&p=%2F"), "/s?p=%2F&q=a%26b%20c")
end)

test("the index page is its folder", function()
  equal(target("/docs/index.html?x=1"), "/docs/?x=1")
end)
