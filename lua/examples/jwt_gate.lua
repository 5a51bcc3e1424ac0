-- SPDX-License-Identifier: MIT
-- JWT gate: only who brings a valid access token (Authorization: Bearer) gets through. The token is
-- checked here, so the origin and the cache behind it are not asked for what nobody may see.
--
-- Access tokens are short-lived (15 minutes, say). One that must end sooner is revoked by its id
-- (jti): `brim kv set revoked ID 1 --ttl 900`, on every node; it need not stand there for longer
-- than tokens live.
--
-- env: ALG, KEY (a secret, or a public key as PEM), ISSUER, AUDIENCE.
local opts = {alg = brim.env.ALG, key = brim.env.KEY, iss = brim.env.ISSUER,
              aud = brim.env.AUDIENCE}

return {
  viewer_request = function(req)
    local token = (req.headers["authorization"] or ""):match("^Bearer ([%w%-_%.]+)$")
    local claims, why
    if token and #token <= 8192 then
      claims, why = brim.jwt.verify(token, opts)
    end
    if claims and type(claims.jti) == "string" and brim.kv.get("revoked", claims.jti) then
      claims, why = nil, "revoked"
    end
    if not claims then
      brim.log("info", "refused:", why or "no token")
      return {status = 401, headers = {["WWW-Authenticate"] = 'Bearer realm="api"',
                                       ["Cache-Control"] = "no-store"}}
    end
  end,
}
