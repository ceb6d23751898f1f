/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of handles. It is the one piece of process-wide state of this
 * room: file descriptors are process-wide too.
 *
 * A page marked wipe-on-fork tells a child from its parent without a system
 * call; the child counts up the epoch, and objects of an older epoch answer
 * -EIO as the kernel's do in another mm. Whether the last duplicate of a
 * descriptor was closed is asked of flock(): the lock taken when the file was
 * made belongs to the open file description and goes away with it. A mapping
 * holds the description it was made through, so mappings are made through
 * another one.
 */
#include "kvm/handle.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/check.h"
#include "lib/lock.h"

#define HASH_SIZE 256u

/* Reads as zero in a child. */
struct stamp {
	int pid;
};

static struct {
	struct lock lock;
	struct stamp *stamp;
	uint32_t epoch;
	struct object *hash[HASH_SIZE];
	struct object **cache; /* by descriptor; no references held */
	unsigned int ncache;
} table;

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void table_init(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT(p != MAP_FAILED);
	/* Without wipe-on-fork (before Linux 4.14) a child is not noticed. */
	madvise(p, 4096, MADV_WIPEONFORK);
	table.stamp = p;
	table.stamp->pid = getpid();
	table.epoch = 1;
}

/* Notice a fork: the lock may have been held by a thread left behind. */
static void table_check(void)
{
	int none = 0;

	pthread_once(&once, table_init);
	if (likely(__atomic_load_n(&table.stamp->pid, __ATOMIC_ACQUIRE) > 0))
		return;
	if (__atomic_compare_exchange_n(&table.stamp->pid, &none, -1, false,
					__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
		table.lock = (struct lock){0};
		table.epoch++;
		__atomic_store_n(&table.stamp->pid, getpid(), __ATOMIC_RELEASE);
		return;
	}
	while (__atomic_load_n(&table.stamp->pid, __ATOMIC_ACQUIRE) <= 0)
		__builtin_ia32_pause();
}

int handle_pid(void)
{
	table_check();
	return table.stamp->pid;
}

void object_init(struct object *obj, enum object_kind kind,
		 void (*release)(struct object *obj))
{
	table_check();
	obj->kind = kind;
	obj->refs = 1;
	obj->epoch = table.epoch;
	obj->hashed = false;
	obj->release = release;
}

void object_ref(struct object *obj)
{
	__atomic_add_fetch(&obj->refs, 1, __ATOMIC_RELAXED);
}

void object_unref(struct object *obj)
{
	if (__atomic_sub_fetch(&obj->refs, 1, __ATOMIC_ACQ_REL) == 0)
		obj->release(obj);
}

bool object_is_ours(const struct object *obj)
{
	table_check();
	return obj->epoch == table.epoch;
}

static struct object **bucket(uint64_t ino)
{
	return &table.hash[ino % HASH_SIZE];
}

static void cache_set(int fd, struct object *obj)
{
	struct object **p;
	unsigned int n;

	if ((unsigned int)fd >= table.ncache) {
		n = ALIGN_UP((unsigned int)fd + 1, 256u);
		p = realloc(table.cache, n * sizeof(*p));
		if (!p)
			return;
		for (unsigned int i = table.ncache; i < n; i++)
			p[i] = NULL;
		table.cache = p;
		table.ncache = n;
	}
	table.cache[fd] = obj;
}

static struct object *find(const struct stat *st)
{
	struct object *obj;

	for (obj = *bucket(st->st_ino); obj; obj = obj->next)
		if (obj->ino == st->st_ino && obj->dev == st->st_dev)
			return obj;
	return NULL;
}

static void unhash(struct object *obj)
{
	struct object **p = bucket(obj->ino);

	while (*p != obj)
		p = &(*p)->next;
	*p = obj->next;
	obj->hashed = false;
	for (unsigned int i = 0; i < table.ncache; i++)
		if (table.cache[i] == obj)
			table.cache[i] = NULL;
}

int handle_open(struct object *obj, const char *name, size_t size)
{
	struct stat st;
	int fd, ret;

	fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)size) ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) ||
	    flock(fd, LOCK_EX | LOCK_NB) || fstat(fd, &st)) {
		ret = -errno;
		close(fd);
		return ret;
	}
	table_check();
	obj->dev = st.st_dev;
	obj->ino = st.st_ino;
	lock_acquire(&table.lock);
	obj->next = *bucket(obj->ino);
	*bucket(obj->ino) = obj;
	obj->hashed = true;
	cache_set(fd, obj);
	lock_release(&table.lock);
	return fd;
}

int handle_get(int fd, bool trust, struct object **out)
{
	struct object *obj = NULL;
	struct stat st;

	if (fd < 0)
		return -EBADF;
	table_check();
	if (!trust && fstat(fd, &st))
		return -EBADF;
	lock_acquire(&table.lock);
	if (trust && (unsigned int)fd < table.ncache)
		obj = table.cache[fd];
	if (obj)
		object_ref(obj);
	lock_release(&table.lock);
	if (obj) {
		*out = obj;
		return 0;
	}
	if (trust && fstat(fd, &st))
		return -EBADF;
	lock_acquire(&table.lock);
	obj = find(&st);
	cache_set(fd, obj);
	if (obj)
		object_ref(obj);
	lock_release(&table.lock);
	*out = obj;
	return obj ? 0 : -ENOTTY;
}

int handle_reopen(int fd)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_RDWR | O_CLOEXEC);
}

int handle_close(int fd)
{
	struct object *obj;
	bool last = false;
	int probe;

	if (handle_get(fd, false, &obj))
		return -EBADF;
	probe = handle_reopen(fd);
	lock_acquire(&table.lock);
	if ((unsigned int)fd < table.ncache)
		table.cache[fd] = NULL;
	close(fd);
	if (probe < 0 || flock(probe, LOCK_EX | LOCK_NB) == 0)
		last = obj->hashed && obj->epoch == table.epoch;
	if (last)
		unhash(obj);
	lock_release(&table.lock);
	if (probe >= 0)
		close(probe);
	if (last)
		object_unref(obj);
	object_unref(obj);
	return 0;
}
