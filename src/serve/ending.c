/* SPDX-License-Identifier: MIT */
#include "brim/serve/ending.h"

#include "brim/base/invariant.h"
#include "brim/base/metric.h"

#define FIRST_METRIC BRIM_METRIC_ENDED_RESETS
_Static_assert(BRIM_METRIC_ENDED_ADDRESS_BANNED - FIRST_METRIC ==
                   BRIM_ENDING_ADDRESS_BANNED - BRIM_ENDING_RESETS,
               "the rows of both tables stand in one order");

const char *brim_ending_text(enum brim_ending ending)
{
    static const char *const texts[] = {"",
#define ENDING_TEXT(id, text) text,
                                        BRIM_ENDING_TABLE(ENDING_TEXT)
#undef ENDING_TEXT
    };

    INVARIANT(ending < BRIM_ENDING_COUNT);
    return texts[ending];
}

void brim_ending_count(enum brim_ending ending)
{
    INVARIANT(ending != BRIM_ENDING_NONE && ending < BRIM_ENDING_COUNT);
    brim_metric_add((enum brim_metric)(FIRST_METRIC + (ending - BRIM_ENDING_RESETS)), 1);
}
