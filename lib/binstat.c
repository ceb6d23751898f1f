/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/binstat.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/check.h"

#define ID_OFFSET   sizeof(struct binstat_header)
#define DESC_OFFSET (ID_OFFSET + BINSTAT_NAME)
#define DESC_SIZE   (sizeof(struct binstat_desc) + BINSTAT_NAME)
#define DATA_OFFSET 4096u
#define FILE_SIZE   8192u

_Static_assert(DESC_OFFSET + DESC_SIZE * BINSTAT_MAX <= DATA_OFFSET,
	       "descriptors in the first page");

/* Cumulative numbers without a unit are all zeroes in a descriptor's flags. */
static void describe(uint8_t *file, const char *id, const char *const *counters,
		     uint32_t n)
{
	struct binstat_header *h = (void *)file;

	*h = (struct binstat_header){
		.name_size = BINSTAT_NAME,
		.num_desc = n,
		.id_offset = ID_OFFSET,
		.desc_offset = DESC_OFFSET,
		.data_offset = DATA_OFFSET,
	};
	snprintf((char *)file + ID_OFFSET, BINSTAT_NAME, "%s", id);
	for (uint32_t i = 0; i < n; i++) {
		struct binstat_desc *d = (void *)(file + DESC_OFFSET +
						  i * DESC_SIZE);

		d->size = 1;
		d->offset = i * (uint32_t)sizeof(uint64_t);
		snprintf((char *)d + sizeof(*d), BINSTAT_NAME, "%s",
			 counters[i]);
	}
}

int binstat_create(struct binstat *s, const char *name, const char *id,
		   const char *const *counters, uint32_t n)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	void *p;
	int ret;

	ASSERT(n <= BINSTAT_MAX);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, FILE_SIZE))
		goto close_fd;
	p = mmap(NULL, FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		goto close_fd;
	describe(p, id, counters, n);
	*s = (struct binstat){
		.fd = fd,
		.file = p,
		.data = (uint64_t *)((uint8_t *)p + DATA_OFFSET),
	};
	return 0;
close_fd:
	ret = -errno;
	close(fd);
	return ret;
}

void binstat_destroy(struct binstat *s)
{
	if (!s->file)
		return;
	munmap(s->file, FILE_SIZE);
	if (s->fd >= 0)
		close(s->fd);
	s->file = NULL;
}
