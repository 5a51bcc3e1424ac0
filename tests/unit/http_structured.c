/* SPDX-License-Identifier: MIT */
#include "brim/http/structured.h"

#include <stdio.h>

#include "http_fields.h"

/* What was read: `key=?1`, `key=42`, `key="text"`, `key=token:text`,
 * `key=bytes:hex`, `key=("text" "text")`, `key=*` for what has another type; NULL: not a
 * Dictionary. */
static const struct {
    const char *lines[FIELDS_MAX];
    const char *read;
} rows[] = {
    /* Dictionary: RFC 9651 4.2.2 */
    {{NULL}, ""},
    {{"x:"}, ""},
    {{"x:  "}, ""},
    {{"y: a"}, ""},
    {{"x: a"}, "a=?1"},
    {{"x: a=1"}, "a=1"},
    {{"x: a=1,b=2"}, "a=1 b=2"},
    {{"x: a=1 ,\t b=2"}, "a=1 b=2"},
    {{"x: a=1,"}, NULL},
    {{"x: a=1, "}, NULL},
    {{"x: ,a=1"}, NULL},
    {{"x: a=1,,b=2"}, NULL},
    {{"x: a=1 b=2"}, NULL},
    {{"x: a=1;b=2"}, "a=1"},
    {{"x: a="}, NULL},
    {{"x: a=,b"}, NULL},
    {{"x: a =1"}, NULL},
    {{"x: a= 1"}, NULL},
    {{"x: a=1 &"}, NULL},
    {{"x: a, &&&"}, NULL},
    {{"x: a, a=?0"}, "a=?1 a=?0"},
    /* several lines are one value: RFC 9651 4.2 */
    {{"x: a=1", "x: b=2"}, "a=1 b=2"},
    {{"x: a=1", "y: c=3", "x: b=2"}, "a=1 b=2"},
    {{"x: a=1", "x:"}, NULL},
    {{"x:", "x: a=1"}, NULL},
    {{"x:", "x:"}, NULL},
    {{"x: a=\"p", "x: q\""}, "a=\"p, q\""},
    {{"x: a=(1", "x: 2)"}, NULL},
    {{"x: a=1", "x: &"}, NULL},
    {{"x: &", "x: a=1"}, NULL},
    {{"x: a=", "x: 1"}, NULL},
    /* keys: 4.2.3.3 */
    {{"x: *"}, "*=?1"},
    {{"x: *a_-.*9=1"}, "*a_-.*9=1"},
    {{"x: A=1"}, NULL},
    {{"x: max-Age=1"}, NULL},
    {{"x: 1a=1"}, NULL},
    {{"x: -a=1"}, NULL},
    {{"x: _a=1"}, NULL},
    {{"x: \"a\"=1"}, NULL},
    {{"x: a\xc3\xa4=1"}, NULL},
    {{"x: =1"}, NULL},
    /* Integer and Decimal: 4.2.4 */
    {{"x: a=0"}, "a=0"},
    {{"x: a=-0"}, "a=0"},
    {{"x: a=-42"}, "a=-42"},
    {{"x: a=0042"}, "a=42"},
    {{"x: a=999999999999999"}, "a=999999999999999"},
    {{"x: a=-999999999999999"}, "a=-999999999999999"},
    {{"x: a=1000000000000000"}, NULL},
    {{"x: a=0000000000000001"}, NULL},
    {{"x: a=+1"}, NULL},
    {{"x: a=-"}, NULL},
    {{"x: a=--1"}, NULL},
    {{"x: a=1-"}, NULL},
    {{"x: a=1e3"}, NULL},
    {{"x: a=1.5"}, "a=*"},
    {{"x: a=-1.125"}, "a=*"},
    {{"x: a=1."}, NULL},
    {{"x: a=.5"}, NULL},
    {{"x: a=1.2.3"}, NULL},
    {{"x: a=1.1234"}, NULL},
    {{"x: a=123456789012.1"}, "a=*"},
    {{"x: a=1234567890123.1"}, NULL},
    /* String: 4.2.5 */
    {{"x: a=\"\""}, "a=\"\""},
    {{"x: a=\"p, q=r\""}, "a=\"p, q=r\""},
    {{"x: a=\"p\\\"q\\\\r\""}, "a=\"p\"q\\r\""},
    {{"x: a=\"p\\q\""}, NULL},
    {{"x: a=\"p"}, NULL},
    {{"x: a=\""}, NULL},
    {{"x: a=\"p\\"}, NULL},
    {{"x: a=\"p\"q"}, NULL},
    {{"x: a=\"p\tq\""}, NULL},
    {{"x: a=\"\x7f\""}, NULL},
    {{"x: a=\"\xc3\xa4\""}, NULL},
    {{"x: a='p'"}, NULL},
    /* Token: 4.2.6 */
    {{"x: a=token"}, "a=token:token"},
    {{"x: a=*t/o:k!#$%&'*+-.^_`|~9"}, "a=token:*t/o:k!#$%&'*+-.^_`|~9"},
    {{"x: a=to\"ken"}, NULL},
    {{"x: a=to=ken"}, NULL},
    {{"x: a=/t"}, NULL},
    /* Byte Sequence: 4.2.7 */
    {{"x: a=::"}, "a=bytes:"},
    {{"x: a=:eA==:"}, "a=bytes:78"},
    {{"x: a=:eA:"}, "a=bytes:78"},
    {{"x: a=:eHl6:"}, "a=bytes:78797a"},
    {{"x: a=:+/8BAA==:"}, "a=bytes:fbff0100"},
    {{"x: a=:AP9/gA:"}, "a=bytes:00ff7f80"},
    {{"x: a=:e:"}, NULL},
    {{"x: a=:e-A=:"}, NULL},
    {{"x: a=:eA==eA==:"}, NULL},
    {{"x: a=:eA=:"}, NULL},
    {{"x: a=:eA=="}, NULL},
    /* Boolean: 4.2.8 */
    {{"x: a=?1"}, "a=?1"},
    {{"x: a=?0"}, "a=?0"},
    {{"x: a=?2"}, NULL},
    {{"x: a=?"}, NULL},
    {{"x: a=?10"}, NULL},
    {{"x: a=?T"}, NULL},
    /* Date and Display String: 4.2.9, 4.2.10 */
    {{"x: a=@1659578233"}, "a=*"},
    {{"x: a=@-1"}, "a=*"},
    {{"x: a=@1.5"}, NULL},
    {{"x: a=@"}, NULL},
    {{"x: a=%\"p%c3%a4q\""}, "a=*"},
    {{"x: a=%\"p%C3%A4q\""}, NULL},
    {{"x: a=%\"%c3\""}, NULL},
    {{"x: a=%\"%c3p\""}, NULL},
    {{"x: a=%\"%a4\""}, NULL},
    {{"x: a=%\"%c0%80\""}, NULL},
    {{"x: a=%\"%ed%a0%80\""}, NULL},
    {{"x: a=%\"%ed%9f%bf\""}, "a=*"},
    {{"x: a=%\"%f4%90%80%80\""}, NULL},
    {{"x: a=%\"%f4%8f%bf%bf\""}, "a=*"},
    {{"x: a=%\"%4\""}, NULL},
    {{"x: a=%\"p"}, NULL},
    {{"x: a=%p"}, NULL},
    /* Inner List: 4.2.1.2 */
    {{"x: a=()"}, "a=()"},
    {{"x: a=(  )"}, "a=()"},
    {{"x: a=(\"p\")"}, "a=(\"p\")"},
    {{"x: a=(\"p\" \"\"  \"q r\";s=\"t\")"}, "a=(\"p\" \"\" \"q r\")"},
    {{"x: a=(\"p\" q)"}, "a=*"},
    {{"x: a=( 1  \"p\" t )"}, "a=*"},
    {{"x: a=(1;p 2;q=3);r, b"}, "a=* b=?1"},
    {{"x: a=(1,2)"}, NULL},
    {{"x: a=(1\t2)"}, NULL},
    {{"x: a=(1\"p\")"}, NULL},
    {{"x: a=((1))"}, NULL},
    {{"x: a=(1"}, NULL},
    {{"x: a=("}, NULL},
    {{"x: a=1)"}, NULL},
    /* Parameters: 4.2.3.2; read and dropped */
    {{"x: a;p"}, "a=?1"},
    {{"x: a;p=1;  q=\"r\";s=(1)"}, NULL},
    {{"x: a;p=1;  q=\"r, s\", b=2;t=?0"}, "a=?1 b=2"},
    {{"x: a=\"u\";p=\"v\""}, "a=\"u\""},
    {{"x: a;"}, NULL},
    {{"x: a;;p"}, NULL},
    {{"x: a ;p"}, NULL},
    {{"x: a;\tp"}, NULL},
    {{"x: a;P"}, NULL},
    {{"x: a;p="}, NULL},
};

static void write_strings(FILE *out, const struct brim_structured_member *member)
{
    (void)fputc('(', out);
    for (size_t at = 0; at < member->text_len; at += strlen(member->text + at) + 1)
        (void)fprintf(out, at == 0 ? "\"%s\"" : " \"%s\"", member->text + at);
    (void)fputc(')', out);
}

static void write_member(FILE *out, const struct brim_structured_member *member)
{
    (void)fprintf(out, "%.*s=", (int)member->key_len, member->key);
    switch (member->type) {
    case BRIM_STRUCTURED_BOOLEAN:
        (void)fprintf(out, "?%d", member->boolean);
        break;
    case BRIM_STRUCTURED_INTEGER:
        (void)fprintf(out, "%lld", (long long)member->integer);
        break;
    case BRIM_STRUCTURED_STRING:
        (void)fprintf(out, "\"%.*s\"", (int)member->text_len, member->text);
        break;
    case BRIM_STRUCTURED_TOKEN:
        (void)fprintf(out, "token:%.*s", (int)member->text_len, member->text);
        break;
    case BRIM_STRUCTURED_BYTES:
        (void)fprintf(out, "bytes:");
        for (size_t i = 0; i < member->text_len; i++)
            (void)fprintf(out, "%02x", (unsigned char)member->text[i]);
        break;
    case BRIM_STRUCTURED_STRINGS:
        write_strings(out, member);
        break;
    case BRIM_STRUCTURED_OTHER:
        (void)fputc('*', out);
        break;
    }
}

/* A parser that is more lenient than others makes the caches of one chain disagree. */
START_TEST(dictionaries_are_read_as_the_grammar_says)
{
    struct fields fields;
    struct brim_structured in =
        brim_structured_open(fields_of(rows[_i].lines, &fields), BRIM_STR("x"));
    struct brim_structured_member member;
    char text[512] = "";
    FILE *out = fmemopen(text, sizeof(text), "w");
    bool first = true;

    ck_assert_ptr_nonnull(out);
    for (; brim_structured_next(&in, &member); first = false) {
        if (!first)
            (void)fputc(' ', out);
        write_member(out, &member);
    }
    (void)fclose(out);
    ck_assert_msg(in.failed == (rows[_i].read == NULL), "%s", rows[_i].lines[0]);
    if (!in.failed)
        ck_assert_str_eq(text, rows[_i].read);
    ck_assert(!brim_structured_next(&in, &member));
}
END_TEST

/* An origin may send more than there is room for; what does not fit is known not to be there. */
START_TEST(long_texts_are_cut_and_say_so)
{
    char line[2 * BRIM_STRUCTURED_TEXT_BYTES] = "a=\"";
    size_t room = strlen(line) + BRIM_STRUCTURED_TEXT_BYTES;

    for (size_t extra = 0; extra < 2; extra++) {
        memset(line + 3, 'p', BRIM_STRUCTURED_TEXT_BYTES + extra);
        line[room + extra] = '"';
        struct brim_field field = {BRIM_STR("x"), {line, room + extra + 1}};
        struct brim_structured in =
            brim_structured_open((struct brim_fields){&field, 1}, field.name);
        struct brim_structured_member member;

        ck_assert(brim_structured_next(&in, &member));
        ck_assert_uint_eq(member.text_len, BRIM_STRUCTURED_TEXT_BYTES);
        ck_assert_int_eq(member.is_cut, extra == 1);
        ck_assert(!brim_structured_next(&in, &member) && !in.failed);
    }
}
END_TEST

static const struct {
    const char *lines[FIELDS_MAX];
    const char *read;
} item_rows[] = {
    {{NULL}, NULL},           {{"x:"}, NULL},
    {{"y: 1"}, NULL},         {{"x: 1"}, "=1"},
    {{"x:  1 "}, "=1"},       {{"x: 1;p=2"}, "=1"},
    {{"x: 1 ;p"}, NULL},      {{"x: 1 2"}, NULL},
    {{"x: 1, 2"}, NULL},      {{"x: 1", "x: 2"}, NULL},
    {{"x: \"p\""}, "=\"p\""}, {{"x: \"p", "x: q\""}, "=\"p, q\""},
    {{"x: (\"p\")"}, NULL},   {{"x: a=1"}, NULL},
    {{"x: a"}, "=token:a"},   {{"x: :AP8=:"}, "=bytes:00ff"},
};

/* A field that is one Item (RFC 9651 4.2.3) has no second one, on no line. */
START_TEST(items_are_read_as_the_grammar_says)
{
    struct fields fields;
    struct brim_structured_member item;
    char text[128] = "";
    FILE *out = fmemopen(text, sizeof(text), "w");
    bool valid =
        brim_structured_item(fields_of(item_rows[_i].lines, &fields), BRIM_STR("x"), &item);

    ck_assert_ptr_nonnull(out);
    write_member(out, &item);
    (void)fclose(out);
    ck_assert_msg(valid == (item_rows[_i].read != NULL), "row %d", _i);
    if (valid)
        ck_assert_str_eq(text, item_rows[_i].read);
}
END_TEST

/* Header bytes come from other machines: whatever they are, reading ends and stays inside. */
START_TEST(random_bytes_do_no_harm)
{
    static const char pieces[] = "a=1,;\"\\()?:@% *.-0\t\xc3\x80z";
    unsigned seed = 11;

    for (int i = 0; i < 100000; i++) {
        struct brim_field items[3];
        char text[3][16];
        struct brim_structured_member member;
        for (size_t n = 0; n < 3; n++) {
            size_t len = (size_t)rand_r(&seed) % sizeof(text[n]);
            for (size_t at = 0; at < len; at++)
                text[n][at] = pieces[(size_t)rand_r(&seed) % (sizeof(pieces) - 1)];
            items[n] = (struct brim_field){BRIM_STR("x"), {text[n], len}};
        }
        struct brim_structured in =
            brim_structured_open((struct brim_fields){items, 3}, BRIM_STR("x"));
        size_t count = 0;
        while (brim_structured_next(&in, &member))
            ck_assert_uint_le(++count, 3 * sizeof(text[0]));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http_structured");
    TCase *tcase = tcase_create("structured");

    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, dictionaries_are_read_as_the_grammar_says, 0,
                        sizeof(rows) / sizeof(rows[0]));
    tcase_add_loop_test(tcase, items_are_read_as_the_grammar_says, 0,
                        sizeof(item_rows) / sizeof(item_rows[0]));
    tcase_add_test(tcase, long_texts_are_cut_and_say_so);
    tcase_add_test(tcase, random_bytes_do_no_harm);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
