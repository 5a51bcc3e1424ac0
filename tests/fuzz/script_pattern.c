/* SPDX-License-Identifier: MIT */
/*
 * A Lua pattern on the first line, its subject behind it: it ends within its steps, and what it
 * finds lies in the subject.
 */
#include "brim/policy/script_pattern.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct brim_str subject = brim_str((const char *)data, size);
    struct brim_pattern match = {.pattern = fuzz_line(&subject), .steps_max = 20000};
    const char *end;

    match.subject = subject;
    end = brim_pattern_match(&match, subject.base);
    INVARIANT(match.error != NULL || match.steps <= match.steps_max);
    if (end == NULL)
        return 0;
    INVARIANT(end >= subject.base && end <= subject.base + subject.len);
    for (unsigned i = 0; i < match.captures; i++)
        INVARIANT(match.capture[i].base >= subject.base &&
                  match.capture[i].base <= subject.base + subject.len &&
                  match.capture[i].len <= (ptrdiff_t)subject.len);
    if (brim_pattern_is_plain(match.pattern))
        INVARIANT((size_t)(end - subject.base) == match.pattern.len);
    return 0;
}
