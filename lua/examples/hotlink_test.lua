-- SPDX-License-Identifier: MIT
local site = handlers("hotlink.lua", {env = {HOSTS = "partner.example"}})

local function status(path, headers)
  local r = site:request{url = "https://www.example.com" .. path, headers = headers}
  equal(r.error, nil)
  return r.answered and r.status or "through"
end

test("robots get robots.txt and nothing else", function()
  equal(status("/", {["User-Agent"] = "Mozilla/5.0 (compatible; GPTBot/1.2)"}), 403)
  equal(status("/robots.txt", {["User-Agent"] = "GPTBot/1.2"}), "through")
  equal(status("/", {["User-Agent"] = "Mozilla/5.0 Firefox/130"}), "through")
  equal(status("/", {}), "through")
end)

test("pictures are shown on the own site, on partners' and when opened by hand", function()
  equal(status("/images/a.jpg", {}), "through")
  equal(status("/images/a.jpg", {Referer = "https://www.example.com/page"}), "through")
  equal(status("/images/a.jpg", {Referer = "https://shop.partner.example/"}), "through")
end)

test("and nowhere else", function()
  equal(status("/images/a.jpg", {Referer = "https://copycat.example/"}), 403)
  equal(status("/images/a.jpg", {Referer = "https://www.example.com.copycat.example/"}), 403)
  equal(status("/images/a.jpg", {Referer = "https://notpartner.example/"}), 403)
  equal(status("/images/a.jpg", {Referer = "nonsense"}), 403)
  equal(status("/page", {Referer = "https://copycat.example/"}), "through")
end)
