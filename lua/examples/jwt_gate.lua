-- SPDX-License-Identifier: MIT
-- JWT gate: only who brings a valid access token (Authorization: Bearer) gets through. The token is
-- checked here, so the origin and the cache behind it are not asked for what nobody may see.
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
    if not claims then
      brim.log("info", "refused: ", why or "no token")
      return {status = 401, headers = {["WWW-Authenticate"] = 'Bearer realm="api"',
                                       ["Cache-Control"] = "no-store"}}
    end
  end,
}
