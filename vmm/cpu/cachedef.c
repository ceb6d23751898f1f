/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The caches of named CPUs and the three legacy models, as QEMU 11.1 has
 * them. One row is one cache: KiB, ways, lines per tag, then its flags: S
 * self-initialising, N WBINVD stays above, I inclusive, X complex indexing.
 */
#include "vmm/cpu/cache.h"

#define S 1
#define N 2
#define I 4
#define X 8

#define ROW(type_, level_, kib, ways_, tag, flags, share_)                    \
	{                                                                     \
		.type = CACHE_##type_, .level = level_, .lines_per_tag = tag, \
		.line = 64, .ways = ways_, .partitions = 1,                   \
		.sets = (kib)*1024U / 64 / (ways_), .size = (kib)*1024U,      \
		.self_init = !!((flags)&S), .no_invd_sharing = !!((flags)&N), \
		.inclusive = !!((flags)&I), .complex_index = !!((flags)&X),   \
		.share = TOPO_##share_,                                       \
	}

#define MODEL(name) const struct cache_model cache_##name =
#define L1D(...)    [CACHE_L1D] = ROW(DATA, 1, __VA_ARGS__)
#define L1I(...)    [CACHE_L1I] = ROW(CODE, 1, __VA_ARGS__)
#define L2(...)     [CACHE_L2] = ROW(UNIFIED, 2, __VA_ARGS__)
#define L3(...)     [CACHE_L3] = ROW(UNIFIED, 3, __VA_ARGS__)
#define MIB         *1024

/* clang-format off */

MODEL(legacy_intel) {{
	L1D(32,     8,  0, S | N,     CORE),
	L1I(32,     8,  0, S | N,     CORE),
	L2(4 MIB,   16, 0, S | N,     CORE),
	L3(16 MIB,  16, 1, S | I | X, DIE),
}};

MODEL(leaf2) {{
	L1D(32,     8,  0, S | N,     CORE),
	L1I(32,     8,  0, S | N,     CORE),
	L2(2 MIB,   8,  0, S | N,     CORE),
	L3(16 MIB,  16, 1, S | I | X, DIE),
}};

MODEL(legacy_amd) {{
	L1D(64,     2,  1, S | N,     CORE),
	L1I(64,     2,  1, S | N,     CORE),
	L2(512,     16, 1, 0,         CORE),
	L3(16 MIB,  16, 1, S | I | X, DIE),
}};

/* ---- Zen, as first described, then without X, then with new flags ---- */

MODEL(epyc) {{
	L1D(32,     8,  1, S | N,     CORE),
	L1I(64,     4,  1, S | N,     CORE),
	L2(512,     8,  1, 0,         CORE),
	L3(8 MIB,   16, 1, S | I | X, DIE),
}};

MODEL(epyc_v4) {{
	L1D(32,     8,  1, S | N,     CORE),
	L1I(64,     4,  1, S | N,     CORE),
	L2(512,     8,  1, 0,         CORE),
	L3(8 MIB,   16, 1, S | I,     DIE),
}};

MODEL(epyc_v5) {{
	L1D(32,     8,  1, S,         CORE),
	L1I(64,     4,  1, S,         CORE),
	L2(512,     8,  1, S | I,     CORE),
	L3(8 MIB,   16, 1, S | N,     DIE),
}};

MODEL(rome) {{
	L1D(32,     8,  1, S | N,     CORE),
	L1I(32,     8,  1, S | N,     CORE),
	L2(512,     8,  1, 0,         CORE),
	L3(16 MIB,  16, 1, S | I | X, DIE),
}};

MODEL(rome_v3) {{
	L1D(32,     8,  1, S | N,     CORE),
	L1I(32,     8,  1, S | N,     CORE),
	L2(512,     8,  1, 0,         CORE),
	L3(16 MIB,  16, 1, S | I,     DIE),
}};

MODEL(rome_v5) {{
	L1D(32,     8,  1, S,         CORE),
	L1I(32,     8,  1, S,         CORE),
	L2(512,     8,  1, S | I,     CORE),
	L3(16 MIB,  16, 1, S | N,     DIE),
}};

MODEL(milan) {{
	L1D(32,     8,  1, S | N,     CORE),
	L1I(32,     8,  1, S | N,     CORE),
	L2(512,     8,  1, 0,         CORE),
	L3(32 MIB,  16, 1, S | I | X, DIE),
}};

MODEL(milan_v2) {{
	L1D(32,     8,  1, S | N,     CORE),
	L1I(32,     8,  1, S | N,     CORE),
	L2(512,     8,  1, 0,         CORE),
	L3(32 MIB,  16, 1, S | I,     DIE),
}};

MODEL(milan_v3) {{
	L1D(32,     8,  1, S,         CORE),
	L1I(32,     8,  1, S,         CORE),
	L2(512,     8,  1, S | I,     CORE),
	L3(32 MIB,  16, 1, S | N,     DIE),
}};

MODEL(genoa) {{
	L1D(32,     8,  1, S | N,     CORE),
	L1I(32,     8,  1, S | N,     CORE),
	L2(1 MIB,   8,  1, 0,         CORE),
	L3(32 MIB,  16, 1, S | I,     DIE),
}};

MODEL(genoa_v2) {{
	L1D(32,     8,  1, S,         CORE),
	L1I(32,     8,  1, S,         CORE),
	L2(1 MIB,   8,  1, S | I,     CORE),
	L3(32 MIB,  16, 1, S | N,     DIE),
}};

MODEL(turin) {{
	L1D(48,     12, 1, S,         CORE),
	L1I(32,     8,  1, S,         CORE),
	L2(1 MIB,   16, 1, S | I,     CORE),
	L3(32 MIB,  16, 1, S | N,     DIE),
}};

/* ---- Intel's: one L3 for the socket ---- */

MODEL(sapphire_rapids) {{
	L1D(48,     12, 0, S,         CORE),
	L1I(32,     8,  0, S,         CORE),
	L2(2 MIB,   16, 0, S,         CORE),
	L3(60 MIB,  15, 0, S | X,     SOCKET),
}};

MODEL(granite_rapids) {{
	L1D(48,     12, 0, S,         CORE),
	L1I(64,     16, 0, S,         CORE),
	L2(2 MIB,   16, 0, S,         CORE),
	L3(288 MIB, 16, 0, S | X,     SOCKET),
}};

MODEL(sierra_forest) {{
	L1D(32,     8,  0, S,         CORE),
	L1I(64,     8,  0, S,         CORE),
	L2(4 MIB,   16, 0, S,         MODULE),
	L3(108 MIB, 12, 0, S | X,     SOCKET),
}};

MODEL(clearwater_forest) {{
	L1D(32,     8,  0, S,         CORE),
	L1I(64,     8,  0, S,         CORE),
	L2(4 MIB,   16, 0, S,         MODULE),
	L3(528 MIB, 16, 0, S | X,     SOCKET),
}};

MODEL(yongfeng) {{
	L1D(32,     8,  1, S,         CORE),
	L1I(64,     16, 1, S,         CORE),
	L2(256,     8,  0, S | I,     CORE),
	L3(8 MIB,   16, 0, S | N | I, DIE),
}};
