/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Intel's named CPUs, oldest first.
 *
 * One block is one CPU: what version 1 is, then what each later version
 * changes against the one before it. Names, numbers and bits are those of
 * QEMU's models of the same names, so that guests can move. Left out: the
 * controls of nested VMX.
 */
#include "vmm/cpu/model.h"

const struct cpu_model models_intel[] = {
	{
		.name = "486",
		.vendor = VENDOR_INTEL,
		.family = 4,
		.model = 8,
		.stepping = 0,
		.level = 0x1,
		.cache = &cache_leaf2,
		.features = "fpu vme pse",
		.version =
			{
				{.delta = ""},
			},
	},
	{
		.name = "pentium",
		.vendor = VENDOR_INTEL,
		.family = 5,
		.model = 4,
		.stepping = 3,
		.level = 0x1,
		.cache = &cache_leaf2,
		.features = "fpu vme de pse tsc msr mce cx8 apic mmx",
		.version =
			{
				{.delta = ""},
			},
	},
	{
		.name = "pentium2",
		.vendor = VENDOR_INTEL,
		.family = 6,
		.model = 5,
		.stepping = 2,
		.level = 0x2,
		.cache = &cache_leaf2,
		.features = "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr "
			    "pge mca cmov pat pse36 mmx fxsr",
		.version =
			{
				{.delta = ""},
			},
	},
	{
		.name = "pentium3",
		.vendor = VENDOR_INTEL,
		.family = 6,
		.model = 7,
		.stepping = 3,
		.level = 0x3,
		.cache = &cache_leaf2,
		.features = "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr "
			    "pge mca cmov pat pse36 mmx fxsr sse",
		.version =
			{
				{.delta = ""},
			},
	},
	{
		.name = "coreduo",
		.vendor = VENDOR_INTEL,
		.family = 6,
		.model = 14,
		.stepping = 8,
		.level = 0xa,
		.xlevel = 0x80000008,
		.model_id = "Genuine Intel(R) CPU           T2600  @ 2.16GHz",
		.features =
			"fpu vme de pse tsc msr pae mce cx8 apic sep mtrr "
			"pge mca cmov pat clflush acpi mmx fxsr sse sse2 ss "
			"pni monitor "
			"nx",
		.version =
			{
				{.delta = ""},
			},
	},
	{
		.name = "core2duo",
		.vendor = VENDOR_INTEL,
		.family = 6,
		.model = 15,
		.stepping = 11,
		.level = 0xa,
		.xlevel = 0x80000008,
		.model_id = "Intel(R) Core(TM)2 Duo CPU     T7700  @ 2.40GHz",
		.features = "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr "
			    "pge mca cmov pat pse36 clflush acpi mmx fxsr sse "
			    "sse2 ss "
			    "pni monitor ssse3 cx16 "
			    "syscall nx lm "
			    "lahf-lm",
		.version =
			{
				{.delta = ""},
			},
	},
	{
		.name = "n270",
		.vendor = VENDOR_INTEL,
		.family = 6,
		.model = 28,
		.stepping = 2,
		.level = 0xa,
		.xlevel = 0x80000008,
		.model_id = "Intel(R) Atom(TM) CPU N270   @ 1.60GHz",
		.features =
			"fpu vme de pse tsc msr pae mce cx8 apic sep mtrr "
			"pge mca cmov pat clflush acpi mmx fxsr sse sse2 ss "
			"pni monitor ssse3 movbe "
			"nx "
			"lahf-lm",
		.version =
			{
				{.delta = ""},
			},
	},
	{
		.name = "Conroe",
		.vendor = VENDOR_INTEL,
		.family = 6,
		.model = 15,
		.stepping = 3,
		.level = 0xa,
		.xlevel = 0x80000008,
		.model_id = "Intel Celeron_4x0 (Conroe/Merom Class Core 2)",
		.features = "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr "
			    "pge mca cmov pat pse36 clflush mmx fxsr sse sse2 "
			    "pni ssse3 "
			    "syscall nx lm "
			    "lahf-lm",
		.version =
			{
				{.delta = ""},
			},
	},
	{
		.name = "Penryn",
		.vendor = VENDOR_INTEL,
		.family = 6,
		.model = 23,
		.stepping = 3,
		.level = 0xa,
		.xlevel = 0x80000008,
		.model_id = "Intel Core 2 Duo P9xxx (Penryn Class Core 2)",
		.features = "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr "
			    "pge mca cmov pat pse36 clflush mmx fxsr sse sse2 "
			    "pni ssse3 cx16 sse4.1 "
			    "syscall nx lm "
			    "lahf-lm",
		.version =
			{
				{.delta = ""},
			},
	},
	{
		.name = "Nehalem",
		.vendor = VENDOR_INTEL,
		.family = 6,
		.model = 26,
		.stepping = 3,
		.level = 0xb,
		.xlevel = 0x80000008,
		.model_id = "Intel Core i7 9xx (Nehalem Class Core i7)",
		.features = "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr "
			    "pge mca cmov pat pse36 clflush mmx fxsr sse sse2 "
			    "pni ssse3 cx16 sse4.1 sse4.2 popcnt "
			    "syscall nx lm "
			    "lahf-lm",
		.version =
			{
				{.delta = ""},
				{.alias = "Nehalem-IBRS",
				 .model_id = "Intel Core i7 9xx (Nehalem Core "
					     "i7, IBRS update)",
				 .delta = "+spec-ctrl"},
			},
	},
	{
		.name = "Westmere",
		.vendor = VENDOR_INTEL,
		.family = 6,
		.model = 44,
		.stepping = 1,
		.level = 0xb,
		.xlevel = 0x80000008,
		.model_id = "Westmere E56xx/L56xx/X56xx (Nehalem-C)",
		.features = "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr "
			    "pge mca cmov pat pse36 clflush mmx fxsr sse sse2 "
			    "pni pclmulqdq ssse3 cx16 sse4.1 sse4.2 popcnt aes "
			    "syscall nx lm "
			    "lahf-lm "
			    "arat",
		.version =
			{
				{.delta = ""},
				{.alias = "Westmere-IBRS",
				 .model_id = "Westmere E56xx/L56xx/X56xx (IBRS "
					     "update)",
				 .delta = "+spec-ctrl"},
			},
	},
	{
		.name = "SandyBridge",
		.vendor = VENDOR_INTEL,
		.family = 6,
		.model = 42,
		.stepping = 1,
		.level = 0xd,
		.xlevel = 0x80000008,
		.model_id = "Intel Xeon E312xx (Sandy Bridge)",
		.features = "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr "
			    "pge mca cmov pat pse36 clflush mmx fxsr sse sse2 "
			    "pni pclmulqdq ssse3 cx16 sse4.1 sse4.2 x2apic "
			    "popcnt tsc-deadline aes xsave avx "
			    "syscall nx rdtscp lm "
			    "lahf-lm "
			    "xsaveopt "
			    "arat",
		.version =
			{
				{.delta = ""},
				{.alias = "SandyBridge-IBRS",
				 .model_id = "Intel Xeon E312xx (Sandy Bridge, "
					     "IBRS update)",
				 .delta = "+spec-ctrl"},
			},
	},
	{
		.name = "IvyBridge",
		.vendor = VENDOR_INTEL,
		.family = 6,
		.model = 58,
		.stepping = 9,
		.level = 0xd,
		.xlevel = 0x80000008,
		.model_id = "Intel Xeon E3-12xx v2 (Ivy Bridge)",
		.features = "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr "
			    "pge mca cmov pat pse36 clflush mmx fxsr sse sse2 "
			    "pni pclmulqdq ssse3 cx16 sse4.1 sse4.2 x2apic "
			    "popcnt tsc-deadline aes xsave avx f16c rdrand "
			    "syscall nx rdtscp lm "
			    "lahf-lm "
			    "fsgsbase smep erms "
			    "xsaveopt "
			    "arat",
		.version =
			{
				{.delta = ""},
				{.alias = "IvyBridge-IBRS",
				 .model_id = "Intel Xeon E3-12xx v2 (Ivy "
					     "Bridge, IBRS)",
				 .delta = "+spec-ctrl"},
			},
	},
	{
		.name = "Haswell",
		.vendor = VENDOR_INTEL,
		.family = 6,
		.model = 60,
		.stepping = 4,
		.level = 0xd,
		.xlevel = 0x80000008,
		.model_id = "Intel Core Processor (Haswell)",
		.features = "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr "
			    "pge mca cmov pat pse36 clflush mmx fxsr sse sse2 "
			    "pni pclmulqdq ssse3 fma cx16 pcid sse4.1 sse4.2 "
			    "x2apic movbe popcnt tsc-deadline aes xsave avx "
			    "f16c rdrand "
			    "syscall nx rdtscp lm "
			    "lahf-lm abm "
			    "fsgsbase bmi1 hle avx2 smep bmi2 erms invpcid rtm "
			    "xsaveopt "
			    "arat",
		.version =
			{
				{.delta = ""},
				{.alias = "Haswell-noTSX",
				 .model_id = "Intel Core Processor (Haswell, "
					     "no TSX)",
				 .delta = "stepping=1 -hle -rtm"},
				{.alias = "Haswell-IBRS",
				 .model_id =
					 "Intel Core Processor (Haswell, IBRS)",
				 .delta = "stepping=4 +hle +rtm +spec-ctrl"},
				{.alias = "Haswell-noTSX-IBRS",
				 .model_id = "Intel Core Processor (Haswell, "
					     "no TSX, IBRS)",
				 .delta = "stepping=1 -hle -rtm"},
			},
	},
	{
		.name = "Broadwell",
		.vendor = VENDOR_INTEL,
		.family = 6,
		.model = 61,
		.stepping = 2,
		.level = 0xd,
		.xlevel = 0x80000008,
		.model_id = "Intel Core Processor (Broadwell)",
		.features = "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr "
			    "pge mca cmov pat pse36 clflush mmx fxsr sse sse2 "
			    "pni pclmulqdq ssse3 fma cx16 pcid sse4.1 sse4.2 "
			    "x2apic movbe popcnt tsc-deadline aes xsave avx "
			    "f16c rdrand "
			    "syscall nx rdtscp lm "
			    "lahf-lm abm 3dnowprefetch "
			    "fsgsbase bmi1 hle avx2 smep bmi2 erms invpcid rtm "
			    "rdseed adx smap "
			    "xsaveopt "
			    "arat",
		.version =
			{
				{.delta = ""},
				{.alias = "Broadwell-noTSX",
				 .model_id = "Intel Core Processor (Broadwell, "
					     "no TSX)",
				 .delta = "-hle -rtm"},
				{.alias = "Broadwell-IBRS",
				 .model_id = "Intel Core Processor (Broadwell, "
					     "IBRS)",
				 .delta = "+hle +rtm +spec-ctrl"},
				{.alias = "Broadwell-noTSX-IBRS",
				 .model_id = "Intel Core Processor (Broadwell, "
					     "no TSX, IBRS)",
				 .delta = "-hle -rtm"},
			},
	},
	{NULL},
};
