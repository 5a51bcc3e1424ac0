-- SPDX-License-Identifier: MIT
---@meta

---@class brim
---@field url brim.url

---Absolute http and https URLs (RFC 3986), strict: what is not valid is refused, never repaired.
---Text of at most 64 KiB; more raises.
---@class brim.url
local url = {}

---@class brim.url.parts
---@field scheme? "http"|"https" default https
---@field host string IPv6 in brackets
---@field port? integer default: the scheme's
---@field path? string default /
---@field query? string without `?`, as it stands (encoded)
---@field fragment? string (parse only)

---@param text string
---@return brim.url.parts? parts `nil` if it is no such URL, has userinfo, or a byte that must be encoded
---@return string? reason
function url.parse(text) end

---@param parts brim.url.parts
---@return string? url `nil` if a part is not valid where it would stand
---@return string? reason
function url.build(parts) end

---Percent-encodes all but letters, digits, `-`, `.`, `_` and `~`.
---@param text string
---@return string
function url.encode(text) end

---@param text string
---@return string? text `nil` for a percent sign without two hex digits
---@return string? reason
function url.decode(text) end

---`a=1&b=2` decoded, `+` as space; at most 256 parameters.
---@param query string
---@return table<string, string>? first the first value of each name
---@return (string[])[]|string all `{name, value}` in order; the reason where the first is `nil`
function url.parse_query(query) end

---@param parameters (string|number)[][] `{name, value}` in order, at most 256
---@return string query encoded
function url.build_query(parameters) end
