/* SPDX-License-Identifier: MIT */
/*
 * unit - what every Check runner here shares: one main() that runs one suite.
 */
#ifndef BRIM_TESTS_UNIT_H
#define BRIM_TESTS_UNIT_H

#include <check.h>
#include <stdlib.h>

/* Runs suite and returns the exit status for main(). Takes the suite. */
static inline int unit_run(Suite *suite)
{
    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
