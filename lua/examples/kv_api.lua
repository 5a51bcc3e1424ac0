-- SPDX-License-Identifier: MIT
-- An API answered at the edge: GET /api/items/ID comes from a store, and what is not there yet from
-- the origin, once (read-through), kept for TTL seconds. A write goes to the origin and makes the
-- edge forget. The cache is not involved: the store is seen by all workers at once.
--
-- env: TTL (seconds, default 60).
local ttl = math.tointeger(tonumber(brim.env.TTL)) or 60

local function answer(body, from)
  return {status = 200, body = body, headers = {["Content-Type"] = "application/json",
                                                ["Cache-Control"] = "no-store",
                                                ["X-From"] = from}}
end

return {
  viewer_request = function(req)
    local id = req.path:match("^/api/items/(%w+)$")
    if not id then return end
    if req.method ~= "GET" then
      brim.kv.delete("items", id)
      return -- on to the origin
    end
    local body = brim.kv.get("items", id)
    if body then return answer(body, "edge") end
    local res, why = brim.fetch(req.path, {cache = false, timeout_ms = 500})
    if not res then
      brim.log("warn", "items:", why)
      return {status = 503, headers = {["Retry-After"] = "5", ["Cache-Control"] = "no-store"}}
    end
    if res.status ~= 200 then
      return {status = res.status, body = res.body, headers = {["Cache-Control"] = "no-store"}}
    end
    brim.kv.set("items", id, res.body, ttl) -- where that fails, the next request asks again
    return answer(res.body, "origin")
  end,
}
