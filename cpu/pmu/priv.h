/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the unit share.
 */
#ifndef CPU_PMU_PRIV_H
#define CPU_PMU_PRIV_H

#include "cpu/pmu/pmu.h"

#define PMC_COUNT (PMU_GP + PMU_FIXED)

/* Event select registers, both vendors. */
#define SEL_USR      BIT64(16)
#define SEL_OS       BIT64(17)
#define SEL_EDGE     BIT64(18)
#define SEL_INT      BIT64(20)
#define SEL_EN       BIT64(22)
#define SEL_INV      BIT64(23)
#define SEL_CMASK(s) ((unsigned int)((s) >> 24) & 0xff)

/* The four bits of a fixed counter in FIXED_CTR_CTRL. */
#define FIXED_OS  1u
#define FIXED_USR 2u
#define FIXED_PMI 8u

#define STATUS_FROZEN BIT64(59)

struct pmc {
	uint64_t value; /* when last settled */
	uint64_t mask;  /* bits it has */
	uint64_t sel;   /* event select; 0 for fixed ones */
	/* derived */
	uint8_t what; /* enum count_class */
	bool enabled, user, kernel, pmi;
};

struct pmu {
	struct pmc pmc[PMC_COUNT]; /* fixed ones from PMU_GP on */
	uint64_t fixed_ctrl, global_ctrl, global_status;
	/* by CPUID */
	uint8_t version; /* Intel's; AMD: 1, 2 with PerfMonV2; 0: no unit */
	uint8_t ngp;
	uint8_t events;     /* enum pmu_events */
	uint32_t fixed;     /* bitmap */
	uint64_t global_ok; /* bits of the global control */
	uint64_t status_ok; /* bits of the global status */
	/* counting */
	int64_t base[COUNT_CLASSES]; /* cpu->count[] when last settled */
	uint64_t since;              /* ticks when last settled */
	uint32_t on;                 /* bitmap of counters enabled */
	bool split;                  /* one counts at some privilege only */
	bool clock;                  /* guest code runs */
	bool user;                   /* privilege it runs at */
};

/* Whose events: models differ in those that are not architectural. */
enum pmu_events {
	EVENTS_CORE, /* up to Broadwell */
	EVENTS_LAKE, /* Skylake to Comet Lake */
	EVENTS_COVE, /* from Ice Lake on */
	EVENTS_ATOM,
	EVENTS_K8,
	EVENTS_ZEN,
	EVENTS_ZEN3,
};

static inline bool pmu_global(const struct pmu *p)
{
	return p->version >= 2;
}

/*
 * intel.c, amd.c: fill what follows from CPUID; the class of an event by the
 * bits of @sel that name it; the counter RDPMC means, NULL for #GP; registers
 * that are not common: -ENXIO when absent.
 */
void intel_refresh(struct cpu *cpu, struct pmu *p);
enum count_class intel_event(const struct pmu *p, uint64_t sel);
struct pmc *intel_rdpmc(struct pmu *p, uint32_t ecx);
int intel_get(struct cpu *cpu, uint32_t index, uint64_t *val);
int intel_set(struct cpu *cpu, uint32_t index, uint64_t val, bool host);

void amd_refresh(struct cpu *cpu, struct pmu *p);
enum count_class amd_event(const struct pmu *p, uint64_t sel);
struct pmc *amd_rdpmc(struct pmu *p, uint32_t ecx);
int amd_get(struct cpu *cpu, uint32_t index, uint64_t *val);
int amd_set(struct cpu *cpu, uint32_t index, uint64_t val, bool host);

/* count.c */
/* Bring all counters up to date; the running instruction is counted if so. */
void pmu_settle(struct cpu *cpu, bool itself);
/* After any change: what counts now, and how far the next overflow is. */
void pmu_arm(struct cpu *cpu, bool itself);
/* Value at this moment, without settling. */
uint64_t pmu_peek(const struct cpu *cpu, const struct pmc *c);
/* A counter by its number in the global registers. */
static inline unsigned int pmc_bit(unsigned int n)
{
	return n < PMU_GP ? n : n - PMU_GP + 32;
}

/* pmu.c */
/* Family, with the extended one, and model of the vCPU. */
void pmu_family(const struct cpu *cpu, unsigned int *family,
		unsigned int *model);
/* @what counted under edge, inversion and threshold: @what, or none. */
enum count_class pmu_modify(uint64_t sel, enum count_class what);
/* Enables and classes from the registers. */
void pmu_derive(struct cpu *cpu);

#endif
