-- SPDX-License-Identifier: MIT
local site = handlers("jwt_gate.lua", {env = {
  ALG = "HS256", KEY = "0123456789abcdef0123456789abcdef", ISSUER = "https://id", AUDIENCE = "api"}})
-- Made with PyJWT: one until the year 5138, one expired, one for somebody else.
local good = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9." ..
  "eyJpc3MiOiJodHRwczovL2lkIiwiYXVkIjoiYXBpIiwiZXhwIjo5OTk5OTk5OTk5OX0.cJNhHLOM8q9DotJ1ppY_sfqFHWQz7XrMic8i0Sy-KR8"
local old = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9." ..
  "eyJpc3MiOiJodHRwczovL2lkIiwiYXVkIjoiYXBpIiwiZXhwIjoxfQ.eO-YUZUN8H84Xv2scV47QJoQaPMC_-rt2QSaX1xs2jc"
local other = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9." ..
  "eyJpc3MiOiJodHRwczovL2lkIiwiYXVkIjoid2ViIiwiZXhwIjo5OTk5OTk5OTk5OX0.VEbdrm8vRO1dkpAK2Rojfqyn2J_JKOGppqRe4kUQgHc"

test("a valid token gets through", function()
  local r = site:request{headers = {Authorization = "Bearer " .. good}}
  equal(r.error, nil)
  equal(r.answered, false)
end)

test("whatever else is refused", function()
  equal(site:request{}.status, 401)
  for _, text in ipairs{"Bearer x.y.z", "Basic YTpi", good, "Bearer " .. old, "Bearer " .. other,
                        "Bearer " .. good .. "x"} do
    local r = site:request{headers = {Authorization = text}}
    equal(r.status, 401)
    equal(r.headers["cache-control"], "no-store")
  end
end)

-- Issued at 1700000000 for 15 minutes, with ids t1 and t2.
local live = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9." ..
  "eyJpc3MiOiJodHRwczovL2lkIiwiYXVkIjoiYXBpIiwianRpIjoidDEiLCJpYXQiOjE3MDAwMDAwMDAsImV4cCI6MTcwMDAwMDkwMH0.dQQwQd7_1LEFzs0ZfYDaSv5vXrgfkZWFjZu5hrdqlsA"
local revoked = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9." ..
  "eyJpc3MiOiJodHRwczovL2lkIiwiYXVkIjoiYXBpIiwianRpIjoidDIiLCJpYXQiOjE3MDAwMDAwMDAsImV4cCI6MTcwMDAwMDkwMH0.ewYYLJFhv_XYXwoJ-71v89TAmKrJVd02YF-spReAwGY"

test("a token ends after its 15 minutes, or when it is revoked", function()
  local gate = handlers("jwt_gate.lua", {now = 1700000060, kv = {revoked = {t2 = "1"}}, env = {
    ALG = "HS256", KEY = "0123456789abcdef0123456789abcdef", ISSUER = "https://id", AUDIENCE = "api"}})
  equal(gate:request{headers = {Authorization = "Bearer " .. live}}.answered, false)
  local r = gate:request{headers = {Authorization = "Bearer " .. revoked}}
  equal(r.status, 401)
  equal(r.log[1], "refused: revoked")
  gate:advance(1000)
  equal(gate:request{headers = {Authorization = "Bearer " .. live}}.status, 401)
end)
