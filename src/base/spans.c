/* SPDX-License-Identifier: MIT */
#include "brim/base/spans.h"

#include <string.h>

#define DIGITS_MAX 4

static const char *skip_blanks(const char *text)
{
    return text + strspn(text, " \t");
}

static bool read_number(const char **text, unsigned *number_out)
{
    const char *at = skip_blanks(*text);
    int digits = 0;

    *number_out = 0;
    for (; *at >= '0' && *at <= '9'; at++) {
        if (++digits > DIGITS_MAX)
            return false;
        *number_out = *number_out * 10 + (unsigned)(*at - '0');
    }
    *text = skip_blanks(at);
    return digits > 0;
}

static bool read_span(const char **text, struct brim_span *span)
{
    if (!read_number(text, &span->first))
        return false;
    span->last = span->first;
    if (**text != '-')
        return true;
    (*text)++;
    return read_number(text, &span->last) && span->last >= span->first;
}

enum brim_err brim_spans_parse(const char *text, struct brim_spans *spans_out)
{
    *spans_out = (struct brim_spans){.count = 0};
    for (;;) {
        if (spans_out->count == BRIM_SPANS_MAX)
            return BRIM_ELIMIT;
        if (!read_span(&text, &spans_out->items[spans_out->count++]))
            return BRIM_EINVAL;
        if (*text == '\0')
            return BRIM_OK;
        if (*text++ != ',')
            return BRIM_EINVAL;
    }
}

bool brim_spans_has(const struct brim_spans *spans, unsigned number)
{
    for (unsigned i = 0; i < spans->count; i++)
        if (number >= spans->items[i].first && number <= spans->items[i].last)
            return true;
    return false;
}
