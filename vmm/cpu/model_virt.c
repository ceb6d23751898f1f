/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPUs that exist only as virtual ones, and Zhaoxin's.
 *
 * One block is one CPU: what version 1 is, then what each later version
 * changes against the one before it. Names, numbers and bits are those of
 * QEMU's models of the same names, so that guests can move. Left out: the
 * controls of nested VMX.
 */
#include "vmm/cpu/model.h"

const struct cpu_model models_virt[] = {
	{
		.name = "qemu64",
		.vendor = VENDOR_AMD,
		.family = 15,
		.model = 107,
		.stepping = 1,
		.level = 0xd,
		.xlevel = 0x8000000a,
		.model_id = "QEMU Virtual CPU version 2.5+",
		.features = "fpu de pse tsc msr pae mce cx8 apic sep mtrr pge "
			    "mca cmov pat pse36 clflush mmx fxsr sse sse2 "
			    "pni cx16 "
			    "syscall nx lm "
			    "lahf-lm svm",
		.version =
			{
				{.delta = ""},
			},
	},
	{
		.name = "qemu32",
		.vendor = VENDOR_INTEL,
		.family = 6,
		.model = 6,
		.stepping = 3,
		.level = 0x4,
		.xlevel = 0x80000004,
		.model_id = "QEMU Virtual CPU version 2.5+",
		.features = "fpu de pse tsc msr pae mce cx8 apic sep pge cmov "
			    "pat mmx fxsr sse sse2 "
			    "pni",
		.version =
			{
				{.delta = ""},
			},
	},
	{
		.name = "kvm64",
		.vendor = VENDOR_INTEL,
		.family = 15,
		.model = 6,
		.stepping = 1,
		.level = 0xd,
		.xlevel = 0x80000008,
		.model_id = "Common KVM processor",
		.features = "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr "
			    "pge mca cmov pat pse36 clflush mmx fxsr sse sse2 "
			    "pni cx16 "
			    "syscall nx lm",
		.version =
			{
				{.delta = ""},
			},
	},
	{
		.name = "kvm32",
		.vendor = VENDOR_INTEL,
		.family = 15,
		.model = 6,
		.stepping = 1,
		.level = 0x5,
		.xlevel = 0x80000008,
		.model_id = "Common 32-bit KVM processor",
		.features = "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr "
			    "pge mca cmov pat pse36 clflush mmx fxsr sse sse2 "
			    "pni",
		.version =
			{
				{.delta = ""},
			},
	},
	{
		.name = "YongFeng",
		.vendor = VENDOR_ZHAOXIN,
		.family = 7,
		.model = 11,
		.stepping = 3,
		.level = 0x1f,
		.xlevel = 0x80000008,
		.xlevel2 = 0xc0000001,
		.model_id = "Zhaoxin YongFeng Processor",
		.features = "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr "
			    "pge mca cmov pat pse36 clflush acpi mmx fxsr sse "
			    "sse2 ss "
			    "pni pclmulqdq monitor ssse3 fma cx16 pcid sse4.1 "
			    "sse4.2 x2apic movbe popcnt tsc-deadline aes xsave "
			    "avx f16c rdrand "
			    "syscall nx pdpe1gb rdtscp lm "
			    "lahf-lm abm 3dnowprefetch "
			    "fsgsbase bmi1 avx2 smep bmi2 invpcid rdseed adx "
			    "smap sha-ni "
			    "umip pku rdpid "
			    "spec-ctrl arch-capabilities "
			    "xsaveopt "
			    "invtsc "
			    "xstore xstore-en xcrypt xcrypt-en ace2 phe phe-en "
			    "pmm pmm-en "
			    "rdctl-no skip-l1dfl-vmentry ssb-no mds-no "
			    "pschange-mc-no",
		.version =
			{
				{.delta = ""},
				{.delta = "model=91"},
				{.cache = &cache_yongfeng,
				 .delta = "x-force-cpuid-0x1f=on"},
			},
	},
	{NULL},
};
