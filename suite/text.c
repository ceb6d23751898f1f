/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UTF-8 as RFC 3629 has it: no longer than need be, no surrogates, nothing
 * above U+10FFFF.
 */
#include "suite/text.h"

#include <stdint.h>

static unsigned int length_of(unsigned char c)
{
	if (c < 0x80)
		return 1;
	if (c < 0xc2)
		return 0;
	if (c < 0xe0)
		return 2;
	if (c < 0xf0)
		return 3;
	return c < 0xf5 ? 4 : 0;
}

/* The bytes of the character at @p, 0 if it is none; @out: its number. */
static unsigned int read_char(const char *p, uint32_t *out)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	unsigned int n = length_of((unsigned char)*p), i;
	uint32_t c = (unsigned char)*p;

	if (n > 1)
		c &= 0x7fu >> n;
	for (i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	*out = c;
	if (!n || c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	return n;
}

static bool printable(uint32_t c)
{
	return c >= ' ' && !(c >= 0x7f && c < 0xa0) && (c & 0xfffe) != 0xfffe;
}

static bool clean(char *text, bool controls)
{
	bool changed = false;
	unsigned int n;
	uint32_t c;

	for (; *text; text += n ? n : 1) {
		n = read_char(text, &c);
		if (n && !controls && !printable(c))
			n = 0;
		if (!n) {
			*text = '?';
			changed = true;
		}
	}
	return changed;
}

bool text_clean(char *text)
{
	return clean(text, false);
}

bool text_clean_utf8(char *text)
{
	return clean(text, true);
}
