-- SPDX-License-Identifier: MIT
---@meta

---@class brim
---@field json brim.json

---JSON (RFC 8259). Text of at most 1 MiB, nested at most 64 deep, at most 100,000 values.
---@class brim.json
---@field null lightuserdata what JSON's null becomes, and what becomes null
local json = {}

---Objects and arrays become tables, whole numbers integers. A name twice in one object is refused.
---Raises if text is longer than 1 MiB.
---@param text string
---@return any value `nil` if text is not JSON or over a limit
---@return string? reason with line and column
function json.decode(text) end

---A table is an array if it was decoded from one, came from `json.array` or `t[1]` is not nil; else
---an object, whose keys must be strings. Metamethods are not asked. Raises for what has no JSON (a
---function, a key that is no string, a table that holds itself).
---@param value any
---@return string? text `nil` if a string is not UTF-8, a number not finite, the text over 1 MiB
---@return string? reason
function json.encode(value) end

---Marks a table as an array, so that an empty one is written `[]`.
---@param t? table without a metatable
---@return table t
function json.array(t) end
