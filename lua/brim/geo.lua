-- SPDX-License-Identifier: MIT
---@meta

---@class brim
local brim = {}

---What the file does not say is absent.
---@class brim.Place
---@field continent? string `"EU"`
---@field country? string ISO 3166-1: `"AT"`
---@field region? string ISO 3166-2 without the country: `"9"`
---@field city? string in English
---@field time_zone? string `"Europe/Vienna"`
---@field latitude? number
---@field longitude? number
---@field asn? integer number of the autonomous system
---@field organisation? string that it belongs to

---Where an address is, from a MaxMind DB (`node.geo`: City, Country or ASN); microseconds. What an
---answer says by place must be cached by place: put it into `req.key`. Raises where no file is
---configured.
---@param ip string `req.ip`
---@return brim.Place? place
---@return string? reason not an address, nothing is known of it, the file is damaged
function brim.geo(ip) end
