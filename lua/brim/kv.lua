-- SPDX-License-Identifier: MIT
---@meta

---@class brim
---@field kv brim.kv

---Named stores of the node, on disk (`kv.path`, else a folder of `cache.path`; `kv.size`). A write is
---seen by every worker when its call returns, and durable within about 20 ms; a crash loses what was
---written in that time. A read takes microseconds. The same on the command line: `brim kv`.
---
---A store is called by 1 to 64 letters, digits, `-`, `.`, `_` (others raise), a key is 1 to 255
---bytes, none of them 0 (others: `nil` and a reason), a value at most 256 KiB (more raises), a ttl
---1 to 315,360,000 seconds. Raises where no stores are configured.
---@class brim.kv
local kv = {}

---@param store string
---@param key string
---@return string? value `nil` if there is none
---@return string? reason only if it could not be read
function kv.get(store, key) end

---@param store string
---@param key string
---@param value string|number
---@param ttl? integer seconds; without it: for ever
---@return true? ok
---@return string? reason full, too many writes are waiting, not a key
function kv.set(store, key, value, ttl) end

---Deleting what is not there is fine.
---@param store string
---@param key string
---@return true? ok
---@return string? reason
function kv.delete(store, key) end

---Adds to a whole number, over all workers without a loss.
---@param store string
---@param key string
---@param n? integer default 1
---@param ttl? integer seconds, for a number that was not there; one that was keeps its own
---@return integer? sum
---@return string? reason also: not a number, sum too large
function kv.incr(store, key, n, ttl) end

---Keys in the order of their bytes. Keys that have expired and are not removed yet (which takes seconds
---where a great many end at once) are passed over on the handler's CPU time: a list may be stopped by
---its budget though it gives few keys. What others write meanwhile is in it or not.
---@param store string
---@param prefix? string
---@param limit? integer 1 to 1000, default 100
---@param after? string only keys behind this one: the last of the page before
---@return string[]? keys
---@return string? reason
function kv.list(store, prefix, limit, after) end
