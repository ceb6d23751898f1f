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
#include <sys/stat.h>
#include <unistd.h>

#include "kvm/handler.h"
#include "kvm/vcpu.h"
#include "kvm/vm.h"
#include "lib/check.h"

/* The layout is KVM's. */
_Static_assert(sizeof(struct binstat_header) == sizeof(struct kvm_stats_header),
	       "header");
_Static_assert(offsetof(struct binstat_header, data_offset) ==
		       offsetof(struct kvm_stats_header, data_offset),
	       "header");
_Static_assert(sizeof(struct binstat_desc) == sizeof(struct kvm_stats_desc),
	       "descriptor");
_Static_assert(offsetof(struct binstat_desc, offset) ==
		       offsetof(struct kvm_stats_desc, offset),
	       "descriptor");
_Static_assert(!(KVM_STATS_TYPE_CUMULATIVE | KVM_STATS_UNIT_NONE |
		 KVM_STATS_BASE_POW10),
	       "flags of a plain counter");

static const char *const vcpu_names[] = {
	[CPU_STAT_EXITS] = "exits",
	[CPU_STAT_IO] = "io_exits",
	[CPU_STAT_MMIO] = "mmio_exits",
	[CPU_STAT_IRQ] = "irq_injections",
	[CPU_STAT_HLT] = "halt_exits",
	[CPU_STAT_TLB_MISS] = "tlb_misses",
	[CPU_STAT_TLB_FLUSH] = "tlb_flush",
	[CPU_STAT_TRANSLATE] = "translations",
	[CPU_STAT_INVALIDATE] = "invalidations",
	[CPU_STAT_EXCEPTION] = "exceptions",
	[CPU_STAT_SLOW_INSN] = "insn_emulation",
	[CPU_STAT_DISPATCH] = "dispatches",
	[CPU_STAT_POLL] = "halt_attempted_poll",
	[CPU_STAT_POLLED] = "halt_successful_poll",
	[CPU_STAT_SLEEP] = "halt_sleeps",
	[CPU_STAT_MOVE] = "translations_moved",
	[CPU_STAT_SPIN] = "pause_yields",
};

static const char *const vm_names[VM_STAT_COUNT] = {
	[VM_STAT_MEMSLOT] = "memslot_updates",
	[VM_STAT_DIRTY_LOG] = "dirty_log_reads",
	[VM_STAT_ROUTING] = "irq_routing_updates",
	[VM_STAT_IRQFD] = "irqfd_injections",
	[VM_STAT_IOEVENTFD] = "ioeventfd_signals",
	[VM_STAT_COALESCED] = "coalesced_writes",
};

static int create(struct stats *s, const char *id, const char *const *names,
		  uint32_t n)
{
	struct stat st;
	int ret = binstat_create(&s->file, "kvm-stats", id, names, n);

	if (ret)
		return ret;
	if (fstat(s->file.fd, &st)) {
		ret = -errno;
		binstat_destroy(&s->file);
		return ret;
	}
	s->dev = st.st_dev;
	s->ino = st.st_ino;
	return 0;
}

void stats_destroy(struct stats *s)
{
	binstat_destroy(&s->file);
}

int stats_create_vm(struct vm *vm)
{
	char id[BINSTAT_NAME];

	snprintf(id, sizeof(id), "kvm-%d", getpid());
	return create(&vm->stats, id, vm_names, VM_STAT_COUNT);
}

int stats_create_vcpu(struct vcpu *vcpu)
{
	char id[BINSTAT_NAME];
	int ret;

	snprintf(id, sizeof(id), "kvm-%d/vcpu-%u", getpid(), vcpu->id);
	ret = create(&vcpu->stats, id, vcpu_names, ARRAY_SIZE(vcpu_names));
	if (!ret)
		vcpu->cpu->stat = vcpu->stats.file.data;
	return ret;
}

void stats_count(struct vm *vm, enum vm_stat n)
{
	binstat_add(&vm->stats.file, n, 1);
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
	memcpy(vcpu->stats.file.data, old.file.data,
	       ARRAY_SIZE(vcpu_names) * sizeof(uint64_t));
	stats_destroy(&old);
	return 0;
}

int stats_get_vm_fd(struct call *c)
{
	return reopen(c->vm->stats.file.fd);
}

int stats_get_vcpu_fd(struct call *c)
{
	struct stats *s = &c->vcpu->stats;
	int fd, ret;

	if (s->file.fd < 0) {
		fd = find_open(s);
		if (fd >= 0)
			return reopen(fd);
		ret = renew(c->vcpu);
		if (ret)
			return ret;
	}
	fd = reopen(s->file.fd);
	if (fd >= 0) {
		close(s->file.fd);
		s->file.fd = -1;
	}
	return fd;
}
