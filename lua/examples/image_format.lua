-- SPDX-License-Identifier: MIT
-- Image format by Accept: a picture is asked for as AVIF or WebP where the browser takes it. The
-- origin has the files side by side (a.jpg, a.avif, a.webp); each format is cached once, however
-- many forms of Accept there are.

local FORMATS = { -- best first
  {type = "image/avif", suffix = ".avif"},
  {type = "image/webp", suffix = ".webp"},
}

-- A type with q=0 is one that the browser does not want.
local function takes(accept, wanted)
  for part in accept:gmatch("[^,]+") do
    local media, rest = part:match("^%s*([^;%s]+)%s*(.*)$")
    if media == wanted then
      return not rest:find("q=0$") and not rest:find("q=0%.0*$")
    end
  end
  return false
end

return {
  viewer_request = function(req)
    local base = req.path:match("^(.*)%.jpe?g$") or req.path:match("^(.*)%.png$")
    local accept = base and req.headers["accept"]
    if not accept then
      return
    end
    for _, format in ipairs(FORMATS) do
      if takes(accept, format.type) then
        req.path = base .. format.suffix -- and so another key
        return
      end
    end
  end,
  viewer_response = function(req, res)
    if (res.headers["content-type"] or ""):find("^image/") then
      res.headers:add("Vary", "Accept") -- for the caches behind this one
    end
  end,
}
