/* SPDX-License-Identifier: MIT */
/*
 * The filter between the socket and h2o's HTTP/2 code.
 *
 * libh2o 2.2.5 trusts its clients in ways that let one of them abort the process, fill its memory
 * or keep a core busy. The library stays as the distribution ships it; what stands here decides
 * which bytes it gets to see, and when.
 *
 *   socket -> on_read -> police: walk the complete frames once, count, drop unknown ones, kill
 *                     -> pass:   hand them to h2o, in pieces where that matters
 *                                before each piece: defuse, refuse to drain with an open block
 *
 * Why each of these:
 *
 * defuse  A stream whose last frame waits in a blocked write is ended, but still linked to the list
 *         of streams to proceed. If its window grows from <= 0 to > 0, h2o asserts that it is not
 *         linked (upstream 00977f672, not in any packaged version). Such windows are pushed so far
 *         below zero that nothing a client may add brings them back; nobody reads them again.
 *         A stream can also become one of these while frames are parsed: by RST_STREAM, or by
 *         anything else that makes h2o reset it. So while a write is blocked, h2o gets its input in
 *         pieces that end with every frame that can do that, and each piece is defused anew.
 * police  Budgets per connection and WINDOW_MS; see the constants. The fields of a header block are
 *         counted without decoding it: an indexed field is one byte for the client and forty for
 *         h2o.
 * turns   h2o would decode all that has come in one turn of the loop, however much HPACK makes of
 *         it. It gets TURN_BLOCK_BYTES of header blocks, then others have their turn.
 * drain   h2o spins for ever on a half-received header block once it has sent its last GOAWAY.
 * hook    h2o stops reading while its output backs up and later starts again with its own callback.
 *         Every way for it to get there is a write callback or its write timer; both are wrapped as
 *         well, so the read callback is put back before a byte can arrive (settle).
 *
 * While sock->_cb.read is NULL the connection of h2o is either stalled, with a write in flight, or
 * already freed, with a TLS socket that still says goodbye. The two look alike, so sock->data is
 * followed only while h2o reads.
 */
#include <h2o.h>
#include <h2o/http2.h>
#include <h2o/http2_internal.h>

#include "brim/base/clock.h"
#include "brim/base/invariant.h"
#include "brim/base/log.h"
#include "brim/base/metric.h"
#include "brim/serve/guard.h"

_Static_assert(H2O_VERSION_MAJOR == 2 && H2O_VERSION_MINOR == 2,
               "the guard knows the inside of h2o 2.2; read this file before another version");

#define PREFACE_BYTES    24u
#define FRAME_HEAD_BYTES 9u
#define INPUT_KEPT_BYTES 65536u
#define ENTER_BYTES      65536u /* of bodies, between two looks at what they make h2o hold */
#define FRAME_BYTES_MAX  16384u /* h2o announces no other SETTINGS_MAX_FRAME_SIZE */

/* Budgets. A browser that leaves a page resets all its streams at once (100 at most), so a few such
 * moments fit a window; a flood exceeds it within a fraction of a second. */
#define WINDOW_MS          10000u
#define RESETS_FREE        200u /* and one for every two streams opened: a flood resets every one */
#define CONTROL_FREE       500u /* a client that measures its bandwidth pings a few times a second */
#define CONTROL_PER_STREAM 4u   /* PRIORITY beside every request, and then some */
#define BYTES_PER_RESET    4096u /* of DATA: the tail of a refused upload comes in large frames */
#define UPDATES_FREE       1000u
#define UPDATE_PER_BYTES   256u /* two updates (stream, connection) for a DATA frame of 512 bytes */
#define UPDATES_PER_STREAM 4u
#define SHARE_FREE         250u /* thousandths of a budget that are not charged to the address */
/* Of one header block. 32 bytes of a frame that carry nothing cost h2o more than they tell. */
#define BLOCK_BYTES_MIN  16384u /* one frame always fits, whatever the configured limit */
#define BLOCK_FRAMES_MAX 32u    /* CONTINUATIONs; 256 KiB, the largest limit, are 16 full ones */
#define BLOCK_FIELDS_MAX 512u   /* more than 431 needs to be said, few enough to allocate for */
/* Of header blocks, in one go: a hundred ordinary ones. A few bytes of HPACK may be a megabyte to
 * copy, and others want to be served between. */
#define TURN_BLOCK_BYTES 16384u
/* More streams than a client may have open between two looks at what became of them. */
#define PIECE_STREAMS_MAX 128u
/* Out of reach: a window moves by less than 2^31 a frame, and a stream is gone after one write. */
#define WINDOW_POISON (-(INT64_C(1) << 60))

static void on_read(h2o_socket_t *sock, const char *err);
static void on_written(h2o_socket_t *sock, const char *err);

static void discard(struct brim_conn *conn)
{
    h2o_buffer_consume(&conn->sock->input, conn->sock->input->size);
    conn->h2_ready = 0;
}

static void kill_abuser(struct brim_conn *conn, enum brim_ending ending)
{
    brim_guard_kill(conn, ending);
    if (conn->sock != NULL)
        discard(conn);
}

/* ---- the fields of a header block, RFC 7541 6 ---- */

enum block_state { BLOCK_FIELD, BLOCK_INDEX_MORE, BLOCK_LENGTH, BLOCK_LENGTH_MORE, BLOCK_SKIP };

static uint8_t state_after_index(const struct brim_guard_block *block)
{
    return block->strings > 0 ? BLOCK_LENGTH : BLOCK_FIELD;
}

static void end_string(struct brim_guard_block *block)
{
    block->strings--;
    block->state = state_after_index(block);
}

static void begin_field(struct brim_guard_block *block, uint8_t byte)
{
    uint8_t prefix;

    block->fields++;
    block->strings = 0;
    if (byte & 0x80) { /* indexed */
        prefix = 0x7f;
    } else if ((byte & 0xe0) == 0x20) { /* table size update */
        prefix = 0x1f;
    } else { /* literal: a value, and a name if its index is 0 */
        prefix = byte & 0x40 ? 0x3f : 0x0f;
        block->strings = (byte & prefix) == 0 ? 2 : 1;
    }
    block->shift = 0;
    block->state = (byte & prefix) == prefix ? BLOCK_INDEX_MORE : state_after_index(block);
}

/* One more byte of an integer; false if it is longer than any that h2o takes. */
static bool more_number(struct brim_guard_block *block, uint8_t byte)
{
    if (block->shift > 21)
        return false;
    block->number += (uint32_t)(byte & 0x7f) << block->shift;
    block->shift = (uint8_t)(block->shift + 7);
    return true;
}

static void begin_string(struct brim_guard_block *block)
{
    block->state = BLOCK_SKIP;
    if (block->number == 0)
        end_string(block);
}

/* Walks one fragment; false if an integer is broken. */
static bool walk_block(struct brim_guard_block *block, const uint8_t *p, size_t len)
{
    const uint8_t *end = p + len;

    while (p < end) {
        if (block->state == BLOCK_SKIP) {
            size_t step = (size_t)(end - p) < block->number ? (size_t)(end - p) : block->number;

            p += step;
            block->number -= (uint32_t)step;
            if (block->number == 0)
                end_string(block);
            continue;
        }
        uint8_t byte = *p++;
        if (block->state == BLOCK_FIELD) {
            begin_field(block, byte);
        } else if (block->state == BLOCK_LENGTH) {
            block->number = byte & 0x7f;
            block->shift = 0;
            if (block->number == 0x7f)
                block->state = BLOCK_LENGTH_MORE;
            else
                begin_string(block);
        } else {
            if (!more_number(block, byte))
                return false;
            if (byte & 0x80)
                continue;
            if (block->state == BLOCK_LENGTH_MORE)
                begin_string(block);
            else
                block->state = state_after_index(block);
        }
    }
    return true;
}

/* ---- police ---- */

struct frame {
    uint8_t type;
    uint8_t flags;
    uint32_t stream;
    uint32_t len;
    const uint8_t *payload;
};

/* The frame at the front of len bytes, whose payload need not be there yet. */
static struct frame read_frame(const char *bytes)
{
    const uint8_t *p = (const uint8_t *)bytes;

    return (struct frame){
        .len = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2],
        .type = p[3],
        .flags = p[4],
        .stream = ((uint32_t)p[5] << 24 | (uint32_t)p[6] << 16 | (uint32_t)p[7] << 8 | p[8]) &
                  0x7fffffffu,
        .payload = p + FRAME_HEAD_BYTES,
    };
}

static bool is_unknown(const struct frame *frame)
{
    return frame->type > H2O_HTTP2_FRAME_TYPE_CONTINUATION;
}

/* Takes padding and priority off a HEADERS frame; what does not fit is left for h2o to refuse. */
static struct brim_str fragment_of(const struct frame *frame)
{
    const uint8_t *p = frame->payload;
    size_t len = frame->len, pad = 0;

    if (frame->type == H2O_HTTP2_FRAME_TYPE_HEADERS) {
        if (frame->flags & H2O_HTTP2_FRAME_FLAG_PADDED && len > 0) {
            pad = *p++;
            len--;
        }
        if (frame->flags & H2O_HTTP2_FRAME_FLAG_PRIORITY && len >= 5) {
            p += 5;
            len -= 5;
        }
    }
    return brim_str((const char *)p, pad < len ? len - pad : 0);
}

static enum brim_ending police_block(struct brim_conn *conn, const struct frame *frame)
{
    struct brim_guard_block *block = &conn->block;
    struct brim_str fragment = fragment_of(frame);
    size_t most =
        conn->header_bytes_max > BLOCK_BYTES_MIN ? conn->header_bytes_max : BLOCK_BYTES_MIN;

    block->bytes += fragment.len;
    block->frames++;
    if (block->bytes > most || block->frames > BLOCK_FRAMES_MAX)
        return BRIM_ENDING_BLOCK_BYTES;
    if (!walk_block(block, (const uint8_t *)fragment.base, fragment.len))
        return BRIM_ENDING_BLOCK_BROKEN;
    if (block->fields > BLOCK_FIELDS_MAX)
        return BRIM_ENDING_BLOCK_FIELDS;
    if (frame->flags & H2O_HTTP2_FRAME_FLAG_END_HEADERS)
        block->is_open = false;
    return BRIM_ENDING_NONE;
}

/* ---- budgets ---- */

/* What may be spent in one window, by what else happened in it. */
static uint64_t resets_max(const struct brim_guard_budget *b)
{
    return RESETS_FREE + b->streams_opened / 2;
}

/* A stream is reset once, but the client may have sent much of its body before it knows. */
static uint64_t made_resets_max(const struct brim_guard_budget *b)
{
    return RESETS_FREE + b->streams_opened / 2 + b->data_bytes / BYTES_PER_RESET;
}

static uint64_t control_max(const struct brim_guard_budget *b)
{
    return CONTROL_FREE + CONTROL_PER_STREAM * b->streams_opened;
}

static uint64_t updates_max(const struct brim_conn *conn)
{
    return UPDATES_FREE + UPDATES_PER_STREAM * conn->budget.streams_opened +
           (conn->sock->bytes_written - conn->budget.window_start_bytes) / UPDATE_PER_BYTES;
}

static enum brim_ending check_budget(const struct brim_conn *conn)
{
    const struct brim_guard_budget *b = &conn->budget;

    if (b->resets > resets_max(b))
        return BRIM_ENDING_RESETS;
    if (b->made_resets > made_resets_max(b))
        return BRIM_ENDING_MADE_RESETS;
    if (b->cancelled > resets_max(b))
        return BRIM_ENDING_CANCELLED;
    if (b->control_frames > control_max(b))
        return BRIM_ENDING_CONTROL_FRAMES;
    if (b->window_updates > updates_max(conn))
        return BRIM_ENDING_WINDOW_UPDATES;
    return BRIM_ENDING_NONE;
}

/* Thousandths of a budget that used goes beyond what is anybody's right. */
static uint64_t share(uint64_t used, uint64_t max, uint64_t free)
{
    uint64_t right = max - free;

    return used > right ? (used - right) * BRIM_CLIENTS_STRIKE / free : 0;
}

void brim_guard_charge(struct brim_conn *conn)
{
    const struct brim_guard_budget *b = &conn->budget;
    const uint64_t shares[] = {
        share(b->resets, resets_max(b), RESETS_FREE),
        share(b->made_resets, made_resets_max(b), RESETS_FREE),
        share(b->cancelled, resets_max(b), RESETS_FREE),
        share(b->refused, resets_max(b), RESETS_FREE),
        share(b->control_frames, control_max(b), CONTROL_FREE),
        share(b->window_updates, updates_max(conn), UPDATES_FREE),
    };
    uint64_t most = 0;

    for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++)
        most = shares[i] > most ? shares[i] : most;
    if (conn->killed || most < SHARE_FREE)
        return;
    if (brim_clients_spend(conn->clients, conn->place, (uint32_t)most, brim_clock_mono_ms()))
        BRIM_LOG(WARN, "client.banned", "peer=%s reason=\"budgets of many connections\"",
                 conn->peer_text);
}

/* No body in it, but padding perhaps, and not the last of a stream. */
static bool is_empty_data(const struct frame *frame)
{
    size_t padding = 0;

    if (frame->flags & H2O_HTTP2_FRAME_FLAG_END_STREAM)
        return false;
    if (frame->flags & H2O_HTTP2_FRAME_FLAG_PADDED && frame->len > 0)
        padding = 1u + frame->payload[0];
    return frame->len <= padding;
}

static void count_data(struct brim_conn *conn, const struct frame *frame)
{
    conn->body_bytes += frame->len;
    conn->bodies += frame->len;
    conn->budget.data_bytes += frame->len;
    if (is_empty_data(frame))
        conn->budget.control_frames++;
}

/* Counts one complete frame; returns why the connection must end, or NONE. */
static enum brim_ending police_frame(struct brim_conn *conn, const struct frame *frame)
{
    struct brim_guard_budget *budget = &conn->budget;

    switch (frame->type) {
    case H2O_HTTP2_FRAME_TYPE_HEADERS:
        if (conn->block.is_open)
            return BRIM_ENDING_NONE; /* h2o ends the connection */
        budget->streams_opened++;
        conn->block = (struct brim_guard_block){.is_open = true};
        return police_block(conn, frame);
    case H2O_HTTP2_FRAME_TYPE_CONTINUATION:
        return conn->block.is_open ? police_block(conn, frame) : BRIM_ENDING_NONE;
    case H2O_HTTP2_FRAME_TYPE_DATA:
        count_data(conn, frame);
        break;
    case H2O_HTTP2_FRAME_TYPE_RST_STREAM:
        budget->resets++;
        break;
    case H2O_HTTP2_FRAME_TYPE_WINDOW_UPDATE:
        budget->window_updates++;
        break;
    default:
        budget->control_frames++;
        break;
    }
    return check_budget(conn);
}

static void begin_window(struct brim_conn *conn, uint64_t now_mono_ms)
{
    brim_guard_charge(conn);
    conn->budget = (struct brim_guard_budget){
        .window_start_ms = now_mono_ms,
        .window_start_bytes = conn->sock->bytes_written,
    };
}

static void remove_bytes(h2o_buffer_t **input, size_t at, size_t len)
{
    h2o_buffer_t *buffer = *input;

    if (len == buffer->size) {
        h2o_buffer_consume(input, len);
        return;
    }
    memmove(buffer->bytes + at, buffer->bytes + at + len, buffer->size - at - len);
    buffer->size -= len;
}

/* Walks the complete frames that are new; false if the connection was killed. */
static bool police(struct brim_conn *conn)
{
    h2o_buffer_t **input = &conn->sock->input;
    uint64_t now = brim_clock_mono_ms();

    if (now - conn->budget.window_start_ms > WINDOW_MS)
        begin_window(conn, now);
    while ((*input)->size - conn->h2_ready >= FRAME_HEAD_BYTES) {
        struct frame frame = read_frame((*input)->bytes + conn->h2_ready);
        size_t whole = FRAME_HEAD_BYTES + frame.len;
        enum brim_ending ending;

        conn->h2_oversize = frame.len > FRAME_BYTES_MAX;
        if (conn->h2_oversize || (*input)->size - conn->h2_ready < whole)
            break;
        ending = police_frame(conn, &frame);
        if (ending != BRIM_ENDING_NONE) {
            kill_abuser(conn, ending);
            return false;
        }
        if (is_unknown(&frame) && !conn->block.is_open)
            remove_bytes(input, conn->h2_ready, whole); /* h2o would print a line for each */
        else
            conn->h2_ready += whole;
    }
    if (!conn->block.is_open)
        conn->block_since_mono_ms = 0;
    else if (conn->block_since_mono_ms == 0)
        conn->block_since_mono_ms = now;
    return true;
}

/* ---- pass ---- */

static void defuse(h2o_http2_conn_t *h2)
{
    h2o_linklist_t *head = &h2->_write.streams_to_proceed;

    for (h2o_linklist_t *node = head->next; node != head; node = node->next) {
        h2o_http2_stream_t *stream = H2O_STRUCT_FROM_MEMBER(h2o_http2_stream_t, _refs.link, node);

        if (stream->state == H2O_HTTP2_STREAM_STATE_END_STREAM)
            stream->output_window._avail = WINDOW_POISON;
    }
}

/* Whether h2o may reset a stream because of this frame. */
static bool may_reset(const struct frame *frame)
{
    return frame->type == H2O_HTTP2_FRAME_TYPE_RST_STREAM ||
           frame->type == H2O_HTTP2_FRAME_TYPE_DATA ||
           (frame->type == H2O_HTTP2_FRAME_TYPE_WINDOW_UPDATE && frame->stream != 0);
}

/* Whether bodies are at a limit, so that each DATA frame must be looked at. */
static bool is_tight(const struct brim_conn *conn)
{
    return conn->bodies > conn->bodies_max || brim_ledger_is_beyond(conn->ledger, BRIM_LEDGER_FULL);
}

static bool is_of_block(const struct frame *frame)
{
    return frame->type == H2O_HTTP2_FRAME_TYPE_HEADERS ||
           frame->type == H2O_HTTP2_FRAME_TYPE_CONTINUATION;
}

/* Takes what a frame brings of a header block off what may be fed of them; true: with this block it
 * is used up. */
static bool uses_up_turn(struct brim_conn *conn, const struct frame *frame)
{
    if (!is_of_block(frame))
        return false;
    conn->block_budget -= frame->len < conn->block_budget ? frame->len : conn->block_budget;
    return conn->block_budget == 0 && (frame->flags & H2O_HTTP2_FRAME_FLAG_END_HEADERS) != 0;
}

/* How many of the ready bytes h2o may have in one go. */
static size_t next_piece(struct brim_conn *conn, const h2o_http2_conn_t *h2)
{
    bool looks_at_data = is_tight(conn);
    const char *bytes = conn->sock->input->bytes;
    bool is_blocked = !h2o_linklist_is_empty((h2o_linklist_t *)&h2->_write.streams_to_proceed);
    unsigned streams = 0;
    size_t at = 0;

    while (at < conn->h2_ready) {
        struct frame frame = read_frame(bytes + at);
        bool is_data = frame.type == H2O_HTTP2_FRAME_TYPE_DATA;

        if (looks_at_data && is_data && at > 0)
            break;
        at += FRAME_HEAD_BYTES + frame.len;
        if (uses_up_turn(conn, &frame) || (is_blocked && may_reset(&frame)) ||
            (looks_at_data && is_data))
            break;
        if ((frame.type == H2O_HTTP2_FRAME_TYPE_HEADERS || may_reset(&frame)) &&
            ++streams == PIECE_STREAMS_MAX)
            break;
    }
    return at;
}

static void call_read(struct brim_conn *conn)
{
    conn->is_fed = true;
    conn->inner_read(conn->sock, NULL);
    conn->is_fed = false;
}

/* Lets h2o read the first len bytes of the input. The rest waits aside, since h2o parses to the end
 * of what it finds. */
static void feed(struct brim_conn *conn, size_t len)
{
    h2o_socket_t *sock = conn->sock;
    h2o_buffer_t *whole = sock->input;
    h2o_iovec_t room;

    INVARIANT(len <= whole->size);
    if (len == whole->size) {
        call_read(conn);
        return;
    }
    h2o_buffer_init(&sock->input, &h2o_socket_buffer_prototype);
    room = h2o_buffer_reserve(&sock->input, len);
    memcpy(room.base, whole->bytes, len);
    sock->input->size = len;
    call_read(conn);
    if (conn->sock == NULL) {
        h2o_buffer_dispose(&whole);
        return;
    }
    h2o_buffer_dispose(&sock->input); /* empty, unless h2o is closing */
    h2o_buffer_consume(&whole, len);
    sock->input = whole;
}

/* Whether the DATA frame that is next would go beyond what may be held. */
static bool must_refuse(struct brim_conn *conn, size_t piece)
{
    size_t held;

    if (!is_tight(conn) || read_frame(conn->sock->input->bytes).type != H2O_HTTP2_FRAME_TYPE_DATA)
        return false;
    held = brim_guard_h2_bodies(conn);
    conn->bodies = held + conn->h2_ready; /* what is ready is not held yet, but counted */
    return held + piece > conn->bodies_max || brim_ledger_is_beyond(conn->ledger, BRIM_LEDGER_FULL);
}

/* h2o resets a stream whose body is larger than its configuration allows (REFUSED_STREAM); for this
 * one frame that is 0. The configuration is the worker's own. */
static void feed_to_be_refused(struct brim_conn *conn, h2o_globalconf_t *conf, size_t len)
{
    size_t configured = conf->max_request_entity_size;

    conf->max_request_entity_size = 0;
    conn->is_refusing = true;
    feed(conn, len);
    conn->is_refusing = false;
    conf->max_request_entity_size = configured;
}

/* Reasons to end the connection that lie in h2o's state; NONE: none. */
static enum brim_ending check_state(struct brim_conn *conn, const h2o_http2_conn_t *h2)
{
    if (h2->_headers_unparsed != NULL && h2->state >= H2O_HTTP2_CONN_STATE_HALF_CLOSED)
        return BRIM_ENDING_BLOCK_DRAINING;
    return check_budget(conn); /* what h2o did with the last piece may have exceeded it */
}

/* What bodies make h2o hold is entered as they come: in the second between two sweeps a fast client
 * sends gigabytes. */
static void enter_bodies(struct brim_conn *conn)
{
    size_t before = conn->h2_memory;

    if (conn->sock == NULL || conn->killed || conn->body_bytes - conn->body_entered < ENTER_BYTES)
        return;
    conn->body_entered = conn->body_bytes;
    conn->h2_memory = brim_guard_h2_memory(conn);
    brim_conn_hold(conn, (int64_t)conn->h2_memory - (int64_t)before);
}

/* What is left waits for the next turn of the loop; no more is read until then. */
static void postpone(struct brim_conn *conn)
{
    BRIM_COUNT(BLOCKS_POSTPONED);
    h2o_socket_dont_read(conn->sock, 1);
    if (!h2o_timeout_is_linked(&conn->resumed))
        h2o_timeout_link(h2o_socket_get_loop(conn->sock), conn->next_turn, &conn->resumed);
}

static void pass(struct brim_conn *conn)
{
    conn->block_budget = TURN_BLOCK_BYTES;
    h2o_timeout_unlink(&conn->resumed); /* or it would have two of this turn */
    while (conn->sock != NULL && conn->sock->_cb.read != NULL && !conn->killed) {
        h2o_http2_conn_t *h2 = conn->sock->data;
        enum brim_ending ending;
        size_t piece;

        if (h2->state == H2O_HTTP2_CONN_STATE_IS_CLOSING) {
            discard(conn); /* h2o would let it pile up until its last write is through */
            return;
        }
        ending = check_state(conn, h2);
        if (ending != BRIM_ENDING_NONE) {
            kill_abuser(conn, ending);
            return;
        }
        defuse(h2);
        if (conn->h2_ready == 0) {
            if (conn->h2_oversize)
                call_read(conn); /* refuses it */
            return;
        }
        if (conn->block_budget == 0) {
            postpone(conn);
            return;
        }
        piece = next_piece(conn, h2);
        if (must_refuse(conn, piece)) {
            conn->h2_ready -= piece;
            feed_to_be_refused(conn, h2->super.ctx->globalconf, piece);
            continue;
        }
        conn->h2_ready -= piece;
        /* A frame that is not complete may go along: h2o waits for its rest. */
        feed(conn, conn->h2_ready == 0 ? conn->sock->input->size : piece);
        enter_bodies(conn);
    }
}

static void admit(struct brim_conn *conn)
{
    if (!conn->h2_greeted) {
        if (conn->sock->input->size < PREFACE_BYTES)
            return;
        conn->h2_greeted = true;
        feed(conn, PREFACE_BYTES);
        if (conn->sock == NULL || conn->sock->_cb.read == NULL)
            return;
    }
    if (police(conn))
        pass(conn);
}

/* ---- hooks ---- */

static void settle(struct brim_conn *conn)
{
    brim_conn_interpose(conn, on_read, on_written);
}

/* libh2o reads all that the kernel has, which is megabytes from a fast client, and keeps the room
 * for what is left: mostly the beginning of a frame. */
static void shrink_input(h2o_socket_t *sock)
{
    h2o_buffer_t *whole;

    if (sock == NULL || sock->input->capacity <= INPUT_KEPT_BYTES ||
        sock->input->size > INPUT_KEPT_BYTES / 2)
        return;
    whole = sock->input;
    h2o_buffer_init(&sock->input, &h2o_socket_buffer_prototype);
    if (whole->size > 0) {
        h2o_iovec_t room = h2o_buffer_reserve(&sock->input, whole->size);

        memcpy(room.base, whole->bytes, whole->size);
        sock->input->size = whole->size;
    }
    h2o_buffer_dispose(&whole);
}

static void on_read(h2o_socket_t *sock, const char *err)
{
    struct brim_conn *conn = brim_conn_of_socket(sock);

    brim_conn_enter(conn);
    h2o_socket_dont_read(sock, 0);
    if (err != NULL)
        conn->inner_read(sock, err);
    else if (conn->killed)
        discard(conn);
    else
        admit(conn);
    settle(conn);
    shrink_input(conn->sock);
    brim_conn_leave(conn);
}

static void on_written(h2o_socket_t *sock, const char *err)
{
    struct brim_conn *conn = brim_conn_of_socket(sock);

    brim_conn_enter(conn);
    conn->inner_written(sock, err);
    settle(conn);
    /* h2o had stalled; if it reads again, nobody else calls for these. Where they wait for the next
     * turn, that it has written does not begin one. */
    if (conn->h2_ready > 0 && !h2o_timeout_is_linked(&conn->resumed)) {
        pass(conn);
        settle(conn);
    }
    brim_conn_leave(conn);
}

/* The next turn has come. */
static void on_resumed(h2o_timeout_entry_t *entry)
{
    struct brim_conn *conn = H2O_STRUCT_FROM_MEMBER(struct brim_conn, resumed, entry);

    OBJ_CHECK(conn, BRIM_CONN_MAGIC);
    INVARIANT(conn->sock != NULL);
    brim_conn_enter(conn);
    h2o_socket_dont_read(conn->sock, 0);
    pass(conn);
    settle(conn);
    shrink_input(conn->sock);
    brim_conn_leave(conn);
}

static void on_emit(h2o_timeout_entry_t *entry)
{
    h2o_http2_conn_t *h2 = H2O_STRUCT_FROM_MEMBER(h2o_http2_conn_t, _write.timeout_entry, entry);
    struct brim_conn *conn = brim_conn_of_socket(h2->sock);

    brim_conn_enter(conn);
    conn->inner_emit(entry);
    settle(conn);
    brim_conn_leave(conn);
}

void brim_guard_h2_install(struct brim_conn *conn, h2o_buffer_t *early)
{
    h2o_socket_t *sock = conn->sock;
    h2o_http2_conn_t *h2 = sock->data;

    OBJ_CHECK(conn, BRIM_CONN_MAGIC);
    INVARIANT(h2->sock == sock && h2->state == H2O_HTTP2_CONN_STATE_OPEN);
    INVARIANT(sock->_cb.read != NULL && sock->_cb.write == NULL);
    INVARIANT(h2->_write.timeout_entry.cb != NULL && sock->input->size == 0);
    settle(conn);
    conn->resumed.cb = on_resumed;
    conn->inner_emit = h2->_write.timeout_entry.cb;
    h2->_write.timeout_entry.cb = on_emit;
    begin_window(conn, brim_clock_mono_ms());
    if (early->size == 0) {
        h2o_buffer_dispose(&early);
        return;
    }
    h2o_buffer_dispose(&sock->input);
    sock->input = early;
    on_read(sock, NULL);
}
