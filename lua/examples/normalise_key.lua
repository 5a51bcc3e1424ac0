-- SPDX-License-Identifier: MIT
-- Key normaliser: requests that mean the same share one object, and so one fetch. Arguments of
-- campaigns are taken away, the others are put in order, empty ones go, and "/index.html" is "/".

local GONE = {fbclid = true, gclid = true, msclkid = true, mc_cid = true, mc_eid = true}

local function is_gone(name, value)
  return GONE[name] or name:find("^utm_") or value == ""
end

return {
  viewer_request = function(req)
    local kept, names, seen = {}, {}, {}
    for name, value in req.query:each() do
      if not seen[name] then
        seen[name] = true
        names[#names + 1] = name
      end
      if not is_gone(name, value) then
        kept[#kept + 1] = {name = name, value = value, at = #kept}
      end
    end
    table.sort(kept, function(a, b) -- values of one name stay in their order
      return a.name < b.name or a.name == b.name and a.at < b.at
    end)
    for _, name in ipairs(names) do
      req.query:remove(name)
    end
    for _, pair in ipairs(kept) do
      req.query:add(pair.name, pair.value)
    end
    local folder = req.path:match("^(.*/)index%.html$")
    if folder then
      req.path = folder
    end
  end,
}
