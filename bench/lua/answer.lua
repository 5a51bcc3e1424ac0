-- SPDX-License-Identifier: MIT
-- What bench/lua/run compares with nginx: one query argument and one header read, a small answer.
return {
  viewer_request = function(req)
    local name = req.query.name or "nobody"
    local client = req.headers["X-Client"] or "none"
    return {status = 200, headers = {["Content-Type"] = "text/plain"},
            body = "hello " .. name .. " from " .. client .. "\n"}
  end,
}
