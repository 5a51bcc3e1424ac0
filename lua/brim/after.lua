-- SPDX-License-Identifier: MIT
---@meta

---@class brim
local brim = {}

---Has fn called when the response has gone out, or the client has left: what nobody should wait for,
---such as counting in `brim.kv` or a purge. In the order in which they were given; an error ends them.
---At most 16; in all phases but origin_response. They share the request's CPU and memory budgets and
---have a deadline of their own. Not called if a handler failed. `req`, `res` and `brim.fetch` are gone
---by then: take along what is needed in locals.
---@param fn fun()
function brim.after(fn) end
