-- SPDX-License-Identifier: MIT
local site = handlers("image_format.lua")

local function target(path, accept)
  return site:request{url = "https://example.com" .. path, headers = {Accept = accept}}.request.target
end

test("the best format that the browser takes", function()
  equal(target("/a.jpg?w=1", "image/avif,image/webp,*/*;q=0.8"), "/a.avif?w=1")
  equal(target("/a.png", "image/webp,*/*"), "/a.webp")
  equal(target("/a.jpeg", "image/*"), "/a.jpeg")
end)

test("one that it does not want is not sent", function()
  equal(target("/a.jpg", "image/avif;q=0, image/webp;q=0.5"), "/a.webp")
  equal(target("/a.jpg", "image/avif;q=0.0, image/jpeg"), "/a.jpg")
end)

test("what is no picture stays, and so does one without Accept", function()
  equal(target("/a.css", "image/avif"), "/a.css")
  equal(site:request{url = "https://example.com/a.jpg"}.request.target, "/a.jpg")
end)

test("pictures say that they vary, other answers do not", function()
  local response = {headers = {["Content-Type"] = "image/webp"}}
  equal(site:request{response = response}.headers["vary"], "Accept")
  response.headers["Content-Type"] = "text/css"
  equal(site:request{response = response}.headers["vary"], nil)
end)
