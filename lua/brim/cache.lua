-- SPDX-License-Identifier: MIT
---@meta

---@class brim
---@field cache brim.cache

---@class brim.cache
local cache = {}

---@class brim.Purge
---@field url? string one absolute URL: all variants and codings of it
---@field urls? string[]
---@field prefixes? string[] all URLs that begin like these; `//host/img/` for both schemes
---@field hosts? string[]
---@field tags? string[] that the origin's tag fields, or `res.tags`, named
---@field all? boolean
---@field soft? boolean stale instead of gone: revalidated, and served where that fails

---Purges, as `brim purge` and POST /v1/purge do: in force on every worker when it returns, whatever
---the number of objects. Durable shortly after: it does not wait for the disk. At most 100 names; a
---member or a name that is none raises, and then nothing was purged. With admin.purge_via it is passed
---on to the tier above behind that, and made here once more when that has purged.
---@param purge brim.Purge
---@return true? ok
---@return string? reason in force here, but so much waits for the disk that a restart may forget it, or
---for the tier above that it was not passed on
function cache.purge(purge) end
