/* SPDX-License-Identifier: MIT */
/*
 * Attacks on HTTP/2 against libh2o with the guard in front of it, and, where it matters that the
 * attack is real, without. The server is a child process: an assert in the library ends only that.
 */
#include "serve_rig.h"

#define ATTEMPTS 20 /* on a loaded machine the pipe may not be full when it should be */

static struct rig rig;
static struct h2_raw raw;

static void start(void)
{
    signal(SIGPIPE, SIG_IGN);
    rig_conf(&rig);
    rig_start(&rig, RIG_GUARDED);
}

static void start_banning(void)
{
    signal(SIGPIPE, SIG_IGN);
    rig_conf(&rig);
    rig.conf.abuse.strikes = 3;
    rig_start(&rig, RIG_GUARDED);
}

static void stop(void)
{
    h2_raw_close(&raw);
    ck_assert_int_eq(rig_stop(&rig), 0);
}

static void open_raw(void)
{
    ck_assert(h2_raw_open(&raw, rig.port, 65535, 0));
}

/* The attacker's connection ends, and nobody else notices. */
static void expect_killed(void)
{
    ck_assert_msg(h2_raw_drained(&raw, H2_RAW_WAIT_MS), "the connection was not ended");
    ck_assert(h2_raw_is_alive(rig.port));
}

/* ---- what has to go on working ---- */

/* A guard that hurts well-behaved clients would be worse than none. */
START_TEST(ordinary_requests_are_served)
{
    open_raw();
    for (int i = 0; i < 50; i++) {
        uint32_t stream = h2_raw_get(&raw, i % 2 ? "/" : "/two");

        ck_assert(h2_raw_flush(&raw));
        ck_assert(h2_raw_finish(&raw, stream));
    }
}
END_TEST

/* Frames arrive in whatever pieces the network makes of them. */
START_TEST(input_may_come_byte_by_byte)
{
    open_raw();
    uint32_t first = h2_raw_get(&raw, "/");
    h2_raw_ping(&raw);
    uint32_t second = h2_raw_get(&raw, "/two");
    for (size_t i = 0, len = raw.out_len; i < len; i++)
        ck_assert_int_eq(send(raw.fd, raw.out + i, 1, MSG_NOSIGNAL), 1);
    raw.out_len = 0;
    ck_assert(h2_raw_finish(&raw, first));
    ck_assert(h2_raw_finish(&raw, second));
}
END_TEST

/* A header block may span frames; the guard must find its end where h2o does. */
START_TEST(header_blocks_may_be_continued_and_padded)
{
    uint8_t block[256], padded[300] = {7};
    uint32_t len = h2_raw_block(block, "GET", "/");

    open_raw();
    h2_raw_frame(&raw, (struct h2_raw_frame){1, 3, H2_HEADERS, H2_END_STREAM, block});
    h2_raw_frame(&raw, (struct h2_raw_frame){1, 0, H2_CONTINUATION, 0, block});
    h2_raw_frame(&raw,
                 (struct h2_raw_frame){1, len - 3, H2_CONTINUATION, H2_END_HEADERS, block + 3});
    ck_assert(h2_raw_flush(&raw));
    ck_assert(h2_raw_finish(&raw, 1));
    memcpy(padded + 6, block, len); /* 1 padding length, 5 priority */
    padded[4] = 0;
    padded[5] = 15;
    h2_raw_frame(&raw, (struct h2_raw_frame){3, len + 13, H2_HEADERS,
                                             H2_END_STREAM | H2_END_HEADERS | H2_PRIORITIZED | 0x8,
                                             padded});
    ck_assert(h2_raw_flush(&raw));
    ck_assert(h2_raw_finish(&raw, 3));
}
END_TEST

/* RFC 9113 4.1: unknown frame types are ignored. Clients send them on purpose (RFC 8701). */
START_TEST(unknown_frames_are_ignored)
{
    static const uint8_t payload[100];

    open_raw();
    for (int i = 0; i < 20; i++)
        h2_raw_frame(&raw,
                     (struct h2_raw_frame){0, (uint32_t)i * 5, (uint8_t)(10 + i), 0xff, payload});
    uint32_t stream = h2_raw_get(&raw, "/");
    h2_raw_frame(&raw, (struct h2_raw_frame){stream, 100, 0xbe, 0, payload});
    ck_assert(h2_raw_flush(&raw));
    ck_assert(h2_raw_finish(&raw, stream));
}
END_TEST

/* A browser that leaves a page cancels everything at once; its connection must survive that. */
START_TEST(a_client_may_cancel_its_requests)
{
    open_raw();
    for (int i = 0; i < 60; i++) {
        uint32_t stream = h2_raw_get(&raw, "/wait");

        h2_raw_word(&raw, H2_RST_STREAM, stream, 8);
    }
    uint32_t stream = h2_raw_get(&raw, "/");
    ck_assert(h2_raw_flush(&raw));
    ck_assert(h2_raw_finish(&raw, stream));
}
END_TEST

/* A slow reader with a full pipe makes h2o stop reading; the filter must be there afterwards. */
START_TEST(a_large_response_passes_a_slow_reader)
{
    struct h2_raw_frame frame;
    uint64_t bytes = 0;

    ck_assert(h2_raw_open(&raw, rig.port, 1 << 24, 4096));
    uint32_t stream = h2_raw_get(&raw, "/big");
    ck_assert(h2_raw_flush(&raw));
    while (h2_raw_read(&raw, &frame, H2_RAW_WAIT_MS)) {
        if (frame.type != H2_DATA || frame.stream != stream)
            continue;
        bytes += frame.len;
        if (frame.flags & H2_END_STREAM)
            break;
    }
    ck_assert_uint_eq(bytes, RIG_BIG_BYTES);
}
END_TEST

/* h2o stops reading while half a MiB of output waits, and starts again with its own callback. The
 * filter must be back by then, and what it held back meanwhile must not be lost. */
START_TEST(the_filter_is_there_after_h2o_stopped_reading)
{
    struct h2_raw_frame frame;
    unsigned ended = 0;

    ck_assert(h2_raw_open(&raw, rig.port, 1 << 24, 4096));
    (void)h2_raw_get(&raw, "/big");
    ck_assert(h2_raw_flush(&raw));
    ck_assert(!h2_raw_is_hung_up(&raw, 50)); /* the pipe is full by now */
    for (int i = 0; i < 90; i++)
        (void)h2_raw_get(&raw, "/head");
    ck_assert(h2_raw_flush(&raw));
    while (ended < 91 && h2_raw_read(&raw, &frame, H2_RAW_WAIT_MS))
        ended += frame.type == H2_DATA && frame.flags & H2_END_STREAM;
    ck_assert_uint_eq(ended, 91);
    (void)h2_raw_get(&raw, "/wait"); /* no idle timeout: only the flood can end it */
    for (int i = 0; i < 5000 && !raw.closed; i++)
        h2_raw_frame(&raw, (struct h2_raw_frame){0, 0, 0x42, 0, NULL});
    (void)h2_raw_flush(&raw);
    ck_assert(h2_raw_drained(&raw, H2_RAW_WAIT_MS));
}
END_TEST

/* What the guard refuses is answered, on that stream only. */
START_TEST(refused_requests_leave_the_connection_alone)
{
    struct h2_raw_frame frame;

    open_raw();
    uint32_t bad = h2_raw_get(&raw, "/a b"), good = h2_raw_get(&raw, "/");
    ck_assert(h2_raw_flush(&raw));
    while (h2_raw_read(&raw, &frame, H2_RAW_WAIT_MS) && frame.type != H2_HEADERS)
        continue;
    ck_assert_uint_eq(frame.stream, bad);
    ck_assert_uint_eq(frame.payload[0], 0x8c); /* :status 400, static table */
    ck_assert(h2_raw_finish(&raw, good));
}
END_TEST

/* ---- attacks ---- */

/* The proof that the next test attacks anything: without the guard the library asserts. */
START_TEST(unguarded_h2o_dies_of_a_window_opened_too_late)
{
    struct rig bare = {0};

    rig_conf(&bare);
    rig_start(&bare, RIG_BARE);
    ck_assert(h2_raw_is_alive(bare.port));
    for (int i = 0; i < ATTEMPTS && h2_raw_is_alive(bare.port); i++)
        h2_attack_assert(bare.port, "/", RIG_BODY_BYTES,
                         _i == 0 ? H2_ASSERT_WINDOW : H2_ASSERT_SETTINGS);
    ck_assert_int_eq(rig_wait_death(&bare), SIGABRT);
}
END_TEST

/* With the guard it takes the same frames and lives: upstream 00977f672. */
START_TEST(guarded_h2o_survives_a_window_opened_too_late)
{
    h2_attack_assert(rig.port, "/", RIG_BODY_BYTES,
                     _i == 0 ? H2_ASSERT_WINDOW : H2_ASSERT_SETTINGS);
    ck_assert(h2_raw_is_alive(rig.port));
}
END_TEST

/* Sends requests for bodies of two pieces, nobody reads, then makes h2o reset the streams in one
 * read with the frame that opens their windows again. */
static void attack_by_reset(uint16_t port, int how)
{
    enum { ROUNDS = 120, BURST = 50, BACK = 100 };

    if (!h2_raw_open(&raw, port, RIG_BODY_BYTES, 4096))
        return;
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < BURST; i++)
            (void)h2_raw_get(&raw, "/two");
        if (!h2_raw_flush_within(&raw, 100) || h2_raw_is_hung_up(&raw, 5))
            break;
        uint32_t first = raw.next_stream > 2 * BACK ? raw.next_stream - 2 * BACK : 1;
        for (uint32_t stream = first; stream < raw.next_stream; stream += 2) {
            if (how == 0)
                h2_raw_word(&raw, H2_RST_STREAM, stream, 8);
            else if (how == 1)
                h2_raw_word(&raw, H2_WINDOW_UPDATE, stream, 0);
            else
                h2_raw_frame(&raw,
                             (struct h2_raw_frame){stream, 1, H2_DATA, 0, (const uint8_t *)"x"});
            h2_raw_word(&raw, H2_WINDOW_UPDATE, stream, 1);
        }
        if (!h2_raw_flush_within(&raw, 100) || h2_raw_is_hung_up(&raw, 5))
            break;
    }
    h2_raw_close(&raw);
}

/* A stream can be ended by the very read that then opens its window: also an assert. */
START_TEST(unguarded_h2o_dies_of_a_stream_reset_while_its_write_is_blocked)
{
    struct rig bare = {0};

    rig_conf(&bare);
    rig_start(&bare, RIG_BARE);
    ck_assert(h2_raw_is_alive(bare.port));
    for (int i = 0; i < ATTEMPTS && h2_raw_is_alive(bare.port); i++)
        attack_by_reset(bare.port, _i);
    ck_assert_int_eq(rig_wait_death(&bare), SIGABRT);
}
END_TEST

START_TEST(guarded_h2o_survives_a_stream_reset_while_its_write_is_blocked)
{
    attack_by_reset(rig.port, _i);
    ck_assert(h2_raw_is_alive(rig.port));
}
END_TEST

/* CVE-2023-44487: a request costs us work, its cancellation costs the client nothing. */
START_TEST(rapid_reset_ends_the_connection)
{
    open_raw();
    for (int i = 0; i < 5000 && !raw.closed; i++) {
        uint32_t stream = h2_raw_get(&raw, "/wait");

        h2_raw_word(&raw, H2_RST_STREAM, stream, 8);
    }
    (void)h2_raw_flush(&raw);
    expect_killed();
}
END_TEST

/* CVE-2025-8671: the same, with resets that the client tricks the server into. */
START_TEST(made_resets_end_the_connection)
{
    open_raw();
    for (int i = 0; i < 5000 && !raw.closed; i++) {
        uint32_t stream = h2_raw_get(&raw, "/wait");

        if (_i == 0)
            h2_raw_word(&raw, H2_WINDOW_UPDATE, stream, 0);
        else if (_i == 1)
            h2_raw_frame(&raw, (struct h2_raw_frame){stream, 1, H2_DATA, 0, (const uint8_t *)"x"});
        else
            h2_raw_word(&raw, H2_WINDOW_UPDATE, stream, 0x7fffffff);
    }
    (void)h2_raw_flush(&raw);
    expect_killed();
}
END_TEST

/* The same before anything of ours has seen the request: only the library's own resets tell. */
START_TEST(resets_made_without_a_request_end_the_connection)
{
    uint8_t block[256];

    open_raw();
    (void)h2_raw_get(&raw, "/wait"); /* no idle timeout: only the flood can end it */
    if (_i == 0)                     /* a stream that has ended */
        ck_assert(h2_raw_finish(&raw, (h2_raw_get(&raw, "/"), h2_raw_flush(&raw), 3)));
    for (int i = 0; i < 20000 && !raw.closed; i++) {
        uint32_t len = h2_raw_block(block, "POST", "/");

        if (_i == 0) {
            h2_raw_frame(&raw, (struct h2_raw_frame){3, 1, H2_DATA, 0, (const uint8_t *)"x"});
        } else if (_i == 1) { /* a body that its Content-Length contradicts */
            memcpy(block + len, "\x0f\x0d\x01\x35", 4);
            h2_raw_frame(&raw, (struct h2_raw_frame){raw.next_stream, len + 4, H2_HEADERS,
                                                     H2_END_HEADERS, block});
            h2_raw_frame(&raw, (struct h2_raw_frame){raw.next_stream, 1, H2_DATA, H2_END_STREAM,
                                                     (const uint8_t *)"x"});
            raw.next_stream += 2;
        } else if (_i == 2) { /* more streams than are allowed */
            (void)h2_raw_request(&raw, "POST", "/", H2_END_HEADERS);
        } else { /* no :method */
            h2_raw_frame(&raw, (struct h2_raw_frame){raw.next_stream, 1, H2_HEADERS,
                                                     H2_END_HEADERS | H2_END_STREAM,
                                                     (const uint8_t *)"\x86"});
            raw.next_stream += 2;
        }
    }
    (void)h2_raw_flush(&raw);
    expect_killed();
}
END_TEST

/* CVE-2019-9512, 9513, 9515, 9518: small frames that ask for nothing but work. */
START_TEST(control_frame_floods_end_the_connection)
{
    open_raw();
    for (int i = 0; i < 20000 && !raw.closed; i++) {
        static const uint8_t priority[5] = {0, 0, 0, 0, 15};

        switch (_i) {
        case 0:
            h2_raw_ping(&raw);
            break;
        case 1:
            h2_raw_setting(&raw, 4, 65535 + (uint32_t)i % 2);
            break;
        case 2:
            h2_raw_frame(&raw, (struct h2_raw_frame){1, 5, H2_PRIORITY, 0, priority});
            break;
        case 3:
            h2_raw_word(&raw, H2_WINDOW_UPDATE, 0, 1);
            break;
        case 4:
            h2_raw_frame(&raw, (struct h2_raw_frame){0, 5, 0x42, 0, priority});
            break;
        case 5:
            if (i == 0)
                (void)h2_raw_request(&raw, "POST", "/", H2_END_HEADERS);
            h2_raw_frame(&raw, (struct h2_raw_frame){1, 0, H2_DATA, 0, NULL});
            break;
        default: /* nothing but padding */
            if (i == 0)
                (void)h2_raw_request(&raw, "POST", "/", H2_END_HEADERS);
            h2_raw_frame(
                &raw, (struct h2_raw_frame){1, 5, H2_DATA, 0x8, (const uint8_t *)"\x04\0\0\0\0"});
            break;
        }
    }
    (void)h2_raw_flush(&raw);
    expect_killed();
}
END_TEST

static const uint8_t piece[16384];

static void send_body(uint32_t stream, int pieces)
{
    for (int i = 0; i < pieces && !raw.closed; i++)
        h2_raw_frame(&raw, (struct h2_raw_frame){stream, sizeof(piece), H2_DATA, 0, piece});
    ck_assert(h2_raw_flush(&raw));
}

/* What became of a stream: the error of its RST_STREAM, or 0 for an answer. */
static uint32_t outcome_of(uint32_t stream)
{
    struct h2_raw_frame frame;

    while (h2_raw_read(&raw, &frame, H2_RAW_WAIT_MS)) {
        if (frame.stream == stream && frame.type == H2_RST_STREAM)
            return h2_raw_get32(frame.payload);
        if (frame.stream == stream && frame.flags & H2_END_STREAM)
            return 0;
    }
    ck_abort_msg("the connection was ended");
    return 0;
}

/* limits.request_body is for one stream; a hundred of them must not be a hundred times as much. The
 * rig allows 1 MiB a connection. */
START_TEST(bodies_of_a_connection_are_bounded)
{
    uint32_t streams[40];

    open_raw();
    for (int i = 0; i < 40; i++)
        streams[i] = h2_raw_request(&raw, "POST", "/", H2_END_HEADERS);
    for (int i = 0; i < 40; i++)
        send_body(streams[i], 8);                  /* 128 KiB each, 5 MiB in all */
    ck_assert_uint_eq(outcome_of(streams[39]), 7); /* REFUSED_STREAM: may be tried again */
    h2_raw_frame(&raw, (struct h2_raw_frame){streams[0], 1, H2_DATA, H2_END_STREAM, piece});
    ck_assert(h2_raw_flush(&raw));
    ck_assert_uint_eq(outcome_of(streams[0]), 0); /* who was there first is served */
    uint32_t next = h2_raw_request(&raw, "POST", "/", H2_END_HEADERS);
    h2_raw_frame(&raw, (struct h2_raw_frame){next, 9, H2_DATA, H2_END_STREAM, piece});
    ck_assert(h2_raw_flush(&raw));
    ck_assert_uint_eq(outcome_of(next), 0); /* and makes room for others */
    ck_assert_int_lt(rig_memory_kib(&rig, "VmRSS:"), 64 * 1024);
}
END_TEST

/* A client learns that it was refused a round trip later; until then it sends, which is no abuse.
 */
START_TEST(a_refused_upload_may_run_out)
{
    uint32_t stream;

    open_raw();
    stream = h2_raw_request(&raw, "POST", "/", H2_END_HEADERS);
    send_body(stream, 600); /* 10 MiB */
    stream = h2_raw_get(&raw, "/");
    ck_assert(h2_raw_flush(&raw));
    ck_assert_uint_eq(outcome_of(stream), 0);
}
END_TEST

/* Whether a new connection is served. */
static bool is_let_in(void)
{
    bool is_in;

    if (!h2_raw_open(&raw, rig.port, 65535, 0))
        return false;
    uint32_t stream = h2_raw_get(&raw, "/");
    is_in = h2_raw_flush(&raw) && h2_raw_finish(&raw, stream);
    h2_raw_close(&raw);
    return is_in;
}

/* A new connection has a new budget; the address has only so many. */
START_TEST(abuse_bans_the_address)
{
    int rounds = 0;

    for (; rounds < 40 && is_let_in(); rounds++) {
        open_raw();
        for (int i = 0; i < (_i == 0 ? 5000 : 180) && !raw.closed; i++) {
            /* enough to be ended for, or nearly so */
            uint32_t stream = h2_raw_get(&raw, "/wait");
            h2_raw_word(&raw, H2_RST_STREAM, stream, 8);
        }
        (void)h2_raw_flush(&raw);
        if (_i == 0) {
            ck_assert(h2_raw_drained(&raw, H2_RAW_WAIT_MS));
        } else { /* until all of it was looked at, unless the ban has come meanwhile */
            uint32_t stream = h2_raw_get(&raw, "/");
            (void)(h2_raw_flush(&raw) && h2_raw_finish(&raw, stream));
        }
        h2_raw_close(&raw);
    }
    if (_i == 0)
        ck_assert_int_eq(rounds, 3);
    else
        ck_assert_int_lt(rounds, 12);
}
END_TEST

/* One byte of the client's is a 4 KiB field of ours: without a limit 8 MB become 760 MiB. */
START_TEST(header_amplification_is_bounded)
{
    static uint8_t block[16384];
    long before = rig_memory_kib(&rig, "VmRSS:");
    uint32_t len;

    open_raw();
    len = h2_raw_block(block, "GET", "/wait");
    block[len++] = 0x40; /* into the dynamic table: x: 3,900 bytes */
    block[len++] = 1;
    block[len++] = 'x';
    block[len++] = 0x7f;
    block[len++] = ((3900 - 127) & 0x7f) | 0x80;
    block[len++] = (3900 - 127) >> 7;
    memset(block + len, 'v', 3900);
    len += 3900;
    h2_raw_frame(&raw,
                 (struct h2_raw_frame){1, len, H2_HEADERS, H2_END_STREAM | H2_END_HEADERS, block});
    ck_assert(h2_raw_flush(&raw));
    len = h2_raw_block(block, "GET", "/wait");
    memset(block + len, 0x80 | 62, sizeof(block) - len);
    for (uint32_t stream = 3; stream < 200 && !raw.closed; stream += 2) {
        h2_raw_frame(
            &raw, (struct h2_raw_frame){stream, sizeof(block), H2_HEADERS, H2_END_STREAM, block});
        h2_raw_frame(&raw, (struct h2_raw_frame){stream, sizeof(block), H2_CONTINUATION,
                                                 H2_END_HEADERS, block});
    }
    (void)h2_raw_flush(&raw);
    expect_killed();
    ck_assert_int_lt(rig_memory_kib(&rig, "VmHWM:") - before, 64 * 1024);
}
END_TEST

/* Header blocks that have come together are not decoded together: a few bytes of HPACK may be a
 * megabyte, and others are to be served between. 16 KiB of them in one turn of the loop, and the
 * rest of the block that goes beyond. */
START_TEST(header_blocks_are_decoded_in_turns)
{
    enum { REQUESTS = 60, FIELD_BYTES = 1000, TURN_BYTES = 16384 };
    static const char *const paths[] = {"/wait", "/",
                                        "/"}; /* nothing is written meanwhile, or much */
    uint8_t block[2048];
    uint32_t len;

    open_raw();
    len = h2_raw_block(block, "GET", paths[_i]);
    block[len++] = 0x00; /* x: so many bytes, not indexed */
    block[len++] = 1;
    block[len++] = 'x';
    block[len++] = 0x7f;
    block[len++] = ((FIELD_BYTES - 127) & 0x7f) | 0x80;
    block[len++] = (FIELD_BYTES - 127) >> 7;
    memset(block + len, 'v', FIELD_BYTES);
    len += FIELD_BYTES;
    for (uint32_t i = 0; i < REQUESTS; i++) {
        h2_raw_frame(&raw, (struct h2_raw_frame){2 * i + 1, len, H2_HEADERS,
                                                 H2_END_STREAM | H2_END_HEADERS, block});
        if (_i == 2) /* more comes while some wait */
            ck_assert(h2_raw_flush(&raw));
    }
    ck_assert(_i == 2 || raw.out_len > 3 * TURN_BYTES); /* leaves in one piece */
    ck_assert(h2_raw_flush(&raw));
    for (int i = 0; i < 3000 && rig.seen->requests < REQUESTS; i++)
        (void)poll(NULL, 0, 10);
    ck_assert_uint_eq(rig.seen->requests, REQUESTS);
    ck_assert_uint_le(rig.seen->most, TURN_BYTES / len + 1);
}
END_TEST

/* Frames that continue a header block without adding to it: CERT VU#421644. */
START_TEST(continuation_floods_end_the_connection)
{
    static const uint8_t filler[8192] = {0};
    uint8_t block[256];
    uint32_t len = h2_raw_block(block, "GET", "/");

    open_raw();
    h2_raw_frame(&raw, (struct h2_raw_frame){1, len, H2_HEADERS, H2_END_STREAM, block});
    for (int i = 0; i < 1000 && !raw.closed; i++)
        h2_raw_frame(&raw, (struct h2_raw_frame){1, _i == 0 ? 0 : sizeof(filler), H2_CONTINUATION,
                                                 0, filler});
    (void)h2_raw_flush(&raw);
    expect_killed();
}
END_TEST

/* After its last GOAWAY h2o parses a continued header block for ever, on the thread of everybody.
 */
START_TEST(a_header_block_held_over_the_drain_does_not_stop_the_loop)
{
    static struct h2_raw other;
    struct h2_raw_frame frame;
    uint32_t last = 0x7fffffff;

    open_raw();
    (void)h2_raw_get(&raw, "/wait"); /* or the connection would just close */
    uint32_t stream = h2_raw_request(&raw, "GET", "/", H2_END_STREAM);
    ck_assert(h2_raw_flush(&raw));
    ck_assert(h2_raw_open(&other, rig.port, 65535, 0));
    uint32_t drain = h2_raw_get(&other, "/drain");
    ck_assert(h2_raw_flush(&other) && h2_raw_finish(&other, drain));
    h2_raw_close(&other);
    while (last == 0x7fffffff && h2_raw_read(&raw, &frame, H2_RAW_WAIT_MS))
        if (frame.type == H2_GOAWAY)
            last = h2_raw_get32(frame.payload);
    ck_assert_uint_eq(last, stream);
    h2_raw_frame(&raw, (struct h2_raw_frame){stream, 1, H2_CONTINUATION, H2_END_HEADERS,
                                             (const uint8_t *)"\x84"});
    ck_assert(h2_raw_flush(&raw));
    expect_killed();
}
END_TEST

/* What h2o must see to end the connection politely is not hidden from it. */
START_TEST(protocol_errors_are_answered_by_h2o)
{
    static const uint8_t big[17000];
    struct h2_raw_frame frame;

    open_raw();
    switch (_i) {
    case 0: /* larger than SETTINGS_MAX_FRAME_SIZE */
        h2_raw_frame(&raw, (struct h2_raw_frame){1, sizeof(big), H2_DATA, 0, big});
        break;
    case 1: /* another frame inside a header block */
        (void)h2_raw_request(&raw, "GET", "/", H2_END_STREAM);
        h2_raw_ping(&raw);
        break;
    case 2: /* a known frame of unknown type inside one */
        (void)h2_raw_request(&raw, "GET", "/", H2_END_STREAM);
        h2_raw_frame(&raw, (struct h2_raw_frame){1, 0, 0x42, 0, big});
        break;
    case 3:
        h2_raw_frame(&raw, (struct h2_raw_frame){1, 0, H2_CONTINUATION, H2_END_HEADERS, big});
        break;
    default:
        h2_raw_word(&raw, H2_PUSH_PROMISE, 1, 2);
        break;
    }
    ck_assert(h2_raw_flush(&raw));
    while (h2_raw_read(&raw, &frame, H2_RAW_WAIT_MS) && frame.type != H2_GOAWAY)
        continue;
    ck_assert_uint_eq(frame.type, H2_GOAWAY);
    expect_killed();
}
END_TEST

/* A connection that was killed must go away whatever it holds: streams, windows of zero, backlog.
 */
START_TEST(killed_connections_close_with_streams_open)
{
    ck_assert(h2_raw_open(&raw, rig.port, _i == 0 ? 0 : 1 << 24, 4096));
    for (int i = 0; i < 50; i++)
        (void)h2_raw_get(&raw, _i == 2 ? "/wait" : "/big");
    ck_assert(h2_raw_flush(&raw));
    for (int i = 0; i < 20000 && !raw.closed; i++)
        h2_raw_ping(&raw);
    (void)h2_raw_flush(&raw);
    expect_killed();
}
END_TEST

/* Random frames find what nobody thought of. The seed is in the name of the test case's index. */
START_TEST(random_frames_do_not_kill_the_server)
{
    uint64_t state = (uint64_t)_i * 0x9e3779b97f4a7c15u + 1;
    uint8_t payload[64];

    for (int connection = 0; connection < 20; connection++) {
        ck_assert(h2_raw_open(&raw, rig.port, RIG_BODY_BYTES, 4096));
        for (int i = 0; i < 400 && !raw.closed; i++) {
            uint64_t r = state = state * 6364136223846793005u + 1442695040888963407u;
            uint32_t back = 2 * (uint32_t)(r >> 60);
            uint32_t stream = raw.next_stream > back ? raw.next_stream - back : 0;

            if (r >> 32 & 1) {
                (void)h2_raw_get(&raw, r >> 33 & 1 ? "/two" : "/");
                continue;
            }
            for (size_t j = 0; j < sizeof(payload); j++)
                payload[j] = (uint8_t)(r >> j % 56);
            uint8_t type = (uint8_t)((r >> 40) % 11);
            static const uint8_t lens[] = {1, 9, 5, 4, 6, 4, 8, 8, 4, 3, 7};
            uint32_t len = r >> 45 & 7 ? lens[type] : (uint32_t)(r >> 48 & 31);
            if (type == H2_SETTINGS || type == H2_PING)
                stream = 0;
            if (type == H2_SETTINGS && len == 6)
                memcpy(payload, "\x00\x04\x00\x00\x04", 5);
            if (type == H2_WINDOW_UPDATE)
                memset(payload, 0, 3);
            if (type == H2_PUSH_PROMISE || type == H2_CONTINUATION)
                type = H2_RST_STREAM;
            h2_raw_frame(&raw,
                         (struct h2_raw_frame){stream, len, type, (uint8_t)(r >> 52), payload});
        }
        (void)h2_raw_flush_within(&raw, 100);
        (void)h2_raw_is_hung_up(&raw, 2);
        h2_raw_close(&raw);
    }
    ck_assert(h2_raw_is_alive(rig.port));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("serve_guard_h2");
    TCase *serves = tcase_create("serves"), *attacks = tcase_create("attacks"),
          *bans = tcase_create("bans");

    tcase_add_checked_fixture(serves, start, stop);
    tcase_set_timeout(serves, 60);
    tcase_add_test(serves, ordinary_requests_are_served);
    tcase_add_test(serves, input_may_come_byte_by_byte);
    tcase_add_test(serves, header_blocks_may_be_continued_and_padded);
    tcase_add_test(serves, unknown_frames_are_ignored);
    tcase_add_test(serves, a_client_may_cancel_its_requests);
    tcase_add_test(serves, a_large_response_passes_a_slow_reader);
    tcase_add_test(serves, the_filter_is_there_after_h2o_stopped_reading);
    tcase_add_test(serves, refused_requests_leave_the_connection_alone);
    suite_add_tcase(suite, serves);
    tcase_add_checked_fixture(attacks, start, stop);
    tcase_set_timeout(attacks, 60);
    tcase_add_loop_test(attacks, unguarded_h2o_dies_of_a_window_opened_too_late, 0, 2);
    tcase_add_loop_test(attacks, guarded_h2o_survives_a_window_opened_too_late, 0, 2);
    tcase_add_loop_test(attacks, unguarded_h2o_dies_of_a_stream_reset_while_its_write_is_blocked, 0,
                        3);
    tcase_add_loop_test(attacks, guarded_h2o_survives_a_stream_reset_while_its_write_is_blocked, 0,
                        3);
    tcase_add_test(attacks, rapid_reset_ends_the_connection);
    tcase_add_loop_test(attacks, made_resets_end_the_connection, 0, 3);
    tcase_add_loop_test(attacks, control_frame_floods_end_the_connection, 0, 7);
    tcase_add_loop_test(attacks, resets_made_without_a_request_end_the_connection, 0, 4);
    tcase_add_test(attacks, bodies_of_a_connection_are_bounded);
    tcase_add_test(attacks, a_refused_upload_may_run_out);
    tcase_add_loop_test(bans, abuse_bans_the_address, 0, 2);
    tcase_add_test(attacks, header_amplification_is_bounded);
    tcase_add_loop_test(attacks, header_blocks_are_decoded_in_turns, 0, 3);
    tcase_add_loop_test(attacks, continuation_floods_end_the_connection, 0, 2);
    tcase_add_test(attacks, a_header_block_held_over_the_drain_does_not_stop_the_loop);
    tcase_add_loop_test(attacks, protocol_errors_are_answered_by_h2o, 0, 5);
    tcase_add_loop_test(attacks, killed_connections_close_with_streams_open, 0, 3);
    tcase_add_loop_test(attacks, random_frames_do_not_kill_the_server, 0, 8);
    suite_add_tcase(suite, attacks);
    tcase_add_checked_fixture(bans, start_banning, stop);
    tcase_set_timeout(bans, 60);
    suite_add_tcase(suite, bans);
    return unit_run(suite);
}
