/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names and rules are rows of feature.def; everything here is a search in
 * them.
 */
#include "dev/virtio/features.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct name {
	uint8_t id; /* 0: every device */
	uint8_t bit;
	const char *name;
};

struct rule {
	uint8_t id;
	uint8_t bit;
	uint8_t a, b; /* either will do; the same twice for one */
};

#define FEATURE(id, bit, name) {id, bit, #name},
#define NEEDS(id, bit, a)
#define EITHER(id, bit, a, b)
static const struct name names[] = {
#include "dev/virtio/feature.def"
};
#undef FEATURE
#undef NEEDS
#undef EITHER

#define FEATURE(id, bit, name)
#define NEEDS(id, bit, a)     {id, bit, a, a},
#define EITHER(id, bit, a, b) {id, bit, a, b},
static const struct rule rules[] = {
#include "dev/virtio/feature.def"
};
#undef FEATURE
#undef NEEDS
#undef EITHER

uint32_t features_get_word(const struct virtio_features *f, uint32_t select)
{
	if (select >= VIRTIO_FEATURES / 32)
		return 0;
	return (uint32_t)(f->w[select / 2] >> (select % 2 * 32));
}

void features_set_word(struct virtio_features *f, uint32_t select,
		       uint32_t value)
{
	unsigned shift = select % 2 * 32;

	if (select >= VIRTIO_FEATURES / 32)
		return;
	f->w[select / 2] &= ~((uint64_t)UINT32_MAX << shift);
	f->w[select / 2] |= (uint64_t)value << shift;
}

bool features_within(const struct virtio_features *f,
		     const struct virtio_features *of)
{
	return !(f->w[0] & ~of->w[0]) && !(f->w[1] & ~of->w[1]);
}

int features_broken(const struct virtio_features *f, enum virtio_id id)
{
	const struct rule *r;

	for (r = rules; r < rules + ARRAY_SIZE(rules); r++) {
		if ((r->id && r->id != id) || !features_has(f, r->bit))
			continue;
		if (!features_has(f, r->a) && !features_has(f, r->b))
			return r->bit;
	}
	return -1;
}

void features_settle(struct virtio_features *f, enum virtio_id id)
{
	int bit;

	while ((bit = features_broken(f, id)) >= 0)
		features_put(f, (unsigned)bit, false);
}

bool features_is_common(unsigned bit)
{
	const struct name *n;

	for (n = names; n < names + ARRAY_SIZE(names); n++)
		if (!n->id && n->bit == bit)
			return true;
	return false;
}

const char *features_name(enum virtio_id id, unsigned bit)
{
	const struct name *n;

	for (n = names; n < names + ARRAY_SIZE(names); n++)
		if ((!n->id || n->id == id) && n->bit == bit)
			return n->name;
	return NULL;
}

char *features_print(const struct virtio_features *f, enum virtio_id id,
		     char *buf, size_t size)
{
	const char *name;
	size_t used = 0;
	unsigned bit;
	int n;

	buf[0] = '\0';
	for (bit = 0; bit < VIRTIO_FEATURES; bit++) {
		if (!features_has(f, bit))
			continue;
		name = features_name(id, bit);
		if (name)
			n = snprintf(buf + used, size - used, "%s%s",
				     used ? "," : "", name);
		else
			n = snprintf(buf + used, size - used, "%s%u",
				     used ? "," : "", bit);
		if (n < 0 || (size_t)n >= size - used)
			break;
		used += (size_t)n;
	}
	return buf;
}

static int find_bit(enum virtio_id id, const char *word, size_t len)
{
	const struct name *n;
	unsigned long bit;
	char *end;

	for (n = names; n < names + ARRAY_SIZE(names); n++)
		if ((!n->id || n->id == id) && strlen(n->name) == len &&
		    !memcmp(n->name, word, len))
			return n->bit;
	if (!len || word[0] < '0' || word[0] > '9')
		return -EINVAL;
	bit = strtoul(word, &end, 10);
	if (end != word + len || bit >= VIRTIO_FEATURES)
		return -EINVAL;
	return (int)bit;
}

int features_parse(struct virtio_features *f, enum virtio_id id,
		   const char *text)
{
	size_t len;
	int bit;

	*f = (struct virtio_features){0};
	for (; *text; text += len + (text[len] == ',')) {
		len = strcspn(text, ",");
		bit = find_bit(id, text, len);
		if (bit < 0)
			return bit;
		features_put(f, (unsigned)bit, true);
	}
	return 0;
}
