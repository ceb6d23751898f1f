/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is read is another process's to write, so every length in it is
 * checked against what there is.
 */
#include "cli/statfile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* KVM's, and those of our monitor's devices. */
static const char *const links[] = {"/memfd:kvm-stats (deleted)",
				    "/memfd:vmm-stats (deleted)"};

#define FILE_MAX  (64u << 10)
#define FILES_MAX 4096u

const struct stat_row *statfile_find(const struct stat_sum *sum,
				     const char *name)
{
	for (unsigned int i = 0; i < sum->rows; i++)
		if (!strcmp(sum->row[i].name, name))
			return &sum->row[i];
	return NULL;
}

double statfile_rate(const struct stat_sum *now, const struct stat_sum *before,
		     const char *name, double seconds)
{
	const struct stat_row *is = statfile_find(now, name);
	const struct stat_row *was = before ? statfile_find(before, name)
					    : NULL;

	if (!is || !was || was->value > is->value || seconds <= 0)
		return 0;
	return (double)(is->value - was->value) / seconds;
}

static void add(struct stat_sum *sum, const char *name, uint64_t value)
{
	struct stat_row *r = NULL;

	for (unsigned int i = 0; i < sum->rows && !r; i++)
		if (!strcmp(sum->row[i].name, name))
			r = &sum->row[i];
	if (!r && sum->rows < STATFILE_ROWS) {
		r = &sum->row[sum->rows++];
		*r = (struct stat_row){.value = 0};
		snprintf(r->name, sizeof(r->name), "%s", name);
	}
	if (r)
		r->value += value;
}

static bool fits(uint64_t off, uint64_t len, size_t size)
{
	return off <= size && len <= size - off;
}

/* One descriptor; the counters follow at the header's data_offset. */
static int add_counter(struct stat_sum *sum, const uint8_t *buf, size_t size,
		       const struct kvm_stats_header *h, uint32_t i)
{
	struct kvm_stats_desc d;
	uint64_t at = h->desc_offset + (uint64_t)i * (sizeof(d) + h->name_size);
	uint64_t data, value = 0, word;
	char name[STATFILE_NAME] = "";

	if (!fits(at, sizeof(d) + h->name_size, size))
		return -EINVAL;
	memcpy(&d, buf + at, sizeof(d));
	memcpy(name, buf + at + sizeof(d),
	       MIN((size_t)h->name_size, sizeof(name) - 1));
	data = (uint64_t)h->data_offset + d.offset;
	if (!d.size || !fits(data, d.size * sizeof(word), size))
		return -EINVAL;
	for (uint16_t n = 0; n < d.size; n++) {
		memcpy(&word, buf + data + n * sizeof(word), sizeof(word));
		value += word;
	}
	add(sum, name, value);
	return 0;
}

static int parse(struct stat_sum *sum, const uint8_t *buf, size_t size)
{
	struct kvm_stats_header h;
	char id[STATFILE_NAME] = "";
	int ret = 0;

	if (size < sizeof(h))
		return -EINVAL;
	memcpy(&h, buf, sizeof(h));
	if (!fits(h.id_offset, h.name_size, size) || h.name_size > 4096)
		return -EINVAL;
	memcpy(id, buf + h.id_offset, MIN((size_t)h.name_size, sizeof(id) - 1));
	for (uint32_t i = 0; i < h.num_desc && !ret; i++)
		ret = add_counter(sum, buf, size, &h, i);
	if (ret)
		return ret;
	if (strstr(id, "/vcpu-"))
		sum->vcpus++;
	else if (!strncmp(id, "kvm-", 4))
		sum->vms++;
	return 0;
}

int statfile_add(struct stat_sum *sum, int fd)
{
	uint8_t *buf = malloc(FILE_MAX);
	ssize_t n;
	int ret;

	if (!buf)
		return -ENOMEM;
	n = pread(fd, buf, FILE_MAX, 0);
	ret = n < 0 ? -errno : parse(sum, buf, (size_t)n);
	free(buf);
	return ret;
}

/* ---- processes ---- */

/* Files seen, since a client may have several descriptors of one. */
struct seen {
	ino_t ino[FILES_MAX];
	unsigned int n;
};

static bool is_new(struct seen *s, int fd)
{
	struct stat st;

	if (fstat(fd, &st))
		return false;
	for (unsigned int i = 0; i < s->n; i++)
		if (s->ino[i] == st.st_ino)
			return false;
	if (s->n < FILES_MAX)
		s->ino[s->n++] = st.st_ino;
	return true;
}

static bool is_stats(const char *link)
{
	for (size_t i = 0; i < ARRAY_SIZE(links); i++)
		if (!strcmp(link, links[i]))
			return true;
	return false;
}

static void add_link(struct stat_sum *sum, struct seen *seen, int dir,
		     const char *name)
{
	char link[64];
	ssize_t n = readlinkat(dir, name, link, sizeof(link) - 1);
	int fd;

	if (n < 0)
		return;
	link[n] = '\0';
	if (!is_stats(link))
		return;
	fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	/* A file that is half written is whole the next time. */
	if (is_new(seen, fd) && statfile_add(sum, fd) == -ENOMEM)
		seen->n--;
	close(fd);
}

static int add_one(struct stat_sum *sum, struct seen *seen, pid_t pid)
{
	const struct dirent *e;
	char path[32];
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	d = opendir(path);
	if (!d)
		return errno == ENOENT ? -ESRCH : -errno;
	while ((e = readdir(d)))
		if (e->d_name[0] != '.')
			add_link(sum, seen, dirfd(d), e->d_name);
	closedir(d);
	return 0;
}

static int add_all(struct stat_sum *sum, struct seen *seen)
{
	DIR *d = opendir("/proc");
	const struct dirent *e;
	int ret = 0;

	if (!d)
		return -errno;
	while ((e = readdir(d))) {
		pid_t pid = (pid_t)atoi(e->d_name);

		/* Others' processes and those that just ended do not count. */
		if (pid > 0 && add_one(sum, seen, pid) == -ENOMEM)
			ret = -ENOMEM;
	}
	closedir(d);
	return ret;
}

int statfile_add_process(struct stat_sum *sum, pid_t pid, struct err *e)
{
	struct seen *seen = calloc(1, sizeof(*seen));
	int ret;

	if (!seen)
		return err_set(e, -ENOMEM, "out of memory");
	ret = pid ? add_one(sum, seen, pid) : add_all(sum, seen);
	free(seen);
	if (ret == -ESRCH)
		return err_set(e, ret, "there is no process %d", (int)pid);
	if (ret)
		return err_set(e, ret, "cannot look into %s: %s",
			       pid ? "the process" : "/proc", strerror(-ret));
	return 0;
}
