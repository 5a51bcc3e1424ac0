-- SPDX-License-Identifier: MIT
local site = handlers("signed_urls.lua", {env = {SECRET = "0123456789abcdef"}})
local base = "https://example.com"
-- printf '/file.zip\n99999999999' | openssl dgst -sha256 -hmac 0123456789abcdef
local good = "?expires=99999999999&sig=" ..
             "a72b20a58bb449c92d67f3fe0b5a5c039a70d8cf3c1767b2c5aa5bc6550ec854"

test("a good link goes on without its signature", function()
  local r = site:request{url = base .. "/file.zip" .. good .. "&part=2"}
  equal(r.error, nil)
  equal(r.answered, false)
  equal(r.request.target, "/file.zip?part=2")
end)

test("a link that has expired is refused", function()
  local r = site:request{url = base .. "/file.zip?expires=1&sig=" ..
                         "580c3b1d08eb2579819e5dfa06736154c7939156dd20b3dba7d5f1ce3a8d3d68"}
  equal(r.status, 403)
  equal(r.body, "this link has expired\n")
end)

test("a link that was changed is refused", function()
  equal(site:request{url = base .. "/other.zip" .. good}.body, "this link was changed\n")
  equal(site:request{url = base .. "/file.zip" .. good:gsub("9&", "8&")}.status, 403)
  equal(site:request{url = base .. "/file.zip?expires=99999999999&sig=00"}.status, 403)
end)

test("a link without a signature is refused", function()
  equal(site:request{url = base .. "/file.zip"}.status, 403)
  equal(site:request{url = base .. "/file.zip?expires=x&sig=zz"}.status, 403)
end)
