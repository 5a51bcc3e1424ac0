/* SPDX-License-Identifier: MIT */
/*
 * sitemap - reads the locations out of a sitemap or an index of sitemaps, plain or gzip.
 *
 * Bytes come from somebody else's server: they are bounded, a document type (and with it every
 * entity of its own) is refused, and what is not in the sitemap's own namespace is passed over.
 * Spec: sitemaps.org protocol 0.9. Refuses to know where bytes come from and whether a location is
 * a URL.
 */
#ifndef BRIM_CLI_SITEMAP_H
#define BRIM_CLI_SITEMAP_H

#include "brim/base/err.h"
#include "brim/base/str.h"

/* Of one file, as the protocol limits it, unpacked. */
#define BRIM_SITEMAP_BYTES_MAX (50ull * 1024 * 1024)

enum brim_sitemap_kind { BRIM_SITEMAP_PAGE, BRIM_SITEMAP_OTHER /* another sitemap */ };

/* text is gone after the call. False: no more is wanted, which is BRIM_ELIMIT. */
typedef bool (*brim_sitemap_fn)(enum brim_sitemap_kind kind, struct brim_str text, void *ctx);

/*
 * Tells found() of every location in order; of those in front of a fault too.
 * Errors: BRIM_ECORRUPT no XML, no sitemap, or broken gzip; BRIM_ELIMIT over a limit; BRIM_ENOMEM.
 *         *why_out: what is wrong, static. Thread: any.
 */
BRIM_MUST_USE enum brim_err brim_sitemap_parse(struct brim_str bytes, brim_sitemap_fn found,
                                               void *ctx, const char **why_out);

#endif
