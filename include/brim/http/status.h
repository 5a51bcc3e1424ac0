/* SPDX-License-Identifier: MIT */
/*
 * status - what the registry of statuses calls them (RFC 9110 16.2).
 */
#ifndef BRIM_HTTP_STATUS_H
#define BRIM_HTTP_STATUS_H

/* The reason phrase: static text, never NULL; "Unknown" of what nobody has registered. Thread: any.
 */
const char *brim_status_reason(unsigned status);

#endif
