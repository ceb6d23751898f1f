/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making and ending engines and their processors; see engine.h.
 *
 * Code memory is one memfd mapped twice, writable and executable, so that no
 * address is both. A processor is one region: guard, stack, struct cpu, TLB,
 * the page shared with the client, the engine's private part, guard.
 */
#include "engine/engine.h"

#include "engine/internal.h"
#include "engine/slow.h"
#include "engine/stubs.h"

#include "cpu/reset.h"
#include "lib/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CODE_DEFAULT (192ULL << 20)
#define CODE_MIN     (256ULL << 10)
#define STACK_SIZE   (256ULL << 10)

static int map_code(struct engine *engine)
{
	void *rw, *rx;

	engine->map_size = engine->code_size;
	engine->code_fd = memfd_create("lodge-code", MFD_CLOEXEC);
	if (engine->code_fd < 0 ||
	    ftruncate(engine->code_fd, engine->code_size))
		return -errno;
	rw = mmap(NULL, engine->code_size, PROT_READ | PROT_WRITE, MAP_SHARED,
		  engine->code_fd, 0);
	if (rw == MAP_FAILED)
		return -errno;
	engine->rw = rw;
	rx = mmap(NULL, engine->code_size, PROT_READ | PROT_EXEC, MAP_SHARED,
		  engine->code_fd, 0);
	if (rx == MAP_FAILED)
		return -errno;
	engine->rx_off = (uint8_t *)rx - engine->rw;
	return 0;
}

int engine_create(const struct engine_config *cfg, struct engine **out)
{
	struct engine *engine;
	int ret;

	if (cfg->code_size && cfg->code_size < CODE_MIN)
		return -EINVAL;
	engine = calloc(1, sizeof(*engine));
	if (!engine)
		return -ENOMEM;
	engine->cfg = *cfg;
	engine->code_size = cfg->code_size ? cfg->code_size : CODE_DEFAULT;
	engine->code_fd = -1;
	ret = map_code(engine);
	if (!ret && page_init(engine))
		ret = -ENOMEM;
	if (!ret)
		ret = hostfault_register(engine);
	if (ret) {
		engine_destroy(engine);
		return ret;
	}
	stubs_emit(engine);
	*out = engine;
	return 0;
}

void engine_destroy(struct engine *engine)
{
	hostfault_unregister(engine);
	if (engine->rx_off)
		munmap(to_rx(engine, engine->rw), engine->map_size);
	if (engine->rw)
		munmap(engine->rw, engine->map_size);
	if (engine->code_fd >= 0)
		close(engine->code_fd);
	page_fini(engine);
	free(engine);
}

/* One region, guard pages left unmapped by PROT_NONE at both ends. */
static struct cpu *map_cpu(int run_fd, uint64_t *size, uint8_t **region)
{
	uint64_t body = OFF_EC + ALIGN_UP(sizeof(struct engine_cpu), 4096UL);
	uint8_t *p, *cpu;

	*size = PAGE_SIZE + STACK_SIZE + body + PAGE_SIZE;
	p = mmap(NULL, *size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	*region = p;
	cpu = p + PAGE_SIZE + STACK_SIZE;
	if (mprotect(p + PAGE_SIZE, STACK_SIZE + body,
		     PROT_READ | PROT_WRITE) ||
	    (run_fd >= 0 &&
	     mmap(cpu + OFF_RUN, PAGE_SIZE, PROT_READ | PROT_WRITE,
		  MAP_SHARED | MAP_FIXED, run_fd, 0) == MAP_FAILED)) {
		munmap(p, *size);
		return NULL;
	}
	return (struct cpu *)cpu;
}

/* Each cpu has a slot of code memory of its own for single instructions. */
static uint8_t *bounce_slot(struct engine *engine)
{
	uint8_t *p;

	lock_acquire(&engine->lock);
	p = engine->free_slot;
	if (p) {
		memcpy(&engine->free_slot, p, sizeof(engine->free_slot));
	} else {
		engine->code_size -= BOUNCE_CPU_SIZE;
		p = engine->rw + engine->code_size;
	}
	lock_release(&engine->lock);
	return p;
}

static void bounce_slot_free(struct engine *engine, uint8_t *p)
{
	lock_acquire(&engine->lock);
	memcpy(p, &engine->free_slot, sizeof(engine->free_slot));
	engine->free_slot = p;
	lock_release(&engine->lock);
}

static int setup_cpu(struct engine *engine, struct cpu *cpu, unsigned int id)
{
	struct engine_cpu *ec = ec_of(cpu);
	int ret;

	cpu->tlb = (struct cpu_tlb *)((uint8_t *)cpu + OFF_TLB);
	cpu->doorbell = (uint8_t *)cpu + OFF_DOORBELL + 1;
	cpu->id = id;
	cpu->engine = engine;
	cpu->engine_cpu = ec;
	cpu->phys = &engine->phys;
	cpu->ops = engine->cfg.ops;
	cpu->code = &page_code_ops;
	cpu->stat = cpu->stat_own;
	ec->engine = engine;
	ec->bounce_code = bounce_slot(engine);
	ret = slow_init(cpu);
	if (!ret)
		ret = cpu_state_create(cpu);
	if (ret)
		return ret;
	tlb_init(cpu);
	cpu_reset(cpu, false);
	return 0;
}

int engine_cpu_create(struct engine *engine, unsigned int id, int run_fd,
		      struct cpu **out)
{
	uint64_t size;
	uint8_t *region;
	struct cpu *cpu = map_cpu(run_fd, &size, &region);
	unsigned int slot = 0;
	int ret;

	if (!cpu)
		return -ENOMEM;
	ec_of(cpu)->region = region;
	ec_of(cpu)->region_size = size;
	ret = setup_cpu(engine, cpu, id);
	if (ret) {
		munmap(region, size);
		return ret;
	}
	engine_exclusive_begin(engine);
	while (slot < MAX_CPUS && engine->cpus[slot])
		slot++;
	if (slot < MAX_CPUS) {
		engine->cpus[slot] = cpu;
		engine->ncpus = MAX(engine->ncpus, slot + 1);
	}
	engine_exclusive_end(engine);
	if (slot == MAX_CPUS) {
		engine_cpu_destroy(cpu);
		return -ENOMEM;
	}
	*out = cpu;
	return 0;
}

void engine_cpu_destroy(struct cpu *cpu)
{
	struct engine *engine = cpu->engine;
	struct engine_cpu *ec = ec_of(cpu);

	engine_exclusive_begin(engine);
	for (unsigned int i = 0; i < engine->ncpus; i++)
		if (engine->cpus[i] == cpu)
			engine->cpus[i] = NULL;
	engine_exclusive_end(engine);
	slow_fini(cpu);
	cpu_state_destroy(cpu);
	bounce_slot_free(engine, ec->bounce_code);
	munmap(ec->region, ec->region_size);
}

void *engine_run_page(struct cpu *cpu)
{
	return (uint8_t *)cpu + OFF_RUN;
}

void engine_set_physmap(struct engine *engine, const struct physmap *map)
{
	engine->phys = *map;
	for (unsigned int i = 0; i < engine->ncpus; i++)
		if (engine->cpus[i])
			tlb_flush_all(engine->cpus[i]);
}

void engine_acquire(struct cpu *cpu)
{
	__atomic_add_fetch(&cpu->engine->acquire_gen, 1, __ATOMIC_SEQ_CST);
	tlb_drop_exec(cpu);
}

void engine_invalidate(struct engine *engine, const uint8_t *hva, uint64_t size)
{
	lock_acquire(&engine->lock);
	page_invalidate_range(engine, hva, size);
	lock_release(&engine->lock);
}

void engine_written(struct engine *engine, const uint8_t *hva, uint64_t size)
{
	/* either we see the mark of a page, or who sets it sees the store */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (size && page_holds_code(engine, hva, size))
		engine_invalidate(engine, hva, size);
}

void engine_log_dirty(struct engine *engine, const uint8_t *hva, uint64_t size)
{
	engine_exclusive_begin(engine);
	for (unsigned int i = 0; i < engine->ncpus; i++)
		if (engine->cpus[i])
			tlb_drop_write(engine->cpus[i],
				       size == PAGE_SIZE ? hva : NULL);
	engine_exclusive_end(engine);
}
