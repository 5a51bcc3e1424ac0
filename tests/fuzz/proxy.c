/* SPDX-License-Identifier: MIT */
/*
 * PROXY protocol: what is read of a beginning is not taken back when more comes.
 */
#include "brim/serve/proxy_protocol.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct brim_str bytes = brim_str((const char *)data, size);
    struct brim_proxy_header whole = brim_proxy_protocol_read(bytes);

    if (whole.state == BRIM_PROXY_ADDRESS)
        INVARIANT(whole.client.ss_family == AF_INET || whole.client.ss_family == AF_INET6);
    if (whole.state == BRIM_PROXY_ADDRESS || whole.state == BRIM_PROXY_LOCAL)
        INVARIANT(whole.len > 0 && whole.len <= size);
    for (size_t len = 0; len < size && len < 256; len++) {
        struct brim_proxy_header part = brim_proxy_protocol_read(brim_str(bytes.base, len));

        if (part.state == BRIM_PROXY_BAD)
            INVARIANT(whole.state == BRIM_PROXY_BAD);
        if (part.state == BRIM_PROXY_ADDRESS || part.state == BRIM_PROXY_LOCAL)
            INVARIANT(part.state == whole.state && part.len == whole.len);
    }
    return 0;
}
