-- SPDX-License-Identifier: MIT
---@meta

---@class brim
---@field dict brim.dict
---@field ratelimit fun(name: string, key: string|number, rate: number, burst: integer): boolean, integer, number

---Values in RAM that all workers share. Bounded (`node.dict`): what was not used for longest goes
---first, so nothing is certain to stay; what must stay belongs in `brim.kv`. A restart empties it.
---
---Names are 1 to 64 bytes (others raise), keys at most 255 (others: `nil` and a reason), strings at
---most 64 KiB (more raises), a ttl above 0 and up to 31,536,000 seconds.
---@class brim.dict
local dict = {}

---@param name string
---@param key string|number
---@return string|integer? value
---@return string? reason
function dict.get(name, key) end

---Integers are kept as numbers, that `incr` adds to; anything else as a string.
---@param name string
---@param key string|number
---@param value string|integer
---@param ttl? number seconds; without it: until there is no room
---@return true? ok
---@return string? reason
function dict.set(name, key, value, ttl) end

---@param name string
---@param key string|number
---@return true? ok
---@return string? reason
function dict.delete(name, key) end

---@param name string
---@param key string|number
---@param n? integer default 1
---@param ttl? number seconds, for a number that was not there
---@return integer? sum
---@return string? reason a string stands there, sum too large
function dict.incr(name, key, n, ttl) end

---Takes one of the key's allowance, over all workers of the node: `rate` a second (up to 1,000,000;
---fractions are fine), `burst` at once (1 to 1,000,000). A key longer than 255 bytes is limited by
---its beginning.
---
---`local ok, remaining, seconds = brim.ratelimit("api", key, 10, 50)`
---@param name string
---@param key string|number
---@param rate number
---@param burst integer
---@return boolean allowed
---@return integer remaining how many more would be allowed now
---@return number seconds until one is allowed again, if it was not; else until all are
function brim.ratelimit(name, key, rate, burst) end
