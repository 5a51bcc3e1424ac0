/* SPDX-License-Identifier: MIT */
#include "brim/base/conf_manual.h"

#include <stdlib.h>
#include <string.h>

#include "brim/base/conf_fault.h"
#include "brim/base/conf_table.h"
#include "unit.h"

static char *page;
static size_t page_len;

static void setup(void)
{
    FILE *out = open_memstream(&page, &page_len);

    ck_assert_ptr_nonnull(out);
    brim_conf_write_manual(out);
    (void)fclose(out);
}

static void teardown(void)
{
    free(page);
    page = NULL;
}

static void expect_rows(const struct brim_conf_table *table, struct brim_conf_text *path)
{
    for (size_t i = 0; i < table->field_count; i++) {
        const struct brim_conf_field *field = &table->fields[i];
        size_t before = path->len;
        char entry[sizeof(path->bytes) + 16];

        brim_conf_text_add(path, "%s%s%s", before == 0 ? "" : ".", field->key,
                           field->kind == BRIM_CONF_LIST ? "[]" : "");
        (void)snprintf(entry, sizeof(entry), "\n.TP\n.B %s\n", path->bytes);
        ck_assert_msg(strstr(page, entry) != NULL, "no paragraph for %s", path->bytes);
        if (field->kind != BRIM_CONF_OPTION)
            expect_rows(field->table, path);
        brim_conf_text_cut(path, before);
    }
}

/* An option that the manual does not have is one that nobody finds. */
START_TEST(every_row_of_the_table_has_its_paragraph)
{
    struct brim_conf_text path = {.len = 0};

    expect_rows(&brim_conf_table_root, &path);
}
END_TEST

/* The paragraph says what an operator asks for: what it does, what fits, what is there already. */
START_TEST(paragraph_has_text_range_default_and_reload)
{
    ck_assert_ptr_nonnull(strstr(page, "\n.B node.drain_timeout\n"
                                       "How long responses under way may take to finish after "
                                       "SIGTERM.\n.br\n("));
    ck_assert_ptr_nonnull(strstr(page, "; default 10s; reload)\n"));
    ck_assert_ptr_nonnull(strstr(page, "(sequence of 1 to 64)\n"));
}
END_TEST

/* A line of ours that begins with a dot would be taken for a request of roff, and be lost. */
START_TEST(text_is_no_roff)
{
    static const char *const requests[] = {".TP", ".B ", ".br", ".SH",
                                           ".TH", ".I ", ".BR", ".\\\""};

    for (const char *line = page; line != NULL && *line != '\0';) {
        size_t i = 0, known = sizeof(requests) / sizeof(requests[0]);

        while (*line == '.' && i < known && strncmp(line, requests[i], strlen(requests[i])) != 0)
            i++;
        ck_assert_msg(i < known, "not roff: %.40s", line);
        ck_assert_int_ne(*line, '\'');
        line = strchr(line, '\n');
        line = line == NULL ? NULL : line + 1;
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base/conf_manual");
    TCase *tc = tcase_create("manual");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, every_row_of_the_table_has_its_paragraph);
    tcase_add_test(tc, paragraph_has_text_range_default_and_reload);
    tcase_add_test(tc, text_is_no_roff);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
