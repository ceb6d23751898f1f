/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables of CPUID entries as KVM hands them out.
 */
#include "vmm/cpuid.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/hv.h"

#define ENTRIES_FIRST 100
#define ENTRIES_MAX   1024

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
