/* SPDX-License-Identifier: MIT */
/*
 * Conditions and codings of a request: fields as "name: value" lines, the first line an entity tag.
 */
#include "brim/http/conditional.h"
#include "brim/http/coding.h"
#include "fuzz.h"

#define BUFFER_BYTES 8192

static void check_accept(struct brim_fields request)
{
    struct brim_accept accept;
    unsigned tried = 0;

    brim_accept_parse(request, &accept);
    for (int i = 0; i < BRIM_CODINGS; i++)
        INVARIANT(accept.weights[i] >= 0 && accept.weights[i] <= 1000);
    for (enum brim_coding coding = BRIM_CODINGS; coding != BRIM_CODING_IDENTITY;) {
        coding = brim_accept_best(&accept, tried);
        INVARIANT(coding < BRIM_CODINGS && (tried & 1u << coding) == 0);
        tried |= 1u << coding;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char buffer[BUFFER_BYTES];
    struct brim_field items[FUZZ_FIELDS_MAX];
    struct brim_str rest = brim_str((const char *)data, size);
    struct brim_validators validators = {fuzz_line(&rest), 1000000000, 1000000100};
    struct brim_fields request = fuzz_named_fields(rest, items);
    const struct brim_field *list = brim_fields_only(request, BRIM_STR("if-none-match"));
    struct brim_recoding recoding = {BRIM_CODING_IDENTITY, BRIM_CODING_BR, false};

    (void)brim_conditional_is_for_origin(request, 1000000200);
    (void)brim_conditional_is_not_modified(request, &validators, 1000000200);
    (void)brim_conditional_range_applies(request, &validators, 1000000200);
    (void)brim_conditional_lists(request, validators.etag);
    check_accept(request);
    INVARIANT(brim_coding_etag(validators.etag, recoding, buffer, sizeof(buffer)) <=
              sizeof(buffer));
    if (list != NULL)
        INVARIANT(brim_coding_etags_for_origin(list->value, buffer, sizeof(buffer)) <=
                  sizeof(buffer));
    return 0;
}
