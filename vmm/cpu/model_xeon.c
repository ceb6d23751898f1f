/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Intel's named CPUs since Skylake, oldest first.
 *
 * One block is one CPU: what version 1 is, then what each later version
 * changes against the one before it. Names, numbers and bits are those of
 * QEMU's models of the same names, so that guests can move. Left out: the
 * controls of nested VMX.
 */
#include "vmm/cpu/model.h"

const struct cpu_model models_xeon[] = {
	{
		.name = "Skylake-Client",
		.vendor = VENDOR_INTEL,
		.family = 6,
		.model = 94,
		.stepping = 3,
		.level = 0xd,
		.xlevel = 0x80000008,
		.model_id = "Intel Core Processor (Skylake)",
		.features = "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr "
			    "pge mca cmov pat pse36 clflush mmx fxsr sse sse2 "
			    "pni pclmulqdq ssse3 fma cx16 pcid sse4.1 sse4.2 "
			    "x2apic movbe popcnt tsc-deadline aes xsave avx "
			    "f16c rdrand "
			    "syscall nx rdtscp lm "
			    "lahf-lm abm 3dnowprefetch "
			    "fsgsbase bmi1 hle avx2 smep bmi2 erms invpcid rtm "
			    "rdseed adx smap "
			    "xsaveopt xsavec xgetbv1 "
			    "arat",
		.version =
			{
				{.delta = ""},
				{.alias = "Skylake-Client-IBRS",
				 .model_id =
					 "Intel Core Processor (Skylake, IBRS)",
				 .delta = "+spec-ctrl"},
				{.alias = "Skylake-Client-noTSX-IBRS",
				 .model_id = "Intel Core Processor (Skylake, "
					     "IBRS, no TSX)",
				 .delta = "-hle -rtm"},
				{.delta = "+xsaves"},
			},
	},
	{
		.name = "Skylake-Server",
		.vendor = VENDOR_INTEL,
		.family = 6,
		.model = 85,
		.stepping = 4,
		.level = 0xd,
		.xlevel = 0x80000008,
		.model_id = "Intel Xeon Processor (Skylake)",
		.features = "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr "
			    "pge mca cmov pat pse36 clflush mmx fxsr sse sse2 "
			    "pni pclmulqdq ssse3 fma cx16 pcid sse4.1 sse4.2 "
			    "x2apic movbe popcnt tsc-deadline aes xsave avx "
			    "f16c rdrand "
			    "syscall nx pdpe1gb rdtscp lm "
			    "lahf-lm abm 3dnowprefetch "
			    "fsgsbase bmi1 hle avx2 smep bmi2 erms invpcid rtm "
			    "avx512f avx512dq rdseed adx smap clflushopt clwb "
			    "avx512cd avx512bw avx512vl "
			    "pku "
			    "xsaveopt xsavec xgetbv1 "
			    "arat",
		.version =
			{
				{.delta = ""},
				{.alias = "Skylake-Server-IBRS",
				 .model_id =
					 "Intel Xeon Processor (Skylake, IBRS)",
				 .delta = "-clflushopt +spec-ctrl"},
				{.alias = "Skylake-Server-noTSX-IBRS",
				 .model_id = "Intel Xeon Processor (Skylake, "
					     "IBRS, no TSX)",
				 .delta = "-hle -rtm"},
				{.delta = ""},
				{.delta = "+xsaves"},
				{.delta = ""},
			},
	},
	{
		.name = "KnightsMill",
		.vendor = VENDOR_INTEL,
		.family = 6,
		.model = 133,
		.stepping = 0,
		.level = 0xd,
		.xlevel = 0x80000008,
		.model_id = "Intel Xeon Phi Processor (Knights Mill)",
		.features = "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr "
			    "pge mca cmov pat pse36 clflush mmx fxsr sse sse2 "
			    "ss "
			    "pni pclmulqdq ssse3 fma cx16 sse4.1 sse4.2 x2apic "
			    "movbe popcnt tsc-deadline aes xsave avx f16c "
			    "rdrand "
			    "syscall nx pdpe1gb rdtscp lm "
			    "lahf-lm abm 3dnowprefetch "
			    "fsgsbase bmi1 avx2 smep bmi2 erms avx512f rdseed "
			    "adx avx512pf avx512er avx512cd "
			    "avx512-vpopcntdq "
			    "avx512-4vnniw avx512-4fmaps "
			    "xsaveopt "
			    "arat",
		.version =
			{
				{.delta = ""},
			},
	},
	{
		.name = "Denverton",
		.vendor = VENDOR_INTEL,
		.family = 6,
		.model = 95,
		.stepping = 1,
		.level = 0x15,
		.xlevel = 0x80000008,
		.model_id = "Intel Atom Processor (Denverton)",
		.features = "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr "
			    "pge mca cmov pat pse36 clflush mmx fxsr sse sse2 "
			    "pni pclmulqdq monitor ssse3 cx16 sse4.1 sse4.2 "
			    "x2apic movbe popcnt tsc-deadline aes xsave rdrand "
			    "syscall nx pdpe1gb rdtscp lm "
			    "lahf-lm 3dnowprefetch "
			    "fsgsbase smep erms mpx rdseed smap clflushopt "
			    "sha-ni "
			    "spec-ctrl arch-capabilities ssbd "
			    "xsaveopt xsavec xgetbv1 "
			    "arat "
			    "rdctl-no skip-l1dfl-vmentry",
		.version =
			{
				{.delta = ""},
				{.delta = "-monitor -mpx"},
				{.delta = "+xsaves"},
			},
	},
	{
		.name = "Cascadelake-Server",
		.vendor = VENDOR_INTEL,
		.family = 6,
		.model = 85,
		.stepping = 6,
		.level = 0xd,
		.xlevel = 0x80000008,
		.model_id = "Intel Xeon Processor (Cascadelake)",
		.features = "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr "
			    "pge mca cmov pat pse36 clflush mmx fxsr sse sse2 "
			    "pni pclmulqdq ssse3 fma cx16 pcid sse4.1 sse4.2 "
			    "x2apic movbe popcnt tsc-deadline aes xsave avx "
			    "f16c rdrand "
			    "syscall nx pdpe1gb rdtscp lm "
			    "lahf-lm abm 3dnowprefetch "
			    "fsgsbase bmi1 hle avx2 smep bmi2 erms invpcid rtm "
			    "avx512f avx512dq rdseed adx smap clflushopt clwb "
			    "avx512cd avx512bw avx512vl "
			    "pku avx512vnni "
			    "spec-ctrl ssbd "
			    "xsaveopt xsavec xgetbv1 "
			    "arat",
		.version =
			{
				{.delta = ""},
				{.delta = "+arch-capabilities +rdctl-no "
					  "+ibrs-all "
					  "+skip-l1dfl-vmentry +mds-no"},
				{.alias = "Cascadelake-Server-noTSX",
				 .delta = "-hle -rtm"},
				{.delta = ""},
				{.delta = "+xsaves"},
				{.delta = "+sbdr-ssdp-no +psdp-no +fb-clear "
					  "+gds-no "
					  "+rfds-no"},
				{.delta = ""},
			},
	},
	{
		.name = "Cooperlake",
		.vendor = VENDOR_INTEL,
		.family = 6,
		.model = 85,
		.stepping = 10,
		.level = 0xd,
		.xlevel = 0x80000008,
		.model_id = "Intel Xeon Processor (Cooperlake)",
		.features = "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr "
			    "pge mca cmov pat pse36 clflush mmx fxsr sse sse2 "
			    "pni pclmulqdq ssse3 fma cx16 pcid sse4.1 sse4.2 "
			    "x2apic movbe popcnt tsc-deadline aes xsave avx "
			    "f16c rdrand "
			    "syscall nx pdpe1gb rdtscp lm "
			    "lahf-lm abm 3dnowprefetch "
			    "fsgsbase bmi1 hle avx2 smep bmi2 erms invpcid rtm "
			    "avx512f avx512dq rdseed adx smap clflushopt clwb "
			    "avx512cd avx512bw avx512vl "
			    "pku avx512vnni "
			    "spec-ctrl stibp arch-capabilities ssbd "
			    "avx512-bf16 "
			    "xsaveopt xsavec xgetbv1 "
			    "arat "
			    "rdctl-no ibrs-all skip-l1dfl-vmentry mds-no "
			    "pschange-mc-no taa-no",
		.version =
			{
				{.delta = ""},
				{.delta = "+xsaves"},
			},
	},
	{
		.name = "Snowridge",
		.vendor = VENDOR_INTEL,
		.family = 6,
		.model = 134,
		.stepping = 1,
		.level = 0x1b,
		.xlevel = 0x80000008,
		.model_id = "Intel Atom Processor (SnowRidge)",
		.features =
			"fpu vme de pse tsc msr pae mce cx8 apic sep mtrr "
			"pge mca cmov pat pse36 clflush mmx fxsr sse sse2 "
			"pni pclmulqdq monitor ssse3 cx16 sse4.1 sse4.2 "
			"x2apic movbe popcnt tsc-deadline aes xsave rdrand "
			"syscall nx pdpe1gb rdtscp lm "
			"lahf-lm 3dnowprefetch "
			"fsgsbase smep erms mpx rdseed smap clflushopt clwb "
			"sha-ni "
			"umip gfni cldemote movdiri movdir64b "
			"spec-ctrl arch-capabilities core-capability ssbd "
			"xsaveopt xsavec xgetbv1 "
			"arat "
			"split-lock-detect",
		.version =
			{
				{.delta = ""},
				{.model_id = "Intel Atom Processor (Snowridge, "
					     "no MPX)",
				 .delta = "-mpx"},
				{.delta = "+xsaves"},
				{.delta =
					 "-core-capability -split-lock-detect"},
			},
	},
	{
		.name = "Icelake-Server",
		.vendor = VENDOR_INTEL,
		.family = 6,
		.model = 134,
		.stepping = 0,
		.level = 0xd,
		.xlevel = 0x80000008,
		.model_id = "Intel Xeon Processor (Icelake)",
		.features = "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr "
			    "pge mca cmov pat pse36 clflush mmx fxsr sse sse2 "
			    "pni pclmulqdq ssse3 fma cx16 pcid sse4.1 sse4.2 "
			    "x2apic movbe popcnt tsc-deadline aes xsave avx "
			    "f16c rdrand "
			    "syscall nx pdpe1gb rdtscp lm "
			    "lahf-lm abm 3dnowprefetch "
			    "fsgsbase bmi1 hle avx2 smep bmi2 erms invpcid rtm "
			    "avx512f avx512dq rdseed adx smap clflushopt clwb "
			    "avx512cd avx512bw avx512vl "
			    "avx512vbmi umip pku avx512vbmi2 gfni vaes "
			    "vpclmulqdq avx512vnni avx512bitalg "
			    "avx512-vpopcntdq la57 "
			    "spec-ctrl ssbd "
			    "xsaveopt xsavec xgetbv1 "
			    "arat "
			    "wbnoinvd",
		.version =
			{
				{.delta = ""},
				{.alias = "Icelake-Server-noTSX",
				 .delta = "-hle -rtm"},
				{.delta = "+arch-capabilities +rdctl-no "
					  "+ibrs-all "
					  "+skip-l1dfl-vmentry +mds-no "
					  "+pschange-mc-no "
					  "+taa-no"},
				{.delta = "model=106 +avx512ifma +sha-ni "
					  "+rdpid +fsrm"},
				{.delta = "+xsaves"},
				{.delta = ""},
				{.delta = "+hle +rtm"},
				{.delta = "+sbdr-ssdp-no +psdp-no +fb-clear "
					  "+gds-no "
					  "+rfds-no"},
				{.delta = ""},
			},
	},
	{
		.name = "SapphireRapids",
		.vendor = VENDOR_INTEL,
		.family = 6,
		.model = 143,
		.stepping = 4,
		.level = 0x20,
		.xlevel = 0x80000008,
		.model_id = "Intel Xeon Processor (SapphireRapids)",
		.features =
			"fpu vme de pse tsc msr pae mce cx8 apic sep mtrr "
			"pge mca cmov pat pse36 clflush mmx fxsr sse sse2 "
			"pni pclmulqdq ssse3 fma cx16 pcid sse4.1 sse4.2 "
			"x2apic movbe popcnt tsc-deadline aes xsave avx "
			"f16c rdrand "
			"syscall nx pdpe1gb rdtscp lm "
			"lahf-lm abm 3dnowprefetch "
			"fsgsbase bmi1 hle avx2 smep bmi2 erms invpcid rtm "
			"avx512f avx512dq rdseed adx smap avx512ifma "
			"clflushopt clwb avx512cd sha-ni avx512bw avx512vl "
			"avx512vbmi umip pku avx512vbmi2 gfni vaes "
			"vpclmulqdq avx512vnni avx512bitalg "
			"avx512-vpopcntdq la57 rdpid bus-lock-detect "
			"fsrm serialize tsx-ldtrk amx-bf16 avx512-fp16 "
			"amx-tile amx-int8 spec-ctrl arch-capabilities ssbd "
			"avx-vnni avx512-bf16 fzrm fsrs fsrc "
			"xsaveopt xsavec xgetbv1 xsaves xfd "
			"arat "
			"wbnoinvd "
			"rdctl-no ibrs-all skip-l1dfl-vmentry mds-no "
			"pschange-mc-no taa-no",
		.version =
			{
				{.delta = ""},
				{.delta = "+sbdr-ssdp-no +fbsdp-no +psdp-no"},
				{.delta = "+ss +tsc-adjust +cldemote +movdiri "
					  "+movdir64b"},
				{.cache = &cache_sapphire_rapids,
				 .delta = "x-force-cpuid-0x1f=on"},
				{.delta = "+cet-ss +cet-ibt"},
				{.delta = "+its-no"},
				{.delta = "+gds-no +rfds-no"},
				{.delta = ""},
			},
	},
	{
		.name = "GraniteRapids",
		.vendor = VENDOR_INTEL,
		.family = 6,
		.model = 173,
		.stepping = 0,
		.level = 0x20,
		.xlevel = 0x80000008,
		.model_id = "Intel Xeon Processor (GraniteRapids)",
		.features =
			"fpu vme de pse tsc msr pae mce cx8 apic sep mtrr "
			"pge mca cmov pat pse36 clflush mmx fxsr sse sse2 "
			"pni pclmulqdq ssse3 fma cx16 pcid sse4.1 sse4.2 "
			"x2apic movbe popcnt tsc-deadline aes xsave avx "
			"f16c rdrand "
			"syscall nx pdpe1gb rdtscp lm "
			"lahf-lm abm 3dnowprefetch "
			"fsgsbase bmi1 hle avx2 smep bmi2 erms invpcid rtm "
			"avx512f avx512dq rdseed adx smap avx512ifma "
			"clflushopt clwb avx512cd sha-ni avx512bw avx512vl "
			"avx512vbmi umip pku avx512vbmi2 gfni vaes "
			"vpclmulqdq avx512vnni avx512bitalg "
			"avx512-vpopcntdq la57 rdpid bus-lock-detect "
			"fsrm serialize tsx-ldtrk amx-bf16 avx512-fp16 "
			"amx-tile amx-int8 spec-ctrl arch-capabilities ssbd "
			"avx-vnni avx512-bf16 fzrm fsrs fsrc amx-fp16 "
			"prefetchiti "
			"mcdt-no "
			"xsaveopt xsavec xgetbv1 xsaves xfd "
			"arat "
			"wbnoinvd "
			"rdctl-no ibrs-all skip-l1dfl-vmentry mds-no "
			"pschange-mc-no taa-no sbdr-ssdp-no fbsdp-no "
			"psdp-no pbrsb-no",
		.version =
			{
				{.delta = ""},
				{.delta =
					 "stepping=1 avx10-version=1 +ss "
					 "+tsc-adjust "
					 "+cldemote +movdiri +movdir64b +avx10 "
					 "+avx10-128 +avx10-256 +avx10-512"},
				{.cache = &cache_granite_rapids,
				 .delta = "x-force-cpuid-0x1f=on"},
				{.delta = "+cet-ss +cet-ibt"},
				{.delta = "+its-no"},
				{.delta = "+gds-no +rfds-no"},
				{.delta = ""},
			},
	},
	{
		.name = "SierraForest",
		.vendor = VENDOR_INTEL,
		.family = 6,
		.model = 175,
		.stepping = 0,
		.level = 0x23,
		.xlevel = 0x80000008,
		.model_id = "Intel Xeon Processor (SierraForest)",
		.features = "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr "
			    "pge mca cmov pat pse36 clflush mmx fxsr sse sse2 "
			    "pni pclmulqdq ssse3 fma cx16 pcid sse4.1 sse4.2 "
			    "x2apic movbe popcnt tsc-deadline aes xsave avx "
			    "f16c rdrand "
			    "syscall nx pdpe1gb rdtscp lm "
			    "lahf-lm abm 3dnowprefetch "
			    "fsgsbase bmi1 avx2 smep bmi2 erms invpcid rdseed "
			    "adx smap clflushopt clwb sha-ni "
			    "umip pku gfni vaes vpclmulqdq rdpid "
			    "bus-lock-detect "
			    "fsrm serialize spec-ctrl arch-capabilities ssbd "
			    "avx-vnni cmpccxadd fsrs avx-ifma "
			    "avx-vnni-int8 avx-ne-convert "
			    "mcdt-no "
			    "xsaveopt xsavec xgetbv1 xsaves "
			    "arat "
			    "wbnoinvd "
			    "rdctl-no ibrs-all skip-l1dfl-vmentry mds-no "
			    "pschange-mc-no sbdr-ssdp-no fbsdp-no psdp-no "
			    "pbrsb-no",
		.version =
			{
				{.delta = ""},
				{.delta =
					 "stepping=3 +ss +tsc-adjust +cldemote "
					 "+movdiri +movdir64b +lam +intel-psfd "
					 "+ipred-ctrl +rrsba-ctrl +bhi-ctrl "
					 "+gds-no "
					 "+rfds-no"},
				{.cache = &cache_sierra_forest,
				 .delta = "x-force-cpuid-0x1f=on"},
				{.delta = "+cet-ss +cet-ibt"},
				{.delta = "+its-no"},
				{.delta = ""},
			},
	},
	{
		.name = "ClearwaterForest",
		.vendor = VENDOR_INTEL,
		.family = 6,
		.model = 221,
		.stepping = 0,
		.level = 0x23,
		.xlevel = 0x80000008,
		.model_id = "Intel Xeon Processor (ClearwaterForest)",
		.features = "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr "
			    "pge mca cmov pat pse36 clflush mmx fxsr sse sse2 "
			    "ss "
			    "pni pclmulqdq ssse3 fma cx16 pcid sse4.1 sse4.2 "
			    "x2apic movbe popcnt tsc-deadline aes xsave avx "
			    "f16c rdrand "
			    "syscall nx pdpe1gb rdtscp lm "
			    "lahf-lm abm 3dnowprefetch "
			    "fsgsbase tsc-adjust bmi1 avx2 smep bmi2 erms "
			    "invpcid rdseed adx smap clflushopt clwb sha-ni "
			    "umip pku gfni vaes vpclmulqdq rdpid "
			    "bus-lock-detect cldemote movdiri movdir64b "
			    "fsrm serialize spec-ctrl arch-capabilities ssbd "
			    "sha512 sm3 sm4 avx-vnni cmpccxadd fsrs avx-ifma "
			    "lam "
			    "avx-vnni-int8 avx-ne-convert avx-vnni-int16 "
			    "prefetchiti "
			    "intel-psfd ipred-ctrl rrsba-ctrl ddpd-u bhi-ctrl "
			    "mcdt-no "
			    "xsaveopt xsavec xgetbv1 xsaves "
			    "arat "
			    "wbnoinvd "
			    "rdctl-no ibrs-all skip-l1dfl-vmentry mds-no "
			    "pschange-mc-no sbdr-ssdp-no fbsdp-no psdp-no "
			    "bhi-no pbrsb-no gds-no rfds-no",
		.version =
			{
				{.delta = ""},
				{.delta = "+cet-ss +cet-ibt"},
				{.cache = &cache_clearwater_forest,
				 .delta = "x-force-cpuid-0x1f=on +its-no"},
				{.delta = ""},
			},
	},
	{
		.name = "DiamondRapids",
		.vendor = VENDOR_INTEL,
		.family = 19,
		.model = 1,
		.stepping = 0,
		.level = 0x29,
		.xlevel = 0x80000008,
		.avx10_version = 2,
		.force_1f = true,
		.model_id = "Intel Xeon Processor (DiamondRapids)",
		.features =
			"fpu vme de pse tsc msr pae mce cx8 apic sep mtrr "
			"pge mca cmov pat pse36 clflush mmx fxsr sse sse2 "
			"ss "
			"pni pclmulqdq ssse3 fma cx16 pcid sse4.1 sse4.2 "
			"x2apic movbe popcnt tsc-deadline aes xsave avx "
			"f16c rdrand "
			"syscall nx pdpe1gb rdtscp lm "
			"lahf-lm abm 3dnowprefetch "
			"fsgsbase tsc-adjust bmi1 hle avx2 fdp-excptn-only "
			"smep bmi2 erms invpcid rtm zero-fcs-fds avx512f "
			"avx512dq rdseed adx smap avx512ifma clflushopt "
			"clwb avx512cd sha-ni avx512bw avx512vl "
			"avx512vbmi umip pku avx512vbmi2 cet-ss gfni vaes "
			"vpclmulqdq avx512vnni avx512bitalg "
			"avx512-vpopcntdq la57 rdpid bus-lock-detect "
			"cldemote movdiri movdir64b "
			"fsrm md-clear serialize tsx-ldtrk cet-ibt amx-bf16 "
			"avx512-fp16 amx-tile amx-int8 spec-ctrl stibp "
			"flush-l1d arch-capabilities ssbd "
			"avx-vnni avx512-bf16 cmpccxadd fzrm fsrs fsrc fred "
			"lkgs wrmsrns amx-fp16 avx-ifma lam movrs "
			"avx-vnni-int8 avx-ne-convert amx-complex "
			"prefetchiti avx10 apxf "
			"intel-psfd ipred-ctrl rrsba-ctrl ddpd-u bhi-ctrl "
			"mcdt-no "
			"xsaveopt xsavec xgetbv1 xsaves xfd "
			"arat "
			"wbnoinvd "
			"amx-int8-alias amx-bf16-alias amx-complex-alias "
			"amx-fp16-alias amx-fp8 amx-tf32 amx-avx512 "
			"amx-movrs "
			"avx10-128 avx10-256 avx10-512 "
			"avx10-vnni-int "
			"apx-nci-ndd-nf "
			"rdctl-no ibrs-all skip-l1dfl-vmentry mds-no "
			"pschange-mc-no taa-no sbdr-ssdp-no fbsdp-no "
			"psdp-no bhi-no pbrsb-no gds-no rfds-no",
		.version =
			{
				{.delta = ""},
				{.delta = ""},
			},
	},
	{NULL},
};
