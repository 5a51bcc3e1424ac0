/* SPDX-License-Identifier: MIT */
/*
 * Calls of the admin API, to the node itself. The first byte says of which the rest is the body:
 * p purge, e explain, k kv. Of anything else all is said as it is to the admin listener.
 *
 * A body, whatever is in it, is answered: with JSON, and not with 5xx. The node lives.
 */
#include <jansson.h>

#include "fuzz.h"
#include "node_rig.h"

#define ANSWER_BYTES (1u << 20)
#define ALIVE_EACH   512u

int LLVMFuzzerInitialize(int *argc, char ***argv);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    node_start();
    return 0;
}

/* All that is answered until the node closes. */
static struct brim_str talk(struct brim_str head, const void *body, size_t len)
{
    static char answer[ANSWER_BYTES];
    int fd = node_dial("admin");
    size_t heard = 0;
    ssize_t n = 0;

    INVARIANT(fd >= 0);
    if (node_say(fd, head.base, head.len))
        (void)node_say(fd, body, len);
    (void)shutdown(fd, SHUT_WR);
    while (heard < sizeof(answer) &&
           (n = node_hear(fd, answer + heard, sizeof(answer) - heard)) > 0)
        heard += (size_t)n;
    INVARIANT(n == 0 || errno == ECONNRESET);
    close(fd);
    INVARIANT(heard == 0 || (heard > 12 && memcmp(answer, "HTTP/1.1 ", 9) == 0));
    return brim_str(answer, heard);
}

static void check_answer(struct brim_str answer)
{
    const char *end = memmem(answer.base, answer.len, "\r\n\r\n", 4);
    const char *chunked = memmem(answer.base, answer.len, "chunked", 7);
    size_t head_len = end == NULL ? 0 : (size_t)(end + 4 - answer.base);
    json_t *json;

    INVARIANT(end != NULL);
    INVARIANT(answer.base[9] != '5');
    if (chunked != NULL && chunked < end)
        return;
    json = json_loadb(answer.base + head_len, answer.len - head_len, JSON_REJECT_DUPLICATES, NULL);
    INVARIANT(json_is_object(json));
    json_decref(json);
}

static void call(const char *path, const uint8_t *body, size_t len)
{
    char head[256];
    int head_len = snprintf(head, sizeof(head),
                            "POST %s HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                            "Connection: close\r\nContent-Length: %zu\r\n\r\n",
                            path, len);

    check_answer(talk(brim_str(head, (size_t)head_len), body, len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static unsigned count;
    char which = size == 0 ? '\0' : (char)data[0];

    if (which == 'p')
        call("/v1/purge", data + 1, size - 1);
    else if (which == 'e')
        call("/v1/explain", data + 1, size - 1);
    else if (which == 'k')
        call("/v1/kv", data + 1, size - 1);
    else
        (void)talk(brim_str("", 0), data, size);
    if (++count % ALIVE_EACH == 0)
        node_expect_alive();
    return 0;
}
