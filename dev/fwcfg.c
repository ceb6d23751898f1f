/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Items are few and looked up by a walk. The directory is an item like the
 * others, written anew whenever a file comes in.
 */
#include "dev/fwcfg.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dev/bus.h"
#include "dev/dma.h"

#define ID_PORTS BIT(0)
#define ID_DMA   BIT(1)

#define DMA_OFFSET    4
#define DMA_SIGNATURE 0x51454d5520434647ULL /* "QEMU CFG" */
#define CTL_ERROR     BIT(0)
#define CTL_READ      BIT(1)
#define CTL_SKIP      BIT(2)
#define CTL_SELECT    BIT(3)
#define CTL_WRITE     BIT(4)

#define KEY_WRITE BIT(14) /* once meant that the item can be written */

struct item {
	uint16_t key;
	char name[FWCFG_NAME]; /* "": no file */
	uint8_t *data;
	size_t size;
};

struct fwcfg {
	const struct dma *dma;
	uint16_t key;     /* selected */
	uint64_t offset;  /* in that item */
	uint64_t request; /* gpa, as far as it is written */
	unsigned count, files;
	struct item *item; /* files last, by name */
};

/* As it is in guest memory, big-endian. */
struct request {
	uint32_t control, length;
	uint64_t address;
};

struct dir_entry {
	uint32_t size;
	uint16_t key, reserved;
	char name[FWCFG_NAME];
};

/* ---- items ---- */

static struct item *find(struct fwcfg *f, uint16_t key)
{
	unsigned i;

	for (i = 0; i < f->count; i++)
		if (f->item[i].key == key)
			return &f->item[i];
	return NULL;
}

/* Room for an item at index @at. */
static struct item *make_room(struct fwcfg *f, unsigned at)
{
	struct item *v = realloc(f->item, (f->count + 1) * sizeof(*v));

	if (!v)
		return NULL;
	f->item = v;
	memmove(v + at + 1, v + at, (f->count - at) * sizeof(*v));
	f->count++;
	return v + at;
}

static int set_data(struct item *it, const void *data, size_t size)
{
	uint8_t *copy = malloc(size + !size);

	if (!copy)
		return -ENOMEM;
	memcpy(copy, data, size);
	free(it->data);
	it->data = copy;
	it->size = size;
	return 0;
}

int fwcfg_add(struct fwcfg *f, uint16_t key, const void *data, size_t size)
{
	struct item it = {.key = key}, *room;

	if (find(f, key))
		return -EEXIST;
	if (set_data(&it, data, size))
		return -ENOMEM;
	room = make_room(f, 0);
	if (room)
		*room = it;
	else
		free(it.data);
	return room ? 0 : -ENOMEM;
}

static int write_directory(struct fwcfg *f)
{
	size_t size = 4 + f->files * sizeof(struct dir_entry);
	const struct item *file = f->item + f->count - f->files;
	uint32_t n = htobe32(f->files);
	uint8_t *dir = calloc(1, size);
	unsigned i;
	int ret;

	if (!dir)
		return -ENOMEM;
	memcpy(dir, &n, 4);
	for (i = 0; i < f->files; i++) {
		struct dir_entry e = {
			.size = htobe32((uint32_t)file[i].size),
			.key = htobe16(file[i].key),
		};

		memcpy(e.name, file[i].name, sizeof(e.name));
		memcpy(dir + 4 + i * sizeof(e), &e, sizeof(e));
	}
	ret = set_data(find(f, FWCFG_FILE_DIR), dir, size);
	free(dir);
	return ret;
}

int fwcfg_add_file(struct fwcfg *f, const char *name, const void *data,
		   size_t size)
{
	struct item it = {0}, *room;
	unsigned i, at = f->count;

	if (strlen(name) >= FWCFG_NAME)
		return -ENAMETOOLONG;
	strcpy(it.name, name);
	for (; at > f->count - f->files; at--) {
		int order = strcmp(name, f->item[at - 1].name);

		if (!order)
			return -EEXIST;
		if (order > 0)
			break;
	}
	if (set_data(&it, data, size))
		return -ENOMEM;
	room = make_room(f, at);
	if (!room) {
		free(it.data);
		return -ENOMEM;
	}
	*room = it;
	f->files++;
	for (i = 0; i < f->files; i++)
		f->item[f->count - f->files + i].key = (uint16_t)(FWCFG_FILES +
								  i);
	return write_directory(f);
}

/* ---- the guest's side ---- */

static void select_item(struct fwcfg *f, uint16_t key)
{
	f->key = key & (uint16_t)~KEY_WRITE;
	f->offset = 0;
}

/* What is left of the selected item. */
static const uint8_t *rest(struct fwcfg *f, uint64_t *left)
{
	const struct item *it = find(f, f->key);

	*left = it && f->offset < it->size ? it->size - f->offset : 0;
	return *left ? it->data + f->offset : NULL;
}

static uint64_t port_read(void *ctx, uint64_t offset, unsigned size)
{
	struct fwcfg *f = ctx;
	uint64_t left;
	const uint8_t *p;

	if (size != 1)
		return 0;
	p = rest(f, &left);
	f->offset += left != 0;
	return p ? *p : 0;
}

static void port_write(void *ctx, uint64_t offset, unsigned size, uint64_t val)
{
	if (size == 2)
		select_item(ctx, (uint16_t)val);
}

static bool copy_out(struct fwcfg *f, uint64_t gpa, uint32_t length)
{
	uint64_t left;
	const uint8_t *p = rest(f, &left);
	uint8_t *to = dma_ptr(f->dma, gpa, length);
	uint64_t n = MIN(left, (uint64_t)length);

	if (!to)
		return false;
	if (n)
		memcpy(to, p, n);
	memset(to + n, 0, length - n);
	dma_wrote(f->dma, to, length);
	f->offset += n;
	return true;
}

static bool transfer(struct fwcfg *f, const struct request *r)
{
	uint32_t control = be32toh(r->control), length = be32toh(r->length);
	uint64_t left;

	if (control & CTL_SELECT)
		select_item(f, (uint16_t)(control >> 16));
	if (control & CTL_READ)
		return !length || copy_out(f, be64toh(r->address), length);
	if (control & CTL_WRITE)
		return !length; /* there is nothing that can be written */
	if (control & CTL_SKIP) {
		rest(f, &left);
		f->offset += MIN(left, (uint64_t)length);
	}
	return true;
}

static void run_request(struct fwcfg *f)
{
	uint64_t gpa = f->request;
	struct request r;
	uint32_t control = htobe32(CTL_ERROR);

	f->request = 0;
	if (!dma_read(f->dma, gpa, &r, sizeof(r)) && transfer(f, &r))
		control = 0;
	/* where nothing is there is nobody to tell */
	(void)!dma_write(f->dma, gpa, &control, sizeof(control));
}

static uint64_t dma_reg_read(void *ctx, uint64_t offset, unsigned size)
{
	uint64_t v = htobe64(DMA_SIGNATURE);

	return v >> offset * 8;
}

static void dma_reg_write(void *ctx, uint64_t offset, unsigned size,
			  uint64_t val)
{
	struct fwcfg *f = ctx;

	if (size != 4)
		return;
	if (offset == 0) {
		f->request = (uint64_t)be32toh((uint32_t)val) << 32;
	} else if (offset == 4) {
		f->request |= be32toh((uint32_t)val);
		run_request(f);
	}
}

static const struct bus_ops port_ops = {port_read, port_write};
static const struct bus_ops dma_ops = {dma_reg_read, dma_reg_write};

int fwcfg_create(struct fwcfg **out, struct bus *pio, const struct dma *dma)
{
	const uint32_t id = htole32(ID_PORTS | ID_DMA), none = 0;
	struct fwcfg *f = *out = calloc(1, sizeof(*f));
	const struct bus_range ports = {FWCFG_PORT, 2, 2, &port_ops, f};
	const struct bus_range reg = {FWCFG_PORT + DMA_OFFSET, 8, 4, &dma_ops,
				      f};
	int ret;

	if (!f)
		return -ENOMEM;
	f->dma = dma;
	ret = fwcfg_add(f, FWCFG_SIGNATURE, "QEMU", 4);
	if (!ret)
		ret = fwcfg_add(f, FWCFG_ID, &id, sizeof(id));
	if (!ret)
		ret = fwcfg_add(f, FWCFG_FILE_DIR, &none, sizeof(none));
	if (!ret)
		ret = bus_add(pio, &ports);
	return ret ? ret : bus_add(pio, &reg);
}

void fwcfg_destroy(struct fwcfg *f)
{
	unsigned i;

	for (i = 0; f && i < f->count; i++)
		free(f->item[i].data);
	if (f)
		free(f->item);
	free(f);
}
