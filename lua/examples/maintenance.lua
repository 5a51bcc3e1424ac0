-- SPDX-License-Identifier: MIT
-- Maintenance page: everybody gets a 503 that says when to come back, but those with the key.

local PAGE = "<!doctype html><title>Back soon</title><h1>We are back soon</h1>\n"

return {
  viewer_request = function(req)
    if brim.env.KEY and req.cookies.maintenance == brim.env.KEY then
      return
    end
    return {
      status = 503,
      headers = {["Content-Type"] = "text/html; charset=utf-8", ["Retry-After"] = "600",
                 ["Cache-Control"] = "no-store"},
      body = PAGE,
    }
  end,
}
