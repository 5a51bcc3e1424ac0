/* SPDX-License-Identifier: MIT */
/*
 * status - what RFC 9110 15 calls the statuses.
 */
#ifndef BRIM_HTTP_STATUS_H
#define BRIM_HTTP_STATUS_H

/* The reason phrase: static text, never NULL. Thread: any. */
const char *brim_status_reason(unsigned status);

#endif
