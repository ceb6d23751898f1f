/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text of others (guests, suites, files of results) for terminals, TAP, XML
 * and JSON.
 */
#ifndef SUITE_TEXT_H
#define SUITE_TEXT_H

#include <stdbool.h>

/*
 * Put a '?' for each byte that is not of a printable character in UTF-8;
 * true if there was one. Control characters are none, nor are those that
 * XML does not have.
 */
bool text_clean(char *text);

/* The same for bytes that are no UTF-8; control characters stay. */
bool text_clean_utf8(char *text);

#endif
