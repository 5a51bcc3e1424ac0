/* SPDX-License-Identifier: MIT */
#include "brim/serve/tls_tickets.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "brim/base/invariant.h"

#define KEYS_MAX  16u
#define OWN_MAX   3u
#define CHANGE_MS (6u * 3600u * 1000u)

_Static_assert(sizeof(struct brim_ticket_key) == 80, "a record of the file");

struct brim_tickets {
    bool is_own;
    size_t count;
    uint64_t made_mono_ms; /* own: when the newest was made */
    struct brim_ticket_key keys[KEYS_MAX];
};

enum brim_err brim_tickets_read(const char *path, struct brim_tickets **tickets_out,
                                const char **why_out)
{
    FILE *file = fopen(path, "re");
    struct brim_tickets *tickets = brim_alloc(sizeof(*tickets));
    unsigned char room[sizeof(tickets->keys) + 1];
    size_t len;

    *tickets_out = NULL;
    *why_out = NULL;
    len = file == NULL ? 0 : fread(room, 1, sizeof(room), file);
    if (file == NULL || ferror(file))
        *why_out = "cannot be read";
    else if (len == 0 || len % sizeof(struct brim_ticket_key) != 0 || len == sizeof(room))
        *why_out = "is not 1 to 16 keys of 80 bytes each; accepted: as openssl rand 80 writes them";
    if (file != NULL)
        (void)fclose(file);
    if (*why_out == NULL) {
        memcpy(tickets->keys, room, len);
        tickets->count = len / sizeof(struct brim_ticket_key);
    }
    explicit_bzero(room, sizeof(room));
    if (*why_out != NULL) {
        brim_tickets_free(tickets);
        return BRIM_EINVAL;
    }
    *tickets_out = tickets;
    return BRIM_OK;
}

struct brim_tickets *brim_tickets_new(void)
{
    struct brim_tickets *tickets = brim_alloc(sizeof(*tickets));

    tickets->is_own = true;
    return tickets;
}

void brim_tickets_free(struct brim_tickets *tickets)
{
    if (tickets == NULL)
        return;
    explicit_bzero(tickets, sizeof(*tickets));
    free(tickets);
}

const struct brim_ticket_key *brim_tickets_newest(struct brim_tickets *tickets,
                                                  uint64_t now_mono_ms)
{
    struct brim_ticket_key made;

    if (tickets->is_own &&
        (tickets->count == 0 || now_mono_ms - tickets->made_mono_ms >= CHANGE_MS) &&
        getrandom(&made, sizeof(made), 0) == sizeof(made)) {
        memmove(tickets->keys + 1, tickets->keys, (OWN_MAX - 1) * sizeof(made));
        tickets->keys[0] = made;
        if (tickets->count < OWN_MAX)
            tickets->count++;
        tickets->made_mono_ms = now_mono_ms;
        explicit_bzero(&made, sizeof(made));
    }
    return tickets->count == 0 ? NULL : &tickets->keys[0];
}

const struct brim_ticket_key *brim_tickets_find(const struct brim_tickets *tickets,
                                                const unsigned char name[16])
{
    for (size_t i = 0; i < tickets->count; i++)
        if (memcmp(tickets->keys[i].name, name, sizeof(tickets->keys[i].name)) == 0)
            return &tickets->keys[i];
    return NULL;
}
