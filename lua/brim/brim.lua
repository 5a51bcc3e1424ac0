-- SPDX-License-Identifier: MIT
---@meta
-- The module `brim`: a global of every handler file, read-only. Its parts stand in the other files.

---@class brim
---@field env table<string, string> the constants that `handlers.env` configures; what is not there is nil
---@field version string of brim
brim = {}

---@alias brim.Level "error"|"warn"|"info"|"debug"

---Writes a line to the error log (event `script.log`, with the site's name): the values with a space
---between, at most 800 bytes, on one line. The log keeps ten a second and counts the rest.
---`print(...)` is `brim.log("info", ...)`. Raises if level is none of these.
---@param level brim.Level
---@param ... any
function brim.log(level, ...) end
