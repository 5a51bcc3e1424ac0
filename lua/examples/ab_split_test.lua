-- SPDX-License-Identifier: MIT
local all_b = handlers("ab_split.lua", {env = {SHARE_B = "100"}})
local all_a = handlers("ab_split.lua", {env = {SHARE_B = "0"}})

test("a new visitor gets a group and a cookie", function()
  local r = all_b:request{url = "https://example.com/"}
  equal(r.error, nil)
  equal(r.request.key, "group=b")
  equal(r.request.headers["x-group"], "b")
  assert(r.headers["set-cookie"]:find("group=b;", 1, true))
end)

test("a known visitor stays in his group and gets no cookie", function()
  local r = all_a:request{url = "https://example.com/", headers = {Cookie = "group=b; other=1"}}
  equal(r.request.key, "group=b")
  equal(r.request.headers.cookie, "other=1")
  equal(r.headers["set-cookie"], nil)
end)

test("a group that does not exist is not believed", function()
  equal(all_a:request{headers = {Cookie = "group=../x"}}.request.key, "group=a")
end)
