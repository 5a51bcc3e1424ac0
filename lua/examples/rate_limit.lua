-- SPDX-License-Identifier: MIT
-- Rate limit by API key: each key RATE requests a second and BURST at once, over all workers; who
-- brings no key shares one allowance with all from the same address. 429 says when to come again.
--
-- env: RATE, BURST.
local rate, burst = tonumber(brim.env.RATE) or 10, math.tointeger(tonumber(brim.env.BURST)) or 20

return {
  viewer_request = function(req)
    local key = req.headers["x-api-key"]
    local who = key and "key:" .. brim.hex.encode(brim.sha256(key)) or "ip:" .. req.ip
    local allowed, remaining, seconds = brim.ratelimit("api", who, rate, burst)
    if not allowed then
      brim.metric("rate_limited", 1)
      return {status = 429, body = "Too many requests\n",
              headers = {["Retry-After"] = tostring(math.ceil(seconds)),
                         ["RateLimit"] = ('"api";r=%d;t=%d'):format(remaining, math.ceil(seconds)),
                         ["Cache-Control"] = "no-store"}}
    end
  end,
}
