-- SPDX-License-Identifier: MIT
---@meta

---@class brim
---@field time brim.time
---@field metric fun(name: string, n?: integer) adds n (1; 0 to 1,000,000,000) to `brim_handler_events_total{name=...}` of /metrics, which has 255 names, later ones are `other`; name: up to 64 of a-z, 0-9 and _; raises otherwise

---Seconds are those of the wall clock since 1970, UTC. Years 0 to 9999; others raise.
---@class brim.time
local time = {}

---@return integer seconds
function time.now() end

---@return integer milliseconds
function time.now_ms() end

---@param seconds? integer now
---@return string date as in Date and Expires (RFC 9110 5.6.7)
function time.http(seconds) end

---@param date string any of HTTP's three forms
---@return integer? seconds `nil` if it is not a date
---@return string? reason
function time.parse_http(date) end

---@param seconds? integer now
---@return string text `2023-11-14T22:13:20Z` (RFC 3339)
function time.iso(seconds) end

---@param text string RFC 3339 with any zone; a fraction is cut off
---@return integer? seconds
---@return string? reason
function time.parse_iso(text) end
