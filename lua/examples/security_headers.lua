-- SPDX-License-Identifier: MIT
-- Security headers on every delivery, brim's own errors included; what tells of the origin is taken
-- away.

local ADDED = {
  ["Strict-Transport-Security"] = "max-age=63072000; includeSubDomains",
  ["X-Content-Type-Options"] = "nosniff",
  ["X-Frame-Options"] = "DENY",
  ["Referrer-Policy"] = "strict-origin-when-cross-origin",
}

return {
  viewer_response = function(req, res)
    for name, value in pairs(ADDED) do
      if not res.headers[name] then -- the origin knows better
        res.headers:set(name, value)
      end
    end
    res.headers:remove("x-powered-by")
    res.headers:remove("server")
  end,
}
