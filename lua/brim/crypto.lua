-- SPDX-License-Identifier: MIT
---@meta

---@class brim
---@field sha256 fun(bytes: string): string SHA-256, 32 raw bytes; at most 4 MiB of input
---@field hmac brim.hmac
---@field random brim.random
---@field uuid brim.uuid

---@alias brim.hmac.digest "sha256"|"sha384"|"sha512"|"sha1"

---HMAC (RFC 2104). Data of at most 4 MiB, keys of 1 byte to 64 KiB; an empty key raises.
---@class brim.hmac
local hmac = {}

---@param digest brim.hmac.digest
---@param key string
---@param data string
---@return string mac raw bytes
function hmac.sign(digest, key, data) end

---In constant time.
---@param digest brim.hmac.digest
---@param key string
---@param data string
---@param mac string raw bytes
---@return boolean
function hmac.verify(digest, key, data, mac) end

---Whether two secrets are the same, in a time that does not say where they differ.
---@param a string
---@param b string
---@return boolean
function hmac.equal(a, b) end

---From the system's generator.
---@class brim.random
local random = {}

---@param count integer 0 to 65536
---@return string bytes
function random.bytes(count) end

---Every value is as likely as any other. Raises if high < low.
---@param low integer
---@param high integer inclusive
---@return integer
function random.int(low, high) end

---RFC 9562.
---@class brim.uuid
local uuid = {}

---@return string uuid chance only
function uuid.v4() end

---@return string uuid begins with the time: sorts by millisecond
function uuid.v7() end
