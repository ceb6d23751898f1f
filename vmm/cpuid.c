/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPUID topology. Documents: SDM 2A "CPUID" leaves 1, 4, 0BH and 1FH; APM 3
 * "Function 8000_0008h" and "8000_001Eh". Caches of levels 1 and 2 belong to
 * a core, higher ones to a socket.
 */
#include "vmm/cpuid.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/hv.h"

#define ENTRIES_FIRST 100
#define ENTRIES_MAX   1024
#define TOPOLOGY_ROOM 6 /* entries that leaves 0xb and 0x1f may add */

#define L1_ECX_TSC_DEADLINE BIT(24)
#define L1_ECX_OSXSAVE      BIT(27)
#define L1_ECX_HYPERVISOR   BIT(31)
#define L1_EDX_HTT          BIT(28)
#define E1_ECX_CMP_LEGACY   BIT(1)

struct place {
	uint32_t apic_id;
	unsigned socket;
	unsigned core;
	unsigned threads; /* per core */
	unsigned cpus;    /* per socket */
	unsigned thread_bits;
	unsigned socket_shift;
};

static unsigned bits_for(unsigned n)
{
	unsigned bits = 0;

	while ((1U << bits) < n)
		bits++;
	return bits;
}

static struct place place_of(const struct config_smp *smp, unsigned index)
{
	struct place p = {
		.socket = index / (smp->cores * smp->threads),
		.core = index / smp->threads % smp->cores,
		.threads = smp->threads,
		.cpus = smp->cores * smp->threads,
		.thread_bits = bits_for(smp->threads),
	};

	p.socket_shift = p.thread_bits + bits_for(smp->cores);
	p.apic_id = p.socket << p.socket_shift | p.core << p.thread_bits |
		    index % smp->threads;
	return p;
}

uint32_t cpuid_apic_id(const struct config_smp *smp, unsigned index)
{
	return place_of(smp, index).apic_id;
}

static struct kvm_cpuid2 *table_new(unsigned room)
{
	struct kvm_cpuid2 *t;

	t = calloc(1, sizeof(*t) + room * sizeof(t->entries[0]));
	if (t)
		t->nent = room;
	return t;
}

struct kvm_cpuid2 *cpuid_fetch_supported(struct hv *hv, struct err *e)
{
	struct kvm_cpuid2 *t;
	unsigned room;
	int ret;

	for (room = ENTRIES_FIRST; room <= ENTRIES_MAX; room *= 2) {
		t = table_new(room);
		if (!t) {
			err_set(e, -ENOMEM, "out of memory");
			return NULL;
		}
		ret = hv_ioctl(hv, hv->fd, KVM_GET_SUPPORTED_CPUID,
			       (unsigned long)t);
		if (!ret && t->nent <= room)
			return t;
		if (!ret)
			ret = -EPROTO;
		free(t);
		if (ret != -E2BIG)
			break;
	}
	err_set(e, ret, "%s fails KVM_GET_SUPPORTED_CPUID: %s", hv->ops->what,
		strerror(-ret));
	return NULL;
}

struct kvm_cpuid_entry2 *cpuid_find(struct kvm_cpuid2 *table, uint32_t leaf,
				    uint32_t subleaf)
{
	struct kvm_cpuid_entry2 *en;
	unsigned i;

	for (i = 0; i < table->nent; i++) {
		en = &table->entries[i];
		if (en->function != leaf)
			continue;
		if (!(en->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) ||
		    en->index == subleaf)
			return en;
	}
	return NULL;
}

static bool vendor_is(struct kvm_cpuid2 *table, const char *text)
{
	const struct kvm_cpuid_entry2 *en = cpuid_find(table, 0, 0);

	return en && !memcmp(&en->ebx, text, 4) &&
	       !memcmp(&en->edx, text + 4, 4) && !memcmp(&en->ecx, text + 8, 4);
}

bool cpuid_is_intel(struct kvm_cpuid2 *table)
{
	return vendor_is(table, "GenuineIntel");
}

static bool is_amd(struct kvm_cpuid2 *table)
{
	return vendor_is(table, "AuthenticAMD") ||
	       vendor_is(table, "HygonGenuine");
}

static void leaf_1(struct kvm_cpuid_entry2 *en, const struct place *p,
		   bool tsc_deadline)
{
	uint32_t ids = MIN(1U << p->socket_shift, 255U);

	en->ebx = (en->ebx & 0xffff) | ids << 16 | p->apic_id << 24;
	en->ecx &= ~(L1_ECX_TSC_DEADLINE | L1_ECX_OSXSAVE);
	en->ecx |= L1_ECX_HYPERVISOR;
	if (tsc_deadline)
		en->ecx |= L1_ECX_TSC_DEADLINE;
	en->edx &= ~L1_EDX_HTT;
	if (p->cpus > 1)
		en->edx |= L1_EDX_HTT;
}

/* EAX of leaves 4 and 8000001D: type in 4:0, level in 7:5. */
static uint32_t cache_sharing(uint32_t eax, unsigned per_core,
			      unsigned per_socket)
{
	unsigned share = (eax >> 5 & 7) < 3 ? per_core : per_socket;

	return (eax & ~0x03ffc000U) | (share - 1) << 14;
}

static void leaf_4(struct kvm_cpuid_entry2 *en, const struct place *p)
{
	unsigned cores = 1U << (p->socket_shift - p->thread_bits);

	if (!(en->eax & 0x1f))
		return;
	en->eax = cache_sharing(en->eax, 1U << p->thread_bits,
				1U << p->socket_shift);
	en->eax = (en->eax & 0x03ffffff) | MIN(cores - 1, 63U) << 26;
}

static void leaf_amd(struct kvm_cpuid_entry2 *en, const struct place *p)
{
	switch (en->function) {
	case 0x80000001:
		en->ecx &= ~E1_ECX_CMP_LEGACY;
		if (p->cpus > 1)
			en->ecx |= E1_ECX_CMP_LEGACY;
		break;
	case 0x80000008:
		en->ecx = (en->ecx & ~0xf0ffU) | (p->cpus - 1) |
			  p->socket_shift << 12;
		break;
	case 0x8000001d:
		if (en->eax & 0x1f)
			en->eax = cache_sharing(en->eax, p->threads, p->cpus);
		break;
	case 0x8000001e:
		en->eax = p->apic_id;
		en->ebx = p->core | (p->threads - 1) << 8;
		en->ecx = p->socket;
		break;
	}
}

/* Leaves 0xb and 0x1f: a level for threads, one for cores, an end. */
static void add_topology(struct kvm_cpuid2 *t, uint32_t leaf,
			 const struct place *p)
{
	const struct {
		uint32_t shift, count, type;
	} level[] = {
		{p->thread_bits, p->threads, 1},
		{p->socket_shift, p->cpus, 2},
		{0, 0, 0},
	};
	uint32_t i;

	for (i = 0; i < ARRAY_SIZE(level); i++)
		t->entries[t->nent++] = (struct kvm_cpuid_entry2){
			.function = leaf,
			.index = i,
			.flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
			.eax = level[i].shift,
			.ebx = level[i].count,
			.ecx = i | level[i].type << 8,
			.edx = p->apic_id,
		};
}

struct kvm_cpuid2 *cpuid_vcpu(const struct kvm_cpuid2 *base,
			      const struct config_smp *smp, unsigned index,
			      bool tsc_deadline)
{
	struct place p = place_of(smp, index);
	struct kvm_cpuid2 *t = table_new(base->nent + TOPOLOGY_ROOM);
	bool has_b = false, has_1f = false, amd;
	unsigned i;

	if (!t)
		return NULL;
	t->nent = 0;
	for (i = 0; i < base->nent; i++) {
		has_b |= base->entries[i].function == 0xb;
		has_1f |= base->entries[i].function == 0x1f;
		if (base->entries[i].function != 0xb &&
		    base->entries[i].function != 0x1f)
			t->entries[t->nent++] = base->entries[i];
	}
	amd = is_amd(t);
	for (i = 0; i < t->nent; i++) {
		if (t->entries[i].function == 1)
			leaf_1(&t->entries[i], &p, tsc_deadline);
		else if (t->entries[i].function == 4)
			leaf_4(&t->entries[i], &p);
		else if (amd)
			leaf_amd(&t->entries[i], &p);
	}
	if (has_b)
		add_topology(t, 0xb, &p);
	if (has_1f)
		add_topology(t, 0x1f, &p);
	return t;
}
