/* SPDX-License-Identifier: MIT */
#include "brim/serve/tls_tickets.h"

#include <stdio.h>
#include <string.h>

#include "unit.h"

#define HOURS (3600u * 1000u)

static enum brim_err read_file(size_t bytes, struct brim_tickets **tickets_out)
{
    static const char path[] = "tickets.key";
    FILE *file = fopen(path, "w");
    const char *why;
    enum brim_err err;

    ck_assert_ptr_nonnull(file);
    for (size_t i = 0; i < bytes; i++)
        fputc((int)(i / 80), file); /* each key is another byte */
    fclose(file);
    err = brim_tickets_read(path, tickets_out, &why);
    ck_assert((err == BRIM_OK) == (why == NULL));
    remove(path);
    return err;
}

START_TEST(the_first_key_of_a_file_encrypts_and_all_decrypt)
{
    unsigned char second[16], unknown[16];
    struct brim_tickets *tickets;

    memset(second, 1, sizeof(second));
    memset(unknown, 2, sizeof(unknown));
    ck_assert_int_eq(read_file(160, &tickets), BRIM_OK);
    ck_assert_int_eq(brim_tickets_newest(tickets, 0)->cipher[31], 0);
    ck_assert_int_eq(brim_tickets_newest(tickets, 1000 * HOURS)->cipher[31], 0);
    ck_assert_int_eq(brim_tickets_find(tickets, second)->mac[0], 1);
    ck_assert_ptr_null(brim_tickets_find(tickets, unknown));
    brim_tickets_free(tickets);
}
END_TEST

START_TEST(a_file_of_another_length_is_refused)
{
    static const size_t bad[] = {0, 48, 79, 81, 17 * 80};
    struct brim_tickets *tickets;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_int_eq(read_file(bad[i], &tickets), BRIM_EINVAL);
        ck_assert_ptr_null(tickets);
    }
    ck_assert_int_eq(read_file((size_t)16 * 80, &tickets), BRIM_OK);
    brim_tickets_free(tickets);
}
END_TEST

/* A key that leaks opens the sessions of some hours, not those of a year. */
START_TEST(own_keys_change_and_are_forgotten)
{
    struct brim_tickets *tickets = brim_tickets_new();
    struct brim_ticket_key first = *brim_tickets_newest(tickets, HOURS);

    ck_assert_mem_eq(brim_tickets_newest(tickets, 6 * HOURS), &first, sizeof(first));
    ck_assert_mem_ne(brim_tickets_newest(tickets, 7 * HOURS), &first, sizeof(first));
    ck_assert_ptr_nonnull(brim_tickets_find(tickets, first.name));
    (void)brim_tickets_newest(tickets, 13 * HOURS);
    ck_assert_ptr_nonnull(brim_tickets_find(tickets, first.name));
    (void)brim_tickets_newest(tickets, 19 * HOURS);
    ck_assert_ptr_null(brim_tickets_find(tickets, first.name));
    brim_tickets_free(tickets);
    brim_tickets_free(NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("serve_tls_tickets");
    TCase *tcase = tcase_create("all");

    tcase_add_test(tcase, the_first_key_of_a_file_encrypts_and_all_decrypt);
    tcase_add_test(tcase, a_file_of_another_length_is_refused);
    tcase_add_test(tcase, own_keys_change_and_are_forgotten);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
