/* SPDX-License-Identifier: Apache-2.0 */
/*
 * KVM_EXIT_INTERNAL_ERROR: KVM API "KVM_CAP_INTERNAL_ERROR_DATA" and
 * "KVM_CAP_EXIT_ON_EMULATION_FAILURE".
 *
 * Clients that ask for exits on failed emulation serve instructions that the
 * kernel cannot run on device memory, those of the x87 above all. Here they
 * work; such a client gets them all the same where nothing has happened yet,
 * that is for loads.
 */
#include "kvm/failure.h"

#include <linux/kvm.h>
#include <string.h>

#include "cpu/insn.h"
#include "cpu/mem.h"
#include "engine/engine.h"
#include "kvm/vcpu.h"
#include "kvm/vm.h"

#define INSN_MAX 15u

/* The three words of struct emulation_failure that are defined. */
#define FAILURE_WORDS 3u

struct insn_bytes {
	uint8_t byte[INSN_MAX];
	uint8_t count;
};

static uint64_t code_address(const struct cpu *cpu)
{
	if (cpu->code_bits == 64)
		return cpu->rip;
	return (uint32_t)(cpu->rip + cpu->seg[SEG_CS].base);
}

/* As many as there are: the next page may be missing. */
static int fetch(struct cpu *cpu, void *arg)
{
	struct insn_bytes *b = arg;
	uint64_t gva = code_address(cpu);
	struct walk w;

	for (b->count = 0; b->count < INSN_MAX; b->count++)
		if (mmu_probe(cpu, gva + b->count, mem_acc(cpu, ACC_EXEC),
			      &w) ||
		    phys_read(cpu, w.gpa, &b->byte[b->count], 1))
			break;
	return 0;
}

static void insn_at_rip(struct vcpu *vcpu, struct insn_bytes *b)
{
	memset(b, 0, sizeof(*b));
	pthread_rwlock_rdlock(&vcpu->vm->mem.map_lock);
	if (engine_guard(vcpu->cpu, fetch, b))
		b->count = 0;
	pthread_rwlock_unlock(&vcpu->vm->mem.map_lock);
}

/* Of the x87 KVM emulates FNSTCW and FNSTSW to memory only. */
static bool is_foreign(const struct cpu *cpu, const struct insn_bytes *b)
{
	unsigned int i = 0, reg;

	while (i < b->count && insn_is_prefix(cpu, b->byte[i]))
		i++;
	if (i + 1 >= b->count || (b->byte[i] & 0xf8) != 0xd8)
		return false;
	reg = b->byte[i + 1] >> 3 & 7;
	return !(reg == 7 && (b->byte[i] == 0xd9 || b->byte[i] == 0xdd));
}

static void report(struct kvm_run *run, const struct insn_bytes *b)
{
	run->exit_reason = KVM_EXIT_INTERNAL_ERROR;
	memset(&run->emulation_failure, 0, sizeof(run->emulation_failure));
	run->emulation_failure.suberror = KVM_INTERNAL_ERROR_EMULATION;
	run->emulation_failure.ndata = FAILURE_WORDS;
	if (!b->count)
		return;
	run->emulation_failure.flags =
		KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES;
	run->emulation_failure.insn_size = b->count;
	memcpy(run->emulation_failure.insn_bytes, b->byte, INSN_MAX);
}

bool failure_of_mmio(struct vcpu *vcpu)
{
	struct insn_bytes b;

	if (likely(!vcpu->vm->emulation_exits))
		return false;
	insn_at_rip(vcpu, &b);
	if (!is_foreign(vcpu->cpu, &b))
		return false;
	engine_cancel(vcpu->cpu);
	report(vcpu->run, &b);
	return true;
}

static void report_delivery(struct vcpu *vcpu)
{
	const struct cpu *cpu = vcpu->cpu;
	struct kvm_run *run = vcpu->run;

	/* The event; exit reason and its detail are hardware's; the gpa. */
	run->exit_reason = KVM_EXIT_INTERNAL_ERROR;
	run->internal.suberror = KVM_INTERNAL_ERROR_DELIVERY_EV;
	memset(run->internal.data, 0, sizeof(run->internal.data));
	run->internal.ndata = 5;
	run->internal.data[0] = cpu->event.vector | BIT(31);
	run->internal.data[3] = cpu->internal.data[0];
	run->internal.data[4] = vcpu->id;
}

void failure_report(struct vcpu *vcpu)
{
	const struct cpu *cpu = vcpu->cpu;
	struct kvm_run *run = vcpu->run;
	struct insn_bytes b;

	if (cpu->internal.suberror == KVM_INTERNAL_ERROR_DELIVERY_EV) {
		report_delivery(vcpu);
	} else if (cpu->internal.suberror == KVM_INTERNAL_ERROR_EMULATION) {
		insn_at_rip(vcpu, &b);
		report(run, &b);
		run->internal.data[FAILURE_WORDS] = cpu->internal.data[0];
		run->internal.ndata = FAILURE_WORDS + 1;
	} else {
		run->exit_reason = KVM_EXIT_INTERNAL_ERROR;
		run->internal.suberror = cpu->internal.suberror;
		run->internal.ndata = MIN(cpu->internal.ndata, 16u);
		for (uint32_t i = 0; i < run->internal.ndata; i++)
			run->internal.data[i] = cpu->internal.data[i];
	}
}
