/* SPDX-License-Identifier: MIT */
#include "brim/http/field.h"

#include <stdio.h>

#include "http_fields.h"

static const struct {
    const char *lines[FIELDS_MAX];
    const char *members; /* each in <> */
    bool unclosed;       /* at the last member */
} walks[] = {
    /* RFC 9110 5.6.1.2: recipients accept empty members */
    {{"a: 1"}, "<1>", false},
    {{"a: 1,2"}, "<1><2>", false},
    {{"a: 1 ,\t2 "}, "<1><2>", false},
    {{"a:"}, "", false},
    {{"a: ,"}, "", false},
    {{"a: , ,,"}, "", false},
    {{"a: ,1,,2,"}, "<1><2>", false},
    {{"a: foo , ,bar,charlie"}, "<foo><bar><charlie>", false},
    {{"b: 1"}, "", false},
    /* RFC 9110 5.3: lines of one name are one list in order */
    {{"a: 1", "b: x", "a: 2, 3"}, "<1><2><3>", false},
    {{"a:", "a: 2"}, "<2>", false},
    {{"aa: 1", "a: 2", "ab: 3"}, "<2>", false},
    /* RFC 9110 5.6.4: commas in quoted strings do not separate */
    {{"a: \"x,y\",z"}, "<\"x,y\"><z>", false},
    {{"a: k=\"x,y\", z"}, "<k=\"x,y\"><z>", false},
    {{"a: k=\"x\\\",y\", z"}, "<k=\"x\\\",y\"><z>", false},
    {{"a: k=\"x\\\\\",y"}, "<k=\"x\\\\\"><y>", false},
    {{"a: \"\",b"}, "<\"\"><b>", false},
    {{"a: \"a\"b\"c,d\",e"}, "<\"a\"b\"c,d\"><e>", false},
    {{"a: x\\,y"}, "<x\\><y>", false},
    /* a quote that never closes hides nothing */
    {{"a: \"x, no-store"}, "<\"x><no-store>", true},
    {{"a: k=\"x, y, z"}, "<k=\"x><y><z>", true},
    {{"a: \"x\\\", y"}, "<\"x\\\"><y>", true},
    {{"a: \"ok, ok\", \"bad, y"}, "<\"ok, ok\"><\"bad><y>", true},
    {{"a: \"", "a: \"b,c\""}, "<\"><\"b,c\">", false},
    {{"a: x\""}, "<x\">", true},
    {{"a: \"\\"}, "<\"\\>", true},
    {{"a: \"x", "a: y\""}, "<\"x><y\">", true},
};

/* Every list-valued decision (Cache-Control, Vary, Connection) rests on this walk. */
START_TEST(walk_yields_members_in_order)
{
    struct fields storage;
    struct brim_fields fields = fields_of(walks[_i].lines, &storage);
    struct brim_list_cursor cursor = {0};
    struct brim_str member;
    char text[256] = "";
    size_t len = 0;
    bool unclosed = false;

    while (brim_fields_next_member(fields, BRIM_STR("a"), &cursor, &member)) {
        len += (size_t)snprintf(text + len, sizeof(text) - len, "<%.*s>", (int)member.len,
                                member.base);
        unclosed = cursor.unclosed;
    }
    ck_assert_str_eq(text, walks[_i].members);
    ck_assert_int_eq(unclosed, walks[_i].unclosed);
    ck_assert_uint_eq(member.len, 0);
}
END_TEST

/* A line of thousands of quotes must not cost the square of its length in time. */
START_TEST(walk_is_linear_in_hostile_quotes)
{
    static char value[1 << 20];
    struct brim_field field = {BRIM_STR("a"), {value, sizeof(value)}};
    struct brim_fields fields = {&field, 1};
    struct brim_list_cursor cursor = {0};
    struct brim_str member;
    size_t count = 0;

    for (size_t i = 0; i < sizeof(value); i++)
        value[i] = i % 4 == 0 ? ',' : i % 4 == 1 ? '\\' : '"';
    value[0] = '"';
    while (brim_fields_next_member(fields, BRIM_STR("a"), &cursor, &member))
        count++;
    ck_assert_uint_gt(count, 0);
}
END_TEST

/* Two fields where one is allowed are no field at all to those who ask for the only one. */
START_TEST(only_refuses_repeated_fields)
{
    struct brim_field items[] = {{BRIM_STR("host"), BRIM_STR("a")},
                                 {BRIM_STR("date"), BRIM_STR("b")},
                                 {BRIM_STR("host"), BRIM_STR("c")}};
    struct brim_fields fields = {items, 3};

    ck_assert_ptr_eq(brim_fields_find(fields, BRIM_STR("host")), &items[0]);
    ck_assert_ptr_eq(brim_fields_find(fields, BRIM_STR("date")), &items[1]);
    ck_assert_ptr_null(brim_fields_find(fields, BRIM_STR("age")));
    ck_assert_ptr_null(brim_fields_find(fields, BRIM_STR("hos")));
    ck_assert_ptr_null(brim_fields_only(fields, BRIM_STR("host")));
    ck_assert_ptr_eq(brim_fields_only(fields, BRIM_STR("date")), &items[1]);
    ck_assert_ptr_null(brim_fields_only(fields, BRIM_STR("age")));
    ck_assert_ptr_eq(brim_fields_only((struct brim_fields){items, 2}, BRIM_STR("host")), &items[0]);
    ck_assert_ptr_null(brim_fields_find((struct brim_fields){NULL, 0}, BRIM_STR("host")));
}
END_TEST

static const struct {
    const char *lines[FIELDS_MAX];
    const char *token;
    bool has;
} tokens[] = {
    {{"connection: close"}, "close", true},
    {{"connection: Close"}, "close", true}, /* RFC 9110 7.6.1: case-insensitive */
    {{"connection: keep-alive, X-Foo"}, "x-foo", true},
    {{"connection: keep-alive", "connection: x-foo"}, "x-foo", true},
    {{"connection: x-foobar"}, "x-foo", false},
    {{"connection: \"x-foo\""}, "x-foo", false},
    {{"connection: \"a, x-foo"}, "x-foo", true},
    {{"connection:"}, "x-foo", false},
    {{"x-connection: x-foo"}, "x-foo", false},
    {{NULL}, "x-foo", false},
};

/* A field that Connection names and brim misses would be forwarded or stored for others. */
START_TEST(has_token_finds_whole_members)
{
    struct fields storage;
    struct brim_fields fields = fields_of(tokens[_i].lines, &storage);

    ck_assert_int_eq(
        brim_fields_has_token(fields, BRIM_STR("connection"), brim_str_of(tokens[_i].token)),
        tokens[_i].has);
}
END_TEST

/* X_Plan beside a key that has X-Plan is left out; X-Plan itself, which the key has, is not. */
START_TEST(twin_is_another_name_that_is_read_alike)
{
    ck_assert(brim_field_name_is_twin(BRIM_STR("x_plan"), BRIM_STR("x-plan")));
    ck_assert(brim_field_name_is_twin(BRIM_STR("x-plan"), BRIM_STR("x_plan")));
    ck_assert(!brim_field_name_is_twin(BRIM_STR("x-plan"), BRIM_STR("x-plan")));
    ck_assert(!brim_field_name_is_twin(BRIM_STR("x_plans"), BRIM_STR("x-plan")));
}
END_TEST

/* A gate that takes X-User from clients, and not X_User, lets them forge it before a CGI. */
START_TEST(name_is_read_as_its_variable_is)
{
    ck_assert(brim_field_name_is_read_as(BRIM_STR("x-user"), BRIM_STR("x-user")));
    ck_assert(brim_field_name_is_read_as(BRIM_STR("x_user"), BRIM_STR("x-user")));
    ck_assert(brim_field_name_is_read_as(BRIM_STR("x-a_b"), BRIM_STR("x_a-b")));
    ck_assert(!brim_field_name_is_read_as(BRIM_STR("x.user"), BRIM_STR("x-user")));
    ck_assert(!brim_field_name_is_read_as(BRIM_STR("x_users"), BRIM_STR("x-user")));
    ck_assert(!brim_field_name_is_read_as(BRIM_STR("xuser"), BRIM_STR("x-user")));
}
END_TEST

static const struct {
    const char *lines[FIELDS_MAX];
    const char *names; /* of those that are left, each in <> */
} beyond[] = {
    {{"a: 1", "b: 2"}, "<a><b>"},
    {{"a: 1", "connection: close", "b: 2"}, "<a><b>"},
    {{"connection: a, B"}, ""},
    {{"a: 1", "b: 2", "connection: a", "a: 3", "c: 4", "connection: x, C"}, "<b>"},
    {{"connection: connection, a", "a: 1", "ab: 2"}, "<ab>"},
    {{NULL}, ""},
};

/* A field that is in a key, and then kept from the origin, has others served what it never saw. In
 * place, as a request is read. */
START_TEST(beyond_hop_is_nothing_that_connection_names)
{
    struct fields storage;
    struct brim_fields fields = fields_of(beyond[_i].lines, &storage);
    char text[64] = "";
    size_t len = 0;

    fields = brim_fields_beyond_hop(fields, storage.items);
    for (size_t i = 0; i < fields.count; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "<%.*s>",
                                (int)fields.items[i].name.len, fields.items[i].name.base);
    ck_assert_str_eq(text, beyond[_i].names);
}
END_TEST

static const struct {
    const char *name;
    bool hop;
} hops[] = {
    /* RFC 9110 7.6.1 */
    {"connection", true},
    {"keep-alive", true},
    {"proxy-connection", true},
    {"te", true},
    {"trailer", true},
    {"transfer-encoding", true},
    {"upgrade", true},
    {"proxy-authenticate", true},        /* RFC 9111 3.1 */
    {"proxy-authorization", true},       /* likewise */
    {"proxy-authentication-info", true}, /* likewise */
    {"http2-settings", true},            /* RFC 7540 3.2.1 */
    {"", false},
    {"host", false},
    {"authorization", false},
    {"tea", false},
    {"t", false},
    {"content-encoding", false},
    {"trailers", false},
};

/* These fields are about one connection; passing one on is request smuggling at worst. */
START_TEST(hop_by_hop_fields_are_known)
{
    ck_assert_int_eq(brim_field_is_hop_by_hop(brim_str_of(hops[_i].name)), hops[_i].hop);
}
END_TEST

/* RFC 9110 5.6.2: tchar is exactly this set; all 256 bytes are tried. */
START_TEST(name_takes_exactly_tchar)
{
    const char *punctuation = "!#$%&'*+-.^_`|~";

    for (int c = 0; c < 256; c++) {
        char byte = (char)c;
        bool tchar = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                     (c != 0 && strchr(punctuation, c) != NULL);
        ck_assert_int_eq(brim_field_name_is_valid(brim_str(&byte, 1)), tchar);
        char two[2] = {'a', byte};
        ck_assert_int_eq(brim_field_name_is_valid(brim_str(two, 2)), tchar);
    }
    ck_assert(!brim_field_name_is_valid(BRIM_STR("")));
}
END_TEST

START_TEST(name_in_lower_case_is_the_name_where_it_is_valid)
{
    for (int c = 0; c < 256; c++) {
        char name[2] = {'A', (char)c}, lower[2] = {0};
        bool is_upper = c >= 'A' && c <= 'Z';

        ck_assert_int_eq(brim_field_name_lower(brim_str(name, 2), lower),
                         brim_field_name_is_valid(brim_str(name, 2)));
        ck_assert_int_eq(lower[0], 'a');
        if (brim_field_name_is_valid(brim_str(name, 2)))
            ck_assert_int_eq(lower[1], (char)(is_upper ? c + ('a' - 'A') : c));
    }
    ck_assert(!brim_field_name_lower(BRIM_STR(""), NULL));
}
END_TEST

/* RFC 9110 5.5: CR, LF, NUL and other controls in a value split or cut messages. */
START_TEST(value_refuses_every_control_but_tab)
{
    for (int c = 0; c < 256; c++) {
        char three[3] = {'a', (char)c, 'b'};
        bool good = c == '\t' || (c >= 0x20 && c != 0x7f);
        ck_assert_int_eq(brim_field_value_is_valid(brim_str(three, 3)), good);
    }
    ck_assert(brim_field_value_is_valid(BRIM_STR("")));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http_field");
    TCase *tcase = tcase_create("field");

    tcase_add_loop_test(tcase, walk_yields_members_in_order, 0, sizeof(walks) / sizeof(walks[0]));
    tcase_add_test(tcase, walk_is_linear_in_hostile_quotes);
    tcase_add_test(tcase, only_refuses_repeated_fields);
    tcase_add_loop_test(tcase, has_token_finds_whole_members, 0,
                        sizeof(tokens) / sizeof(tokens[0]));
    tcase_add_test(tcase, twin_is_another_name_that_is_read_alike);
    tcase_add_test(tcase, name_is_read_as_its_variable_is);
    tcase_add_loop_test(tcase, beyond_hop_is_nothing_that_connection_names, 0,
                        sizeof(beyond) / sizeof(beyond[0]));
    tcase_add_loop_test(tcase, hop_by_hop_fields_are_known, 0, sizeof(hops) / sizeof(hops[0]));
    tcase_add_test(tcase, name_takes_exactly_tchar);
    tcase_add_test(tcase, name_in_lower_case_is_the_name_where_it_is_valid);
    tcase_add_test(tcase, value_refuses_every_control_but_tab);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
