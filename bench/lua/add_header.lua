-- SPDX-License-Identifier: MIT
-- The smallest useful handler before a hit.
return {
  viewer_request = function(req)
    req.headers["X-Seen"] = "1"
  end,
}
