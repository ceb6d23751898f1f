/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Access to model-specific registers by the table cpu/msr.def. Rules of KVM
 * where the manuals leave room: SDM 4, APM 2 appendix A, and the kernel's
 * behaviour. Performance counters are cpu/pmu's.
 *
 * ARCH_CAPABILITIES tells which mitigations a guest can leave out; the reason
 * is at the head of cpu/cpuhost.c.
 */
#include "cpu/msr.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/cpuid.h"
#include "cpu/crop.h"
#include "cpu/pmu/pmu.h"
#include "x86/regs.h"

#define ARCH_CAP_RESET                                                  \
	(ARCH_CAP_RDCL_NO | ARCH_CAP_IBRS_ALL | ARCH_CAP_SKIP_L1DFL |   \
	 ARCH_CAP_MDS_NO | ARCH_CAP_PSCHANGE_MC_NO | ARCH_CAP_TAA_NO |  \
	 ARCH_CAP_SBDR_SSDP_NO | ARCH_CAP_FBSDP_NO | ARCH_CAP_PSDP_NO | \
	 ARCH_CAP_BHI_NO | ARCH_CAP_PBRSB_NO | ARCH_CAP_GDS_NO |        \
	 ARCH_CAP_RFDS_NO | ARCH_CAP_ITS_NO)
#define UCODE_REV_AMD 0x01000065

#define DEBUGCTL_ALLOWED (DEBUGCTL_LBR | DEBUGCTL_BTF | DEBUGCTL_FREEZE_PMU)

#define MISC_ENABLE_FIXED \
	(MISC_ENABLE_EMON | MISC_ENABLE_BTS_UNAVAIL | MISC_ENABLE_PEBS_UNAVAIL)

enum {
	FLAG_SAVE = 1,
	FLAG_FEATURE = 2,
	FLAG_OWNED = 4,
	FLAG_RO = 8,
	FLAG_WO = 16,
	FLAG_IGNORE = 32,
	FLAG_CANON = 64,
	FLAG_HOST = 128,
	FLAG_INTEL = 256,
	FLAG_AMD = 512,
};

/* One slot per number; rows with a field leave theirs unused. */
enum slot {
#define MSR(id, n, ...) SLOT_##id, SLOT_LAST_##id = SLOT_##id + (n)-1,
#include "cpu/msr.def"
#undef MSR
	SLOT_COUNT
};

struct msr_state {
	uint64_t slot[SLOT_COUNT];
};

/* A number within a row. */
struct access {
	const struct msr_row *row;
	uint64_t *at;
	uint32_t offset; /* from the row's first */
	bool host;
};

typedef int get_fn(struct cpu *cpu, const struct access *a, uint64_t *val);
typedef int set_fn(struct cpu *cpu, const struct access *a, uint64_t val);

#define NO_FIELD 0xffffu

struct msr_row {
	const char *name;
	uint32_t first;
	uint16_t count, flags, slot, field;
	uint16_t gate[2];
	uint64_t reset, mask;
	get_fn *get;
	set_fn *set;
};

static struct msr_state *state(struct cpu *cpu)
{
	return cpu->msr_state;
}

static bool canonical(const struct cpu *cpu, uint64_t val)
{
	unsigned int drop = 64 - cpu->linear_bits;

	return (uint64_t)((int64_t)(val << drop) >> drop) == val;
}

/* ---- time stamp counter ---- */

uint64_t tsc_read(const struct cpu *cpu)
{
	return tsc_scale(cpu->tsc_ratio, __builtin_ia32_rdtsc()) +
	       cpu->tsc_offset;
}

/* The guest moved its clock: kvmclock has to follow before it runs on. */
static void tsc_moved(struct cpu *cpu)
{
	cpu->clock_dirty = true;
	cpu_request(cpu, CPU_REQ_EXIT);
}

static int tsc_get(struct cpu *cpu, const struct access *a, uint64_t *val)
{
	*val = tsc_read(cpu);
	return 0;
}

static int tsc_set(struct cpu *cpu, const struct access *a, uint64_t val)
{
	uint64_t delta = val - tsc_read(cpu);

	cpu->tsc_offset += delta;
	if (!a->host) {
		cpu->tsc_adjust += delta;
		tsc_moved(cpu);
	}
	return 0;
}

static int tsc_adjust_set(struct cpu *cpu, const struct access *a, uint64_t val)
{
	if (!a->host) {
		cpu->tsc_offset += val - cpu->tsc_adjust;
		tsc_moved(cpu);
	}
	cpu->tsc_adjust = val;
	return 0;
}

static int tsc_aux_set(struct cpu *cpu, const struct access *a, uint64_t val)
{
	if (!cpu->vendor_amd && val >> 32)
		return -EINVAL;
	cpu->tsc_aux = (uint32_t)val;
	return 0;
}

/* ---- memory types ---- */

static bool mtrr_type(unsigned int type)
{
	return type < 7 && (1u << type & 0x73); /* UC WC WT WP WB */
}

static int pat_set(struct cpu *cpu, const struct access *a, uint64_t val)
{
	unsigned int i;

	for (i = 0; i < 64; i += 8) {
		unsigned int type = val >> i & 0xff;

		if (!mtrr_type(type) && type != 7)
			return -EINVAL;
	}
	*a->at = val;
	return 0;
}

static int mtrr_fixed_set(struct cpu *cpu, const struct access *a, uint64_t val)
{
	unsigned int i;

	for (i = 0; i < 64; i += 8)
		if (!mtrr_type(val >> i & 0xff))
			return -EINVAL;
	*a->at = val;
	return 0;
}

static int mtrr_var_set(struct cpu *cpu, const struct access *a, uint64_t val)
{
	bool mask = a->offset & 1;
	uint64_t reserved = ~0ULL << cpu->maxphyaddr;

	reserved |= mask ? 0x7ff : 0xf00;
	if (val & reserved || (!mask && !mtrr_type(val & 0xff)))
		return -EINVAL;
	*a->at = val;
	return 0;
}

static int mtrr_def_set(struct cpu *cpu, const struct access *a, uint64_t val)
{
	if (!mtrr_type(val & 0xff))
		return -EINVAL;
	*a->at = val;
	return 0;
}

/* ---- machine check ---- */

static uint64_t mcg_cap(struct cpu *cpu)
{
	return state(cpu)->slot[SLOT_MCG_CAP];
}

static int mcg_ctl_get(struct cpu *cpu, const struct access *a, uint64_t *val)
{
	if (!(mcg_cap(cpu) & MCG_CTL_P) && !a->host)
		return -EINVAL;
	*val = *a->at;
	return 0;
}

static int mcg_ctl_set(struct cpu *cpu, const struct access *a, uint64_t val)
{
	if (!(mcg_cap(cpu) & MCG_CTL_P) && (val || !a->host))
		return -EINVAL;
	if (val && val != ~0ULL)
		return -EINVAL;
	*a->at = val;
	return 0;
}

/* Interrupts of corrected errors: enabled, and after how many. */
static bool mc_ctl2_present(struct cpu *cpu, const struct access *a)
{
	return a->offset < (mcg_cap(cpu) & 0xff);
}

static int mc_ctl2_get(struct cpu *cpu, const struct access *a, uint64_t *val)
{
	if (!mc_ctl2_present(cpu, a) ||
	    (!(mcg_cap(cpu) & MCG_CMCI_P) && !a->host))
		return -EINVAL;
	*val = *a->at;
	return 0;
}

static int mc_ctl2_set(struct cpu *cpu, const struct access *a, uint64_t val)
{
	if (!mc_ctl2_present(cpu, a) ||
	    (!(mcg_cap(cpu) & MCG_CMCI_P) && (val || !a->host)))
		return -EINVAL;
	*a->at = val;
	return 0;
}

static bool mc_bank_present(struct cpu *cpu, const struct access *a)
{
	return a->offset / 4 < (mcg_cap(cpu) & 0xff);
}

static int mc_bank_get(struct cpu *cpu, const struct access *a, uint64_t *val)
{
	if (!mc_bank_present(cpu, a))
		return -ENXIO;
	*val = *a->at;
	return 0;
}

static int mc_bank_set(struct cpu *cpu, const struct access *a, uint64_t val)
{
	if (!mc_bank_present(cpu, a))
		return -ENXIO;
	/* CTL: all or nothing, but Linux clears bits 10 and 0 on old AMD */
	if (a->offset % 4 == 0 && val && (val | BIT64(10) | 1) != ~0ULL)
		return -EINVAL;
	if (a->offset % 4 == 1 && !a->host && val &&
	    !(state(cpu)->slot[SLOT_HWCR] & HWCR_MC_STATUS_WR))
		return -EINVAL;
	*a->at = val;
	return 0;
}

/* ---- performance counters ---- */

static int pmu_row_get(struct cpu *cpu, const struct access *a, uint64_t *val)
{
	return pmu_get(cpu, a->row->first + a->offset, val, a->host);
}

static int pmu_row_set(struct cpu *cpu, const struct access *a, uint64_t val)
{
	return pmu_set(cpu, a->row->first + a->offset, val, a->host);
}

static int perf_cap_get(struct cpu *cpu, const struct access *a, uint64_t *val)
{
	*val = cpu_has(cpu, FEAT_PDCM) ? *a->at : 0;
	return 0;
}

static int perf_cap_set(struct cpu *cpu, const struct access *a, uint64_t val)
{
	if (val && !cpu_has(cpu, FEAT_PDCM))
		return -EINVAL;
	*a->at = val;
	return 0;
}

static int debugctl_set(struct cpu *cpu, const struct access *a, uint64_t val)
{
	if (val & DEBUGCTL_FREEZE_PMU && !pmu_can_freeze(cpu))
		return -EINVAL;
	*a->at = val;
	return 0;
}

/* ---- the rest ---- */

static int efer_set(struct cpu *cpu, const struct access *a, uint64_t val)
{
	return crop_set_efer(cpu, val, a->host);
}

static int feature_control_set(struct cpu *cpu, const struct access *a,
			       uint64_t val)
{
	if (!a->host && *a->at & 1)
		return -EINVAL;
	*a->at = val;
	return 0;
}

/* Guests write 0 here to have CPUID load the revision. */
static int ucode_set(struct cpu *cpu, const struct access *a, uint64_t val)
{
	if (a->host)
		*a->at = val;
	return 0;
}

static int platform_info_get(struct cpu *cpu, const struct access *a,
			     uint64_t *val)
{
	if (!a->host && cpu->no_platform_info)
		return -EINVAL;
	*val = *a->at;
	return 0;
}

static int platform_info_set(struct cpu *cpu, const struct access *a,
			     uint64_t val)
{
	if (!(val & PLATFORM_INFO_CPUID_FAULT) && cpu->cpuid_faulting)
		return -EINVAL;
	*a->at = val;
	return 0;
}

static int misc_features_set(struct cpu *cpu, const struct access *a,
			     uint64_t val)
{
	if (val & MISC_FEATURES_CPUID_FAULT &&
	    !(state(cpu)->slot[SLOT_PLATFORM_INFO] & PLATFORM_INFO_CPUID_FAULT))
		return -EINVAL;
	*a->at = val;
	cpu->cpuid_faulting = val & MISC_FEATURES_CPUID_FAULT;
	return 0;
}

static int misc_enable_set(struct cpu *cpu, const struct access *a,
			   uint64_t val)
{
	uint64_t changed = cpu->misc_enable ^ val;

	if (!a->host && changed & MISC_ENABLE_FIXED)
		return -EINVAL;
	if (cpu->disabled_quirks & CPU_QUIRK_MISC_ENABLE_NO_MWAIT &&
	    changed & MISC_ENABLE_MWAIT && !cpu_has(cpu, FEAT_SSE3))
		return -EINVAL;
	cpu->misc_enable = val;
	return 0;
}

static int hwcr_set(struct cpu *cpu, const struct access *a, uint64_t val)
{
	val &= ~HWCR_IGNORED;
	if (val & ~(HWCR_MC_STATUS_WR | HWCR_TSC_FREQ_SEL))
		return -EINVAL;
	*a->at = val;
	return 0;
}

/* AMD drops the upper half; as on Intel, KVM makes the rest canonical. */
static int sysenter_set(struct cpu *cpu, const struct access *a, uint64_t val)
{
	unsigned int drop = 64 - cpu->linear_bits;

	if (cpu->vendor_amd)
		val = (uint32_t)val;
	*a->at = (uint64_t)((int64_t)(val << drop) >> drop);
	return 0;
}

#define SAVE     FLAG_SAVE
#define FEATURE  FLAG_FEATURE
#define OWNED    FLAG_OWNED
#define RO       FLAG_RO
#define WO       FLAG_WO
#define IGNORE   FLAG_IGNORE
#define CANON    FLAG_CANON
#define HOST     FLAG_HOST
#define INTEL    FLAG_INTEL
#define AMD      FLAG_AMD
#define NONE     0
#define FIELD(f) offsetof(struct cpu, f)
#define SLOT     NO_FIELD

static const struct msr_row rows[] = {
#define MSR(id, n, flags_, gate_, gate2_, reset_, mask_, field_, get_, set_) \
	{                                                                    \
		.name = #id,                                                 \
		.first = MSR_##id,                                           \
		.count = n,                                                  \
		.flags = flags_,                                             \
		.slot = SLOT_##id,                                           \
		.field = field_,                                             \
		.gate = {FEAT_##gate_, FEAT_##gate2_},                       \
		.reset = reset_,                                             \
		.mask = mask_,                                               \
		.get = get_,                                                 \
		.set = set_,                                                 \
	},
#include "cpu/msr.def"
#undef MSR
};

static const struct msr_row *row_find(uint32_t index)
{
	unsigned int lo = 0, hi = ARRAY_SIZE(rows);

	while (lo < hi) {
		unsigned int mid = (lo + hi) / 2;

		if (index < rows[mid].first)
			hi = mid;
		else if (index - rows[mid].first >= rows[mid].count)
			lo = mid + 1;
		else
			return &rows[mid];
	}
	return NULL;
}

static bool gate_open(const struct cpu *cpu, const struct msr_row *row)
{
	if (row->flags & FLAG_INTEL && cpu->vendor_amd)
		return false;
	if (row->flags & FLAG_AMD && !cpu->vendor_amd)
		return false;
	if (row->gate[0] == FEAT_NONE || cpu_has(cpu, row->gate[0]))
		return true;
	return row->gate[1] != FEAT_NONE && cpu_has(cpu, row->gate[1]);
}

/* Fill @a, or say why the register cannot be reached at all. */
static int access_begin(struct cpu *cpu, uint32_t index, bool is_host,
			struct access *a)
{
	const struct msr_row *row = row_find(index);

	if (!row)
		return -ENXIO;
	if (row->flags & FLAG_OWNED)
		return -ENOENT;
	if (!is_host && (row->flags & FLAG_HOST || !gate_open(cpu, row)))
		return -ENXIO;
	a->row = row;
	a->host = is_host;
	a->offset = index - row->first;
	a->at = row->field == NO_FIELD
			? &state(cpu)->slot[row->slot + a->offset]
			: (uint64_t *)((char *)cpu + row->field);
	return 0;
}

int msr_get(struct cpu *cpu, uint32_t index, uint64_t *val, bool is_host)
{
	struct access a;
	int ret = access_begin(cpu, index, is_host, &a);

	if (ret)
		return ret;
	if (a.row->flags & FLAG_WO && !is_host)
		return -EINVAL;
	if (a.row->get)
		return a.row->get(cpu, &a, val);
	*val = *a.at;
	return 0;
}

int msr_set(struct cpu *cpu, uint32_t index, uint64_t val, bool is_host)
{
	struct access a;
	int ret = access_begin(cpu, index, is_host, &a);

	if (ret)
		return ret;
	if (val & ~a.row->mask || (a.row->flags & FLAG_RO && !is_host))
		return -EINVAL;
	if (a.row->flags & FLAG_CANON && !canonical(cpu, val))
		return -EINVAL;
	if (a.row->flags & FLAG_IGNORE)
		return 0;
	if (a.row->set)
		return a.row->set(cpu, &a, val);
	*a.at = val;
	return 0;
}

/* Of what a vendor calls a feature, the other has no such register. */
static bool of_vendor(const struct msr_row *row)
{
	if (row->flags & FLAG_AMD)
		return cpuid_host()->amd;
	return !(row->flags & FLAG_INTEL) || !cpuid_host()->amd;
}

/*
 * Counters of both vendors are listed: a guest may be of the one that the host
 * is not, and is saved and moved by this list.
 */
unsigned int msr_list(bool feature, uint32_t *out, unsigned int n)
{
	unsigned int flag = feature ? FLAG_FEATURE : FLAG_SAVE;
	unsigned int i, k, count = 0;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		if (!(rows[i].flags & flag) ||
		    (feature && !of_vendor(&rows[i])))
			continue;
		for (k = 0; k < rows[i].count; k++, count++)
			if (count < n)
				out[count] = rows[i].first + k;
	}
	return count;
}

static uint64_t row_reset(const struct msr_row *row)
{
	if (row->slot == SLOT_UCODE_REV && cpuid_host()->amd)
		return UCODE_REV_AMD;
	if (row->slot == SLOT_PERF_CAPABILITIES && cpuid_host()->amd)
		return 0;
	return row->reset;
}

/* What the system handle tells, but for one MSR, is what a vCPU starts with. */
static uint64_t row_power_on(const struct msr_row *row)
{
	return row->slot == SLOT_DE_CFG ? 0 : row_reset(row);
}

int msr_get_feature(uint32_t index, uint64_t *val)
{
	const struct msr_row *row = row_find(index);

	if (!row || !(row->flags & FLAG_FEATURE) || !of_vendor(row))
		return -EINVAL;
	*val = row_reset(row);
	return 0;
}

bool msr_settled(uint32_t index)
{
	const struct msr_row *row = row_find(index);

	return row && row->flags & FLAG_FEATURE && row->slot != SLOT_UCODE_REV;
}

const char *msr_name(uint32_t index)
{
	const struct msr_row *row = row_find(index);

	return row ? row->name : NULL;
}

int msr_setup_mce(struct cpu *cpu, uint64_t cap)
{
	unsigned int i, banks = cap & 0xff;
	uint64_t *bank = &state(cpu)->slot[SLOT_MC0_CTL];

	if (!banks || banks > MCE_BANKS || cap & ~(0xff | MCE_CAP_MASK))
		return -EINVAL;
	state(cpu)->slot[SLOT_MCG_CAP] = cap;
	if (cap & MCG_CTL_P)
		state(cpu)->slot[SLOT_MCG_CTL] = ~0ULL;
	for (i = 0; i < banks; i++)
		bank[i * 4] = ~0ULL;
	return 0;
}

struct mce_bank *msr_mce_bank(struct cpu *cpu, unsigned int bank)
{
	if (bank >= (mcg_cap(cpu) & 0xff))
		return NULL;
	return (struct mce_bank *)&state(cpu)->slot[SLOT_MC0_CTL + bank * 4];
}

void msr_reset(struct cpu *cpu)
{
	const struct msr_row *row;
	unsigned int i;

	for (row = rows; row < rows + ARRAY_SIZE(rows); row++) {
		if (row->field != NO_FIELD)
			continue;
		if (row->slot == SLOT_MCG_CAP || row->slot == SLOT_MC0_CTL)
			continue; /* the client's, set once */
		for (i = 0; i < row->count; i++)
			state(cpu)->slot[row->slot + i] = row_power_on(row);
	}
	cpu->cpuid_faulting = false;
}

int msr_init(struct cpu *cpu)
{
	cpu->msr_state = calloc(1, sizeof(struct msr_state));
	if (!cpu->msr_state)
		return -ENOMEM;
	state(cpu)->slot[SLOT_MCG_CAP] = MCE_BANKS;
	return 0;
}

void msr_fini(struct cpu *cpu)
{
	free(cpu->msr_state);
	cpu->msr_state = NULL;
}
