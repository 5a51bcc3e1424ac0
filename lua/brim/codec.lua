-- SPDX-License-Identifier: MIT
---@meta

---@class brim
---@field base64 brim.base64
---@field hex brim.hex

---Base64 (RFC 4648), strict: padding is whole, no white space, no loose bits. At most 4 MiB of bytes;
---more raises.
---@class brim.base64
local base64 = {}

---@param bytes string
---@return string text with padding
function base64.encode(bytes) end

---@param text string
---@return string? bytes `nil` if it is not base64
---@return string? reason
function base64.decode(text) end

---The alphabet of URLs and JWTs, `-` and `_`.
---@param bytes string
---@return string text without padding
function base64.encode_url(bytes) end

---@param text string with or without padding
---@return string? bytes
---@return string? reason
function base64.decode_url(text) end

---@class brim.hex
local hex = {}

---@param bytes string at most 4 MiB
---@return string text lower-case
function hex.encode(bytes) end

---@param text string letters in any case
---@return string? bytes `nil` if it is not hex
---@return string? reason
function hex.decode(text) end
