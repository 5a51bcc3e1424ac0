/* SPDX-License-Identifier: MIT */
/*
 * A raw HTTP/1 header block. What passes is judged again by a reading that knows nothing of the
 * guard's: lines end in CRLF, there are no other controls, the framing fields are unequivocal.
 */
#include "brim/serve/guard.h"
#include "fuzz.h"

static bool take_line(struct brim_str *rest, struct brim_str *line_out)
{
    for (size_t i = 0; i + 1 < rest->len; i++)
        if (rest->base[i] == '\r' && rest->base[i + 1] == '\n') {
            *line_out = brim_str(rest->base, i);
            *rest = brim_str(rest->base + i + 2, rest->len - i - 2);
            return true;
        }
    return false;
}

static void check_text(struct brim_str line)
{
    for (size_t i = 0; i < line.len; i++) {
        unsigned char c = (unsigned char)line.base[i];

        INVARIANT(c == '\t' || (c >= ' ' && c != 0x7f));
    }
}

static void check_passed(struct brim_str rest)
{
    unsigned hosts = 0, lengths = 0, codings = 0;
    struct brim_str line;
    bool is_1_0;

    INVARIANT(take_line(&rest, &line));
    if (line.len == 0)
        INVARIANT(take_line(&rest, &line));
    check_text(line);
    INVARIANT(line.len > 8);
    is_1_0 = brim_str_is(brim_str(line.base + line.len - 8, 8), BRIM_STR("HTTP/1.0"));
    for (;;) {
        INVARIANT(take_line(&rest, &line));
        if (line.len == 0)
            break;
        check_text(line);
        INVARIANT(line.base[0] != ' ' && line.base[0] != '\t');
        const char *colon = memchr(line.base, ':', line.len);
        INVARIANT(colon != NULL && colon > line.base && colon[-1] != ' ' && colon[-1] != '\t');
        struct brim_str name = brim_str(line.base, (size_t)(colon - line.base));
        hosts += brim_str_is_nocase(name, BRIM_STR("host"));
        lengths += brim_str_is_nocase(name, BRIM_STR("content-length"));
        codings += brim_str_is_nocase(name, BRIM_STR("transfer-encoding"));
    }
    INVARIANT(hosts == 1 || (hosts == 0 && is_1_0));
    INVARIANT(lengths + codings <= 1);
    INVARIANT(codings == 0 || !is_1_0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct brim_guard_limits limits = {65536, 128, 8192};
    struct brim_str raw = brim_str((const char *)data, size);

    if (brim_guard_scan_h1(raw, &limits).status == 0)
        check_passed(raw);
    return 0;
}
