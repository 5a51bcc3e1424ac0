-- SPDX-License-Identifier: MIT
-- Geo and language routing: "/" leads to the language that the visitor asks for, else to that of his
-- country; pages below /shop are cached apart for the union and for everybody else, and the origin
-- is told which it is. Needs `node.geo`, a MaxMind DB of countries.
local languages = {en = true, de = true, fr = true}
local by_country = {AT = "de", DE = "de", CH = "de", FR = "fr", BE = "fr"}
local union = {AT = true, BE = true, DE = true, FR = true}

-- The first language of Accept-Language that there is; browsers list them by preference.
local function asked_for(req)
  for tag in (req.headers["accept-language"] or ""):gmatch("%a%a") do
    if languages[tag:lower()] then return tag:lower() end
  end
end

return {
  viewer_request = function(req)
    local place = brim.geo(req.ip)
    local country = place and place.country
    if req.path == "/" then
      local language = asked_for(req) or by_country[country] or "en"
      return {status = 302, headers = {Location = "/" .. language .. "/",
                                       ["Cache-Control"] = "private, no-store"}}
    elseif req.path:match("^/shop/") then
      local zone = union[country] and "union" or "world"
      req.headers["X-Zone"] = zone -- a client's own is replaced
      req.key = zone
    end
  end,
}
