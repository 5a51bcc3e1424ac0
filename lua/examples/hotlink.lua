-- SPDX-License-Identifier: MIT
-- Bot and hotlink rule: robots that announce themselves get nothing but robots.txt, and pictures
-- are shown on these hosts only. What a client says of itself is easily a lie: this keeps honest
-- crawlers and copied image links away, nobody else.
--
-- env: HOSTS (names that may show pictures, separated by spaces; the request's own always may).

local BOTS = {"gptbot", "ccbot", "bytespider", "ahrefsbot", "semrushbot", "python-requests", "scrapy"}

local function is_bot(agent)
  agent = agent:lower()
  for _, name in ipairs(BOTS) do
    if agent:find(name, 1, true) then
      return true
    end
  end
  return false
end

local function may_show(host, own)
  for name in ((brim.env.HOSTS or "") .. " " .. own):gmatch("%S+") do
    if host == name or host:sub(-#name - 1) == "." .. name then
      return true
    end
  end
  return false
end

local function refuse(text)
  return {status = 403, headers = {["Cache-Control"] = "no-store"}, body = text .. "\n"}
end

return {
  viewer_request = function(req)
    if req.path ~= "/robots.txt" and is_bot(req.headers["user-agent"] or "") then
      return refuse("robots are not served")
    end
    if req.path:find("^/images/") and req.headers["referer"] then -- none: opened by hand
      local host = req.headers["referer"]:match("^https?://([^/:?#]+)")
      if not host or not may_show(host:lower(), req.host) then
        return refuse("this picture is shown on its own site only")
      end
    end
  end,
}
