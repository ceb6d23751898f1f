/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of the KVM ABI share: a VM with memory, a vCPU in real or
 * 64-bit mode, and short names for the calls. They use include/lodge.h only,
 * as any client would.
 */
#ifndef ABI_ABI_H
#define ABI_ABI_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>
#include <linux/kvm.h>

#include "include/lodge.h"

#define ABI_RAM  (4u << 20)
#define ABI_CODE 0x1000u /* where guest code starts */

struct abi {
	int sys, vm, vcpu;
	uint8_t *ram;
	struct kvm_run *run;
};

/* What a VM is made with. */
#define ABI_IRQCHIP 1 /* KVM_CREATE_IRQCHIP before the vCPU */
#define ABI_PIT     2
#define ABI_NO_VCPU 4

#define CALL(fd, req, arg)       lodge_ioctl(fd, req, (unsigned long)(arg))
#define OK(fd, req, arg)         assert_int_equal(CALL(fd, req, arg), 0)
#define FAILS(fd, req, arg, err) assert_int_equal(CALL(fd, req, arg), -(err))

void abi_open(struct abi *a, int flags);
void abi_close(struct abi *a);

/* Another vCPU of the same VM; *run is its mapping. */
int abi_add_vcpu(struct abi *a, unsigned int id, struct kvm_run **run);

/* All of GET_SUPPORTED_CPUID for a vCPU. */
void abi_set_cpuid(struct abi *a, int vcpu);

/* Put code at ABI_CODE and the vCPU there in real mode, flat from zero. */
void abi_real(struct abi *a, int vcpu, const void *code, size_t size);

/* The same in 64-bit mode, 4 GiB mapped one to one by tables at 0x10000. */
void abi_long(struct abi *a, int vcpu, const void *code, size_t size);

/*
 * 64-bit guest code written in assembler: bytes abi_NAME .. abi_NAME_end,
 * position-independent, entered at the start.
 */
#define ABI_GUEST(name, ...)                                            \
	extern const uint8_t abi_##name[], abi_##name##_end[];          \
	__asm__(".pushsection .rodata\n"                                \
		"abi_" #name ":\n" __VA_ARGS__ "\nabi_" #name "_end:\n" \
		".popsection\n")

#define ABI_START(a, vcpu, name) \
	abi_long(a, vcpu, abi_##name, (size_t)(abi_##name##_end - abi_##name))

/* An interrupt gate to @gva; the IDT is at 0x9000, loaded by abi_idt(). */
void abi_gate(struct abi *a, unsigned int vector, uint64_t gva);
void abi_idt(struct abi *a, int vcpu);

/* A word of guest memory. */
#define ABI_WORD(a, gpa) (*(volatile uint64_t *)(void *)((a)->ram + (gpa)))

/* KVM_RUN that has to end with this exit reason. */
void abi_run(struct abi *a, unsigned int reason);

struct kvm_regs abi_regs(int vcpu);

#endif
