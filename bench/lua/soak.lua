-- SPDX-License-Identifier: MIT
-- A little of everything that handlers do, for millions of requests: the path says what.
local KINDS = {
  ["/answer"] = function(req)
    return {body = "hello " .. (req.query.name or "nobody")}
  end,
  ["/json"] = function(req)
    local list = {}
    for i = 1, 20 do
      list[i] = {id = i, name = req.query.name, tags = {"a", "b"}}
    end
    return {body = brim.json.encode(brim.json.decode(brim.json.encode(list)))}
  end,
  ["/dict"] = function(req)
    brim.dict.incr("seen", req.query.name or "", 1, 60)
    local ok = brim.ratelimit("soak", req.query.name or "", 1000000, 1000000)
    return {body = ok and "ok" or "slow"}
  end,
  ["/digest"] = function(req)
    return {body = brim.hex.encode(brim.hmac.sign("sha256", "key", req.target))}
  end,
  ["/closures"] = function(req)
    local co = coroutine.wrap(function(n) -- garbage of every kind
      for i = 1, 10 do
        n = coroutine.yield(setmetatable({n = n, i = i}, {__index = req.headers}))
      end
    end)
    local text = {}
    for i = 1, 10 do
      text[i] = tostring(co(i).i) .. ("x"):rep(i):gsub("x", "y")
    end
    return {body = table.concat(text, ",")}
  end,
  ["/error"] = function()
    error({"one that is no text"})
  end,
}

return {
  viewer_request = function(req)
    local kind = KINDS[req.path]
    if kind then
      return kind(req)
    end
    req.headers["X-Seen"] = "1"
    req.cookies.group = "a"
  end,
  viewer_response = function(req, res)
    res.headers["X-Path"] = req.path
  end,
}
