/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leaf 0AH of Intel's models: the performance counters of each generation, as
 * far as Lodge's KVM has them (architectural version 5, eight general and
 * three fixed counters), with one thread on a core. SDM 2A "CPUID".
 */
#include "vmm/cpu/pmu.h"

#define FAMILY 6

/* Architectural events; a set bit of EBX: not counted. */
#define EVENTS         7
#define NO_CACHE_REFS  BIT(3)
#define NO_CACHE_MISS  BIT(4)
#define NO_MISPREDICTS BIT(6)
#define UNAVAILABLE    (NO_CACHE_REFS | NO_CACHE_MISS | NO_MISPREDICTS)
#define NO_ANYTHREAD   BIT(15)
#define FIXED          3

struct generation {
	uint16_t model;
	uint8_t version, general, width;
};

static const struct generation generations[] = {
	{0x0e, 1, 2, 40}, /* coreduo */
	{0x0f, 2, 2, 40}, /* core2duo, Conroe */
	{0x17, 2, 2, 40}, /* Penryn */
	{0x1c, 3, 2, 40}, /* n270 */
	{0x1a, 3, 4, 48}, /* Nehalem */
	{0x2c, 3, 4, 48}, /* Westmere */
	{0x2a, 3, 8, 48}, /* SandyBridge */
	{0x3a, 3, 8, 48}, /* IvyBridge */
	{0x3c, 3, 8, 48}, /* Haswell */
	{0x3d, 3, 8, 48}, /* Broadwell */
	{0x5e, 4, 8, 48}, /* Skylake-Client */
	{0x55, 4, 8, 48}, /* Skylake-Server, Cascadelake, Cooperlake */
	{0x85, 3, 2, 40}, /* KnightsMill */
	{0x5f, 4, 4, 48}, /* Denverton */
	{0x86, 5, 4, 48}, /* Snowridge, and what Icelake-Server says it is */
	{0x6a, 5, 8, 48}, /* Ice Lake servers */
	{0x8f, 5, 8, 48}, /* SapphireRapids */
	{0xad, 5, 8, 48}, /* GraniteRapids */
	{0xaf, 5, 8, 48}, /* SierraForest */
	{0xdd, 5, 8, 48}, /* ClearwaterForest */
};

void cpu_pmu_leaf(const struct cpu_def *def, uint32_t out[4])
{
	const struct generation *g = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(generations); i++)
		if (generations[i].model == def->model_number)
			g = &generations[i];
	if (!g || def->family != FAMILY)
		return;
	out[0] = g->version | g->general << 8 | g->width << 16 | EVENTS << 24;
	out[1] = UNAVAILABLE;
	if (g->version < 2)
		return;
	out[3] = FIXED | g->width << 5;
	if (g->version >= 3)
		out[3] |= NO_ANYTHREAD;
	if (g->version >= 5)
		out[2] = BIT(FIXED) - 1;
}
