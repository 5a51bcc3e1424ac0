-- SPDX-License-Identifier: MIT
---@meta

---@class brim
---@field jwt brim.jwt

---JSON Web Tokens (RFC 7519, RFC 8725), checked by libjwt.
---@class brim.jwt
local jwt = {}

---@class brim.jwt.options
---@field alg "HS256"|"HS384"|"HS512"|"RS256"|"RS384"|"RS512"|"ES256"|"ES384"|"ES512" the only one that is accepted, whatever the token says; PS* where libjwt has them (1.10 has not)
---@field key? string a secret (HS*) or a public key as PEM; at most 16 KiB
---@field jwks? table|string instead of key: a JWK set, as a table or JSON; the token's `kid` chooses; at most 64 keys, RSA of at least 2048 bits
---@field jwks_url? string instead of both: where the set is, for brim.fetch (so a site or an origin of the node); kept in the cache for as long as the answer says
---@field jwks_origin? string the origin that is asked for it, by its name in the config
---@field iss? string what `iss` must be
---@field aud? string what `aud` must be or have among it
---@field leeway? integer seconds that clocks may differ: 0 to 3600, default 30
---@field require_exp? boolean default true: a token without `exp` is refused

---Raises for a token over 16 KiB and for options that cannot be.
---@param token string without `Bearer `
---@param opts brim.jwt.options
---@return table? claims `nil`: do not trust it
---@return string? reason "expired", "not valid yet", "another algorithm", "the signature is wrong"...: for the log, not for the client
function jwt.verify(token, opts) end
