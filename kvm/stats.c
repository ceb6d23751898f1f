/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files behind KVM_GET_STATS_FD. Descriptors are dear where there are a
 * thousand vCPUs: a vCPU's own one goes over to the client with the first
 * that is asked for, and is looked for among the client's when another is.
 */
#include "kvm/stats.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kvm/handler.h"
#include "kvm/vcpu.h"
#include "kvm/vm.h"
#include "lib/check.h"

#define NAME_SIZE   48u
#define DESC_OFFSET (sizeof(struct kvm_stats_header) + NAME_SIZE)
#define DESC_SIZE   (sizeof(struct kvm_stats_desc) + NAME_SIZE)
#define DATA_OFFSET 4096u
#define FILE_SIZE   8192u

struct stat_name {
	const char *name; /* NULL: not shown */
};

static const struct stat_name vcpu_names[] = {
	[CPU_STAT_EXITS] = {"exits"},
	[CPU_STAT_IO] = {"io_exits"},
	[CPU_STAT_MMIO] = {"mmio_exits"},
	[CPU_STAT_IRQ] = {"irq_injections"},
	[CPU_STAT_HLT] = {"halt_exits"},
	[CPU_STAT_TLB_MISS] = {"tlb_misses"},
	[CPU_STAT_TLB_FLUSH] = {"tlb_flush"},
	[CPU_STAT_TRANSLATE] = {"translations"},
	[CPU_STAT_INVALIDATE] = {"invalidations"},
	[CPU_STAT_EXCEPTION] = {"exceptions"},
	[CPU_STAT_SLOW_INSN] = {"insn_emulation"},
	[CPU_STAT_DISPATCH] = {"dispatches"},
};

static const struct stat_name vm_names[VM_STAT_COUNT] = {
	[VM_STAT_MEMSLOT] = {"memslot_updates"},
	[VM_STAT_DIRTY_LOG] = {"dirty_log_reads"},
	[VM_STAT_ROUTING] = {"irq_routing_updates"},
	[VM_STAT_IRQFD] = {"irqfd_injections"},
	[VM_STAT_IOEVENTFD] = {"ioeventfd_signals"},
	[VM_STAT_COALESCED] = {"coalesced_writes"},
};

_Static_assert(DESC_OFFSET + DESC_SIZE * ARRAY_SIZE(vcpu_names) <= DATA_OFFSET,
	       "descriptors in the first page");

/* Header, id and descriptors of @n counters. */
static void describe(uint8_t *file, const char *id,
		     const struct stat_name *names, uint32_t n)
{
	struct kvm_stats_header *h = (void *)file;

	*h = (struct kvm_stats_header){
		.name_size = NAME_SIZE,
		.num_desc = n,
		.id_offset = sizeof(*h),
		.desc_offset = DESC_OFFSET,
		.data_offset = DATA_OFFSET,
	};
	snprintf((char *)file + h->id_offset, NAME_SIZE, "%s", id);
	for (uint32_t i = 0; i < n; i++) {
		struct kvm_stats_desc *d = (void *)(file + DESC_OFFSET +
						    i * DESC_SIZE);

		d->flags = KVM_STATS_TYPE_CUMULATIVE | KVM_STATS_UNIT_NONE |
			   KVM_STATS_BASE_POW10;
		d->size = 1;
		d->offset = i * (uint32_t)sizeof(uint64_t);
		snprintf((char *)d + sizeof(*d), NAME_SIZE, "%s",
			 names[i].name);
	}
}

static int create(struct stats *s, const char *id,
		  const struct stat_name *names, uint32_t n)
{
	int fd = memfd_create("kvm-stats", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct stat st;
	void *p;
	int ret;

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, FILE_SIZE) || fstat(fd, &st))
		goto close_fd;
	p = mmap(NULL, FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		goto close_fd;
	describe(p, id, names, n);
	*s = (struct stats){
		.fd = fd,
		.dev = st.st_dev,
		.ino = st.st_ino,
		.file = p,
		.data = (uint64_t *)((uint8_t *)p + DATA_OFFSET),
	};
	return 0;
close_fd:
	ret = -errno;
	close(fd);
	return ret;
}

void stats_destroy(struct stats *s)
{
	if (!s->file)
		return;
	munmap(s->file, FILE_SIZE);
	if (s->fd >= 0)
		close(s->fd);
	s->file = NULL;
}

int stats_create_vm(struct vm *vm)
{
	char id[NAME_SIZE];

	snprintf(id, sizeof(id), "kvm-%d", getpid());
	return create(&vm->stats, id, vm_names, VM_STAT_COUNT);
}

int stats_create_vcpu(struct vcpu *vcpu)
{
	char id[NAME_SIZE];
	int ret;

	snprintf(id, sizeof(id), "kvm-%d/vcpu-%u", getpid(), vcpu->id);
	ret = create(&vcpu->stats, id, vcpu_names, ARRAY_SIZE(vcpu_names));
	if (!ret)
		vcpu->cpu->stat = vcpu->stats.data;
	return ret;
}

void stats_count(struct vm *vm, enum vm_stat n)
{
	__atomic_fetch_add(&vm->stats.data[n], 1, __ATOMIC_RELAXED);
}

/* ---- KVM_GET_STATS_FD ---- */

static int reopen(int fd)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* One of the client's descriptors of the file; it may have been duplicated. */
static int find_open(const struct stats *s)
{
	DIR *d = opendir("/proc/self/fd");
	const struct dirent *e;
	struct stat st;
	int fd = -1, n;

	while (d && fd < 0 && (e = readdir(d))) {
		n = atoi(e->d_name);
		if (n != dirfd(d) && !fstat(n, &st) && st.st_dev == s->dev &&
		    st.st_ino == s->ino)
			fd = n;
	}
	if (d)
		closedir(d);
	return fd;
}

/* Nobody can read the file any more: go on counting in another one. */
static int renew(struct vcpu *vcpu)
{
	struct stats old = vcpu->stats;
	int ret = stats_create_vcpu(vcpu);

	if (ret)
		return ret;
	memcpy(vcpu->stats.data, old.data,
	       ARRAY_SIZE(vcpu_names) * sizeof(uint64_t));
	stats_destroy(&old);
	return 0;
}

int stats_get_vm_fd(struct call *c)
{
	return reopen(c->vm->stats.fd);
}

int stats_get_vcpu_fd(struct call *c)
{
	struct stats *s = &c->vcpu->stats;
	int fd, ret;

	if (s->fd < 0) {
		fd = find_open(s);
		if (fd >= 0)
			return reopen(fd);
		ret = renew(c->vcpu);
		if (ret)
			return ret;
	}
	fd = reopen(s->fd);
	if (fd >= 0) {
		close(s->fd);
		s->fd = -1;
	}
	return fd;
}
