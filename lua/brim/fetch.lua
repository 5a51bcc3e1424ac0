-- SPDX-License-Identifier: MIT
---@meta

---@class brim
local brim = {}

---@class brim.FetchOptions
---@field method? "GET"|"HEAD"|"POST"|"PUT"|"PATCH"|"DELETE"|"OPTIONS" default: GET, with a body POST
---@field headers? table<string, string|number|string[]>|brim.Headers what the server sets (Host, framing, Via, CDN-Loop ...) is refused
---@field body? string at most 1 MiB
---@field origin? string an origin by its name in the config; default: that of the route
---@field cache? boolean false: past the cache. A GET without body goes through it by default, unless it asks for a part or a condition, or its route has an origin_request
---@field timeout_ms? integer 1 to 600000; the handlers' deadline (`handlers.wall`) holds anyway

---@class brim.FetchResponse
---@field status integer any, errors too
---@field headers brim.Headers read-only
---@field body string decoded (gzip, br, zstd) unless headers had an Accept-Encoding

---Asks a site or an origin of this node, and waits without holding up other requests: the handler
---goes on when the whole answer is there. Only hosts that `sites` names and origins of the config
---can be asked, so that no URL of a client leads anywhere else. Nothing of the client's request goes
---along; what a handler wants sent it says in `headers`. Through the cache it meets the same object
---as clients do, and one exchange serves all who wait. Of the handlers only origin_response sees it.
---
---At most `handlers.fetches` a request (16; more raises), each body at most `handlers.fetch_body`
---(1 MiB). In viewer_request and origin_request; elsewhere, and inside a function that string.gsub,
---table.sort or a metamethod calls, it raises. Works in coroutines and pcall.
---@param url string `http(s)://host/path`, or a path of the request's own host
---@param options? brim.FetchOptions
---@return brim.FetchResponse? response
---@return string? reason the exchange failed, `"timeout"`, no such site or origin, body too large
function brim.fetch(url, options) end

---Several at once: each item is what brim.fetch would be called with, a URL or `{url, options}`. Gives
---a list of the same length once all are there: responses, and `{error = reason}` where one failed.
---@param requests (string|{[1]: string, [2]: brim.FetchOptions?})[]
---@return (brim.FetchResponse|{error: string})[]
function brim.all(requests) end
