/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AMD's and Hygon's named CPUs, oldest first.
 *
 * One block is one CPU: what version 1 is, then what each later version
 * changes against the one before it. Names, numbers and bits are those of
 * QEMU's models of the same names, so that guests can move. Left out: the
 * controls of nested VMX.
 */
#include "vmm/cpu/model.h"

const struct cpu_model models_amd[] = {
	{
		.name = "athlon",
		.vendor = VENDOR_AMD,
		.family = 6,
		.model = 2,
		.stepping = 3,
		.level = 0x2,
		.xlevel = 0x80000008,
		.model_id = "QEMU Virtual CPU version 2.5+",
		.features = "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr "
			    "pge mca cmov pat pse36 mmx fxsr sse sse2 "
			    "mmxext 3dnowext 3dnow",
		.version =
			{
				{.delta = ""},
			},
	},
	{
		.name = "phenom",
		.vendor = VENDOR_AMD,
		.family = 16,
		.model = 2,
		.stepping = 3,
		.level = 0x5,
		.xlevel = 0x8000001a,
		.model_id = "AMD Phenom(tm) 9550 Quad-Core Processor",
		.features = "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr "
			    "pge mca cmov pat pse36 clflush mmx fxsr sse sse2 "
			    "pni monitor cx16 popcnt "
			    "syscall nx mmxext fxsr-opt pdpe1gb rdtscp lm "
			    "3dnowext 3dnow "
			    "lahf-lm svm abm sse4a "
			    "npt",
		.version =
			{
				{.delta = ""},
			},
	},
	{
		.name = "Opteron_G1",
		.vendor = VENDOR_AMD,
		.family = 15,
		.model = 6,
		.stepping = 1,
		.level = 0x5,
		.xlevel = 0x80000008,
		.model_id = "AMD Opteron 240 (Gen 1 Class Opteron)",
		.features = "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr "
			    "pge mca cmov pat pse36 clflush mmx fxsr sse sse2 "
			    "pni "
			    "syscall nx lm",
		.version =
			{
				{.delta = ""},
			},
	},
	{
		.name = "Opteron_G2",
		.vendor = VENDOR_AMD,
		.family = 15,
		.model = 6,
		.stepping = 1,
		.level = 0x5,
		.xlevel = 0x8000000a,
		.model_id = "AMD Opteron 22xx (Gen 2 Class Opteron)",
		.features = "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr "
			    "pge mca cmov pat pse36 clflush mmx fxsr sse sse2 "
			    "pni cx16 "
			    "syscall nx lm "
			    "lahf-lm svm",
		.version =
			{
				{.delta = ""},
			},
	},
	{
		.name = "Opteron_G3",
		.vendor = VENDOR_AMD,
		.family = 16,
		.model = 2,
		.stepping = 3,
		.level = 0x5,
		.xlevel = 0x8000000a,
		.model_id = "AMD Opteron 23xx (Gen 3 Class Opteron)",
		.features = "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr "
			    "pge mca cmov pat pse36 clflush mmx fxsr sse sse2 "
			    "pni monitor cx16 popcnt "
			    "syscall nx rdtscp lm "
			    "lahf-lm svm abm sse4a misalignsse",
		.version =
			{
				{.delta = ""},
			},
	},
	{
		.name = "Opteron_G4",
		.vendor = VENDOR_AMD,
		.family = 21,
		.model = 1,
		.stepping = 2,
		.level = 0xd,
		.xlevel = 0x8000001a,
		.model_id = "AMD Opteron 62xx class CPU",
		.features = "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr "
			    "pge mca cmov pat pse36 clflush mmx fxsr sse sse2 "
			    "pni pclmulqdq ssse3 cx16 sse4.1 sse4.2 popcnt aes "
			    "xsave avx "
			    "syscall nx pdpe1gb rdtscp lm "
			    "lahf-lm svm abm sse4a misalignsse 3dnowprefetch "
			    "xop fma4 "
			    "npt nrip-save",
		.version =
			{
				{.delta = ""},
			},
	},
	{
		.name = "Opteron_G5",
		.vendor = VENDOR_AMD,
		.family = 21,
		.model = 2,
		.stepping = 0,
		.level = 0xd,
		.xlevel = 0x8000001a,
		.model_id = "AMD Opteron 63xx class CPU",
		.features = "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr "
			    "pge mca cmov pat pse36 clflush mmx fxsr sse sse2 "
			    "pni pclmulqdq ssse3 fma cx16 sse4.1 sse4.2 popcnt "
			    "aes xsave avx f16c "
			    "syscall nx pdpe1gb rdtscp lm "
			    "lahf-lm svm abm sse4a misalignsse 3dnowprefetch "
			    "xop fma4 tbm "
			    "npt nrip-save",
		.version =
			{
				{.delta = ""},
			},
	},
	{
		.name = "EPYC",
		.vendor = VENDOR_AMD,
		.family = 23,
		.model = 1,
		.stepping = 2,
		.level = 0xd,
		.xlevel = 0x8000001e,
		.model_id = "AMD EPYC Processor",
		.cache = &cache_epyc,
		.features =
			"fpu vme de pse tsc msr pae mce cx8 apic sep mtrr "
			"pge mca cmov pat pse36 clflush mmx fxsr sse sse2 "
			"pni pclmulqdq monitor ssse3 fma cx16 sse4.1 sse4.2 "
			"movbe popcnt aes xsave avx f16c rdrand "
			"syscall nx mmxext fxsr-opt pdpe1gb rdtscp lm "
			"lahf-lm svm cr8legacy abm sse4a misalignsse "
			"3dnowprefetch osvw topoext "
			"fsgsbase bmi1 avx2 smep bmi2 rdseed adx smap "
			"clflushopt sha-ni "
			"xsaveopt xsavec xgetbv1 "
			"arat "
			"npt nrip-save",
		.version =
			{
				{.delta = ""},
				{.alias = "EPYC-IBPB",
				 .model_id = "AMD EPYC Processor (with IBPB)",
				 .delta = "+ibpb"},
				{.model_id = "AMD EPYC Processor",
				 .delta = "+perfctr-core +xsaves +clzero "
					  "+xsaveerptr"},
				{.model_id = "AMD EPYC-v4 Processor",
				 .cache = &cache_epyc_v4,
				 .delta = ""},
				{.model_id = "AMD EPYC-v5 Processor",
				 .cache = &cache_epyc_v5,
				 .delta =
					 "+overflow-recov +succor +lbrv "
					 "+tsc-scale "
					 "+vmcb-clean +flushbyasid "
					 "+pause-filter "
					 "+pfthreshold +v-vmsave-vmload +vgif"},
			},
	},
	{
		.name = "Dhyana",
		.vendor = VENDOR_HYGON,
		.family = 24,
		.model = 0,
		.stepping = 1,
		.level = 0xd,
		.xlevel = 0x8000001e,
		.model_id = "Hygon Dhyana Processor",
		.cache = &cache_epyc,
		.features = "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr "
			    "pge mca cmov pat pse36 clflush mmx fxsr sse sse2 "
			    "pni monitor ssse3 fma cx16 sse4.1 sse4.2 movbe "
			    "popcnt xsave avx f16c rdrand "
			    "syscall nx mmxext fxsr-opt pdpe1gb rdtscp lm "
			    "lahf-lm svm cr8legacy abm sse4a misalignsse "
			    "3dnowprefetch osvw topoext "
			    "fsgsbase bmi1 avx2 smep bmi2 rdseed adx smap "
			    "clflushopt "
			    "xsaveopt xsavec xgetbv1 "
			    "arat "
			    "ibpb "
			    "npt nrip-save",
		.version =
			{
				{.delta = ""},
				{.delta = "+xsaves"},
			},
	},
	{
		.name = "EPYC-Rome",
		.vendor = VENDOR_AMD,
		.family = 23,
		.model = 49,
		.stepping = 0,
		.level = 0xd,
		.xlevel = 0x8000001e,
		.model_id = "AMD EPYC-Rome Processor",
		.cache = &cache_rome,
		.features =
			"fpu vme de pse tsc msr pae mce cx8 apic sep mtrr "
			"pge mca cmov pat pse36 clflush mmx fxsr sse sse2 "
			"pni pclmulqdq monitor ssse3 fma cx16 sse4.1 sse4.2 "
			"movbe popcnt aes xsave avx f16c rdrand "
			"syscall nx mmxext fxsr-opt pdpe1gb rdtscp lm "
			"lahf-lm svm cr8legacy abm sse4a misalignsse "
			"3dnowprefetch osvw topoext perfctr-core "
			"fsgsbase bmi1 avx2 smep bmi2 rdseed adx smap "
			"clflushopt clwb sha-ni "
			"umip rdpid "
			"xsaveopt xsavec xgetbv1 xsaves "
			"arat "
			"clzero xsaveerptr wbnoinvd ibpb amd-stibp "
			"npt nrip-save",
		.version =
			{
				{.delta = ""},
				{.delta = "+ibrs +amd-ssbd"},
				{.model_id = "AMD EPYC-Rome-v3 Processor",
				 .cache = &cache_rome_v3,
				 .delta = ""},
				{.model_id = "AMD EPYC-Rome-v4 Processor (no "
					     "XSAVES)",
				 .delta = "-xsaves"},
				{.model_id = "AMD EPYC-Rome-v5 Processor",
				 .cache = &cache_rome_v5,
				 .delta =
					 "+overflow-recov +succor +lbrv "
					 "+tsc-scale "
					 "+vmcb-clean +flushbyasid "
					 "+pause-filter "
					 "+pfthreshold +v-vmsave-vmload +vgif"},
			},
	},
	{
		.name = "EPYC-Milan",
		.vendor = VENDOR_AMD,
		.family = 25,
		.model = 1,
		.stepping = 1,
		.level = 0xd,
		.xlevel = 0x8000001e,
		.model_id = "AMD EPYC-Milan Processor",
		.cache = &cache_milan,
		.features = "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr "
			    "pge mca cmov pat pse36 clflush mmx fxsr sse sse2 "
			    "pni pclmulqdq monitor ssse3 fma cx16 pcid sse4.1 "
			    "sse4.2 movbe popcnt aes xsave avx f16c rdrand "
			    "syscall nx mmxext fxsr-opt pdpe1gb rdtscp lm "
			    "lahf-lm svm cr8legacy abm sse4a misalignsse "
			    "3dnowprefetch osvw topoext perfctr-core "
			    "fsgsbase bmi1 avx2 smep bmi2 erms invpcid rdseed "
			    "adx smap clflushopt clwb sha-ni "
			    "umip pku rdpid "
			    "fsrm "
			    "xsaveopt xsavec xgetbv1 xsaves "
			    "arat "
			    "clzero xsaveerptr wbnoinvd ibpb ibrs amd-stibp "
			    "amd-ssbd "
			    "npt nrip-save svme-addr-chk",
		.version =
			{
				{.delta = ""},
				{.model_id = "AMD EPYC-Milan-v2 Processor",
				 .cache = &cache_milan_v2,
				 .delta = "+vaes +vpclmulqdq +stibp-always-on "
					  "+amd-psfd "
					  "+no-nested-data-bp "
					  "+lfence-always-serializing "
					  "+null-sel-clr-base"},
				{.model_id = "AMD EPYC-Milan-v3 Processor",
				 .cache = &cache_milan_v3,
				 .delta =
					 "+overflow-recov +succor +lbrv "
					 "+tsc-scale "
					 "+vmcb-clean +flushbyasid "
					 "+pause-filter "
					 "+pfthreshold +v-vmsave-vmload +vgif"},
				{.model_id = "AMD EPYC-Milan-v4 Processor",
				 .delta = "+gmet"},
			},
	},
	{
		.name = "EPYC-Genoa",
		.vendor = VENDOR_AMD,
		.family = 25,
		.model = 17,
		.stepping = 0,
		.level = 0xd,
		.xlevel = 0x80000022,
		.model_id = "AMD EPYC-Genoa Processor",
		.cache = &cache_genoa,
		.features = "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr "
			    "pge mca cmov pat pse36 clflush mmx fxsr sse sse2 "
			    "pni pclmulqdq monitor ssse3 fma cx16 pcid sse4.1 "
			    "sse4.2 movbe popcnt aes xsave avx f16c rdrand "
			    "syscall nx mmxext fxsr-opt pdpe1gb rdtscp lm "
			    "lahf-lm svm cr8legacy abm sse4a misalignsse "
			    "3dnowprefetch osvw topoext perfctr-core "
			    "fsgsbase bmi1 avx2 smep bmi2 erms invpcid avx512f "
			    "avx512dq rdseed adx smap avx512ifma clflushopt "
			    "clwb avx512cd sha-ni avx512bw avx512vl "
			    "avx512vbmi umip pku avx512vbmi2 gfni vaes "
			    "vpclmulqdq avx512vnni avx512bitalg "
			    "avx512-vpopcntdq la57 rdpid "
			    "fsrm "
			    "avx512-bf16 "
			    "xsaveopt xsavec xgetbv1 xsaves "
			    "arat "
			    "clzero xsaveerptr wbnoinvd ibpb ibrs amd-stibp "
			    "stibp-always-on amd-ssbd amd-psfd "
			    "npt nrip-save vnmi svme-addr-chk "
			    "no-nested-data-bp lfence-always-serializing "
			    "null-sel-clr-base auto-ibrs",
		.version =
			{
				{.delta = ""},
				{.model_id = "AMD EPYC-Genoa-v2 Processor",
				 .cache = &cache_genoa_v2,
				 .delta = "+overflow-recov +succor +lbrv "
					  "+tsc-scale "
					  "+vmcb-clean +flushbyasid "
					  "+pause-filter "
					  "+pfthreshold +v-vmsave-vmload +vgif "
					  "+fs-gs-base-ns +perfmon-v2"},
				{.model_id = "AMD EPYC-Genoa-v3 Processor",
				 .delta = "+gmet"},
			},
	},
	{
		.name = "EPYC-Turin",
		.vendor = VENDOR_AMD,
		.family = 26,
		.model = 0,
		.stepping = 0,
		.level = 0xd,
		.xlevel = 0x80000022,
		.model_id = "AMD EPYC-Turin Processor",
		.cache = &cache_turin,
		.features = "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr "
			    "pge mca cmov pat pse36 clflush mmx fxsr sse sse2 "
			    "pni pclmulqdq monitor ssse3 fma cx16 pcid sse4.1 "
			    "sse4.2 movbe popcnt aes xsave avx f16c rdrand "
			    "syscall nx mmxext fxsr-opt pdpe1gb rdtscp lm "
			    "lahf-lm svm cr8legacy abm sse4a misalignsse "
			    "3dnowprefetch osvw topoext perfctr-core "
			    "fsgsbase bmi1 avx2 smep bmi2 erms invpcid avx512f "
			    "avx512dq rdseed adx smap avx512ifma clflushopt "
			    "clwb avx512cd sha-ni avx512bw avx512vl "
			    "avx512vbmi umip pku avx512vbmi2 gfni vaes "
			    "vpclmulqdq avx512vnni avx512bitalg "
			    "avx512-vpopcntdq la57 rdpid movdiri movdir64b "
			    "fsrm avx512-vp2intersect "
			    "avx-vnni avx512-bf16 "
			    "xsaveopt xsavec xgetbv1 xsaves "
			    "arat "
			    "overflow-recov succor "
			    "clzero xsaveerptr wbnoinvd ibpb ibrs amd-stibp "
			    "stibp-always-on amd-ssbd amd-psfd "
			    "npt lbrv nrip-save tsc-scale vmcb-clean "
			    "flushbyasid pause-filter pfthreshold "
			    "v-vmsave-vmload vgif vnmi svme-addr-chk "
			    "no-nested-data-bp fs-gs-base-ns "
			    "lfence-always-serializing null-sel-clr-base "
			    "auto-ibrs prefetchi sbpb ibpb-brtype "
			    "srso-user-kernel-no "
			    "perfmon-v2",
		.version =
			{
				{.delta = ""},
				{.model_id = "AMD EPYC-Turin-v2 Processor",
				 .delta = "+gmet"},
			},
	},
	{NULL},
};
