-- SPDX-License-Identifier: MIT
-- Redirect map: old paths and where they went stand in a store, so that editors change them without
-- a reload: `brim kv set redirects /old "301 /new"`. A target is a path or a URL; the query goes along.
-- Paths come from clients, so one that can be no key of a store is simply not in the map.
local known = {["301"] = true, ["302"] = true, ["307"] = true, ["308"] = true}

return {
  viewer_request = function(req)
    local entry = brim.kv.get("redirects", req.path)
    if not entry then return end
    local code, target = entry:match("^(%d%d%d) (%S+)$")
    if not known[code] then
      brim.log("warn", "redirects: not CODE TARGET under", req.path)
      return
    end
    local query = req.target:match("%?(.*)$")
    if query and query ~= "" then
      target = target .. (target:find("?", 1, true) and "&" or "?") .. query
    end
    return {status = tonumber(code), headers = {Location = target,
                                                ["Cache-Control"] = "public, max-age=60"}}
  end,
}
