-- SPDX-License-Identifier: MIT
-- A/B split with a sticky cookie: a visitor stays in the group that he was put into, each group has
-- cached objects of its own, and the origin learns the group from a header.

local SHARE = tonumber(brim.env.SHARE_B or "50") -- per cent of new visitors in group b
local group, is_new

return {
  viewer_request = function(req)
    group = req.cookies.group
    if group ~= "a" and group ~= "b" then
      group = math.random(100) <= SHARE and "b" or "a"
      is_new = true
    end
    req.key = "group=" .. group
    req.headers["X-Group"] = group
    req.cookies:remove("group") -- the key says it; the cookie would only be in the way
  end,

  viewer_response = function(req, res)
    if is_new then
      res.headers:add("Set-Cookie", "group=" .. group .. "; Path=/; Max-Age=2592000; SameSite=Lax")
    end
  end,
}
