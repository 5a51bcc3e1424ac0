-- SPDX-License-Identifier: MIT
-- Signed URLs with expiry: /path?expires=1700000000&sig=HEX, made by whoever sells the download:
--     sig = hex(hmac_sha256(SECRET, path .. "\n" .. expires))
-- A link that was changed or has expired is answered here, 403; a good one loses its signature, so
-- that all who hold one share the cached object.
--
-- env: SECRET, at least 16 bytes.
local secret = brim.env.SECRET
assert(secret and #secret >= 16, "set handlers.env SECRET to at least 16 bytes")

local function deny(why)
  return {status = 403, body = why .. "\n",
          headers = {["Content-Type"] = "text/plain", ["Cache-Control"] = "no-store"}}
end

return {
  viewer_request = function(req)
    local expires = req.query:get("expires")
    local sig = brim.hex.decode(req.query:get("sig") or "")
    if not expires or not expires:find("^%d+$") or #expires > 12 or not sig then
      return deny("this link is not signed")
    end
    if not brim.hmac.verify("sha256", secret, req.path .. "\n" .. expires, sig) then
      return deny("this link was changed")
    end
    if tonumber(expires) <= brim.time.now() then
      return deny("this link has expired")
    end
    req.query:remove("expires")
    req.query:remove("sig")
  end,
}
