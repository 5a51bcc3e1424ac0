/* SPDX-License-Identifier: MIT */
#include "brim/cli/url_list.h"

#include <stdlib.h>

#include "brim/http/uri.h"

#define ROOM_FIRST 64u

void brim_url_list_fini(struct brim_url_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->urls[i]);
    free(list->urls);
    *list = (struct brim_url_list){.count_max = list->count_max};
}

static bool make_room(struct brim_url_list *list)
{
    size_t room = list->room == 0 ? ROOM_FIRST : list->room * 2;
    char **longer;

    if (list->count < list->room)
        return true;
    longer = realloc(list->urls, room * sizeof(*longer));
    if (longer == NULL)
        return false;
    list->urls = longer;
    list->room = room;
    return true;
}

enum brim_err brim_url_list_add(struct brim_url_list *list, struct brim_str url)
{
    struct brim_uri uri;
    char *copy;

    if (!brim_uri_parse(url, &uri))
        return BRIM_EINVAL;
    if (list->count >= list->count_max)
        return BRIM_ELIMIT;
    copy = make_room(list) ? strndup(url.base, url.len) : NULL;
    if (copy == NULL)
        return BRIM_ENOMEM;
    list->urls[list->count++] = copy;
    return BRIM_OK;
}

static struct brim_str trim_line(const char *line, size_t len)
{
    while (len > 0 && (line[len - 1] == '\n' || line[len - 1] == '\r'))
        len--;
    return brim_str_trim(brim_str(line, len));
}

enum brim_err brim_url_list_read(struct brim_url_list *list, FILE *in, const char *name,
                                 FILE *faults, size_t *bad)
{
    char *line = NULL;
    size_t room = 0, number = 0;
    ssize_t len;
    enum brim_err err = BRIM_OK;

    while (err == BRIM_OK && (len = getline(&line, &room, in)) >= 0) {
        struct brim_str url = trim_line(line, (size_t)len);

        number++;
        if (url.len == 0 || url.base[0] == '#')
            continue;
        err = brim_url_list_add(list, url);
        if (err == BRIM_EINVAL) {
            (void)fprintf(faults, "%s:%zu: is no absolute http(s) URL without fragment\n", name,
                          number);
            (*bad)++;
            err = BRIM_OK;
        }
    }
    free(line);
    return err == BRIM_OK && ferror(in) ? BRIM_EIO : err;
}
