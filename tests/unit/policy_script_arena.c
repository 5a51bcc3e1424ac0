/* SPDX-License-Identifier: MIT */
#include "brim/policy/script_arena.h"

#include <stdint.h>
#include <string.h>

#include "unit.h"

#define COUNT 20000 /* more than the piece holds */

static bool all_are(const unsigned char *bytes, size_t count, unsigned char wanted)
{
    for (size_t i = 0; i < count; i++)
        if (bytes[i] != wanted)
            return false;
    return true;
}

/* Objects keep their bytes while they grow and shrink through every size, beside thousands of
 * others that do the same; what is freed is given out again. */
START_TEST(objects_keep_their_bytes)
{
    static unsigned char *objects[COUNT];
    static size_t sizes[COUNT];
    struct brim_script_arena arena = {0};
    uint64_t state = 7;
    bool is_fine = true;

    for (int step = 0; step < 10 * COUNT && is_fine; step++) { /* a check a step takes seconds */
        size_t at, bytes, same;

        state = state * 6364136223846793005u + 1442695040888963407u;
        at = (size_t)(state >> 33) % COUNT;
        bytes = 1 + (size_t)(state >> 20) % 700;
        if (objects[at] != NULL && bytes % 5 == 0) {
            is_fine = is_fine && objects[at][sizes[at] - 1] == (at & 0xff);
            brim_script_arena_free(&arena, objects[at], sizes[at]);
            objects[at] = NULL;
            continue;
        }
        same = objects[at] == NULL ? 0 : (bytes < sizes[at] ? bytes : sizes[at]);
        objects[at] = brim_script_arena_resize(&arena, objects[at], sizes[at], bytes);
        is_fine = is_fine && objects[at] != NULL && (uintptr_t)objects[at] % 16 == 0 &&
                  all_are(objects[at], same, (unsigned char)(at & 0xff));
        memset(objects[at], (int)(at & 0xff), bytes);
        sizes[at] = bytes;
    }
    ck_assert(is_fine);
    for (size_t at = 0; at < COUNT; at++)
        if (objects[at] != NULL)
            brim_script_arena_free(&arena, objects[at], sizes[at]);
    brim_script_arena_free(&arena, NULL, 0);
    brim_script_arena_fini(&arena);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("policy.script_arena");
    TCase *tcase = tcase_create("script_arena");

    tcase_add_test(tcase, objects_keep_their_bytes);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
