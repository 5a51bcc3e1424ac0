-- SPDX-License-Identifier: MIT
---@meta
-- Requests and responses as handlers see them, for editors (LuaCATS). Nothing here is run.
-- They are lent for one phase: in another one every access raises an error. A `req` or `res` that is
-- kept beyond its call (in an upvalue, a table, a module) does not stay that request's: in the phase
-- that it was lent in it shows whatever request the VM runs at that moment. Keep values, not `req`.

---A set of names with values: headers, query or cookies. `view.name` and `view["Name"]` read and
---write like `get` and `set`; assigning nil removes. Header names are case-insensitive; what is set
---is checked (no CR, LF, NUL) and what frames a message cannot be changed (host, content-length,
---transfer-encoding, connection ...). Query values are percent-decoded and -encoded.
---@class brim.View
---@field [string] string?
local View = {}

---The first value, or nil.
---@param name string at most 256 bytes
---@return string?
function View:get(name) end

---All values, in order; empty if there are none.
---@param name string
---@return string[]
function View:all(name) end

---Replaces all values by one. Headers: at most 200 fields and 64 KiB.
---@param name string
---@param value string|number at most 32 KiB
function View:set(name, value) end

---Adds a value behind those that are there.
---@param name string
---@param value string|number
function View:add(name, value) end

---@param name string
function View:remove(name) end

---Iterates over names and values, as they were when the loop began.
---@return fun(): string?, string?
function View:each() end

---@class brim.Request
---@field method string may be set; HEAD stays HEAD
---@field path string may be set: begins with "/", percent-encoded, no segment `.` or `..`, without query; the route is chosen again
---@field origin string "" or the name of an origin, which may be set; it becomes part of the cache key
---@field key string "" or a text that is added to the cache key; may be set: visible ASCII, at most 256 bytes
---@field scheme string "http" or "https"
---@field host string without port
---@field authority string host and port as received
---@field target string path and query
---@field ip string the client's address
---@field port integer the client's; 0: not known (a unix socket)
---@field tls_version string "TLSv1.2", "TLSv1.3"; "" without TLS
---@field tls_cipher string "TLS_AES_256_GCM_SHA384"; "" without TLS
---@field tls_client_subject string of the client's verified certificate, as RFC 4514 writes it; "" without one, or where it has none that a header could hold
---@field tls_client_fingerprint string its SHA-256, 64 hexadecimal digits in lower case; "" where none was verified
---@field id string 32 hexadecimal digits, as in the access log
---@field version string "1.0", "1.1" or "2"
---@field headers brim.View
---@field query brim.View
---@field cookies brim.View of the Cookie header

---@class brim.Response
---@field status integer may be set, 200 to 599; one with a body stays one with a body
---@field headers brim.View

---An origin's answer before it is judged. `ttl`, `tags` and `body` are write-only.
---@class brim.OriginResponse : brim.Response
---@field ttl integer seconds that brim keeps it, whatever else it says (written as CDN-Cache-Control, or what `cache.targets` names); private, no-store and no-cache, with or without names, stay in force until the handler takes them out of Cache-Control
---@field tags string[] purge tags, added to the origin's own
---@field body string in place of the origin's, at most 1 MiB, set once; ETag, Last-Modified, Content-Encoding and digests go with the old one. Raises for 204, 206, 304 and HEAD

---What viewer_request returns to answer at once.
---@class brim.Answer
---@field status? integer 200 to 599; 200 if absent
---@field headers? table<string, string|number|(string|number)[]>
---@field body? string at most 1 MiB

---What a handler file returns.
---@class brim.Handlers
---@field viewer_request? fun(req: brim.Request): brim.Answer?
---@field origin_request? fun(req: brim.Request) on a miss; changes are for the origin only, `key` cannot be set
---@field origin_response? fun(req: brim.Request, res: brim.OriginResponse) once per exchange with an origin, revalidations (304) too; `req` is what the origin was asked and cannot be changed; ip, port, tls_*, scheme, version and id tell nothing, as the answer may be for many
---@field viewer_response? fun(req: brim.Request, res: brim.Response)
