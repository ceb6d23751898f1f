/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Port instructions. Permission: SDM 1 chapter 19.5 "Protected-Mode I/O",
 * the bitmap of 32-bit and 64-bit TSS. Every access leaves to the client with
 * cpu->io; what remains to be done at its return is in cpu->io_pending, so
 * that nothing is kept on a stack meanwhile.
 *
 * Where rip is at the exit: at IN, OUT and INS; behind OUTS that is done and
 * behind OUT to port 0x7e. A client that moves rip away from IN, OUT or INS
 * cancels the rest.
 *
 * Elements in MMIO go one by one, so that port and memory accesses alternate
 * as they do on a bus. OUTS loads its element before the port is touched, INS
 * stores its after that: neither order asks for a port access twice.
 */
#include "cpu/debug.h"
#include "cpu/insn.h"
#include "cpu/mem.h"
#include "cpu/mode.h"
#include "x86/paging.h"
#include "x86/regs.h"

#define TSS32_BUSY  11
#define TSS32_AVAIL 9
#define TSS_IOMAP   0x66

#define PORT_EAGER 0x7e /* OUT there is complete at the exit */

enum pending_kind {
	PENDING_NONE,
	PENDING_IN,
	PENDING_OUT,
	PENDING_INS,
	PENDING_DONE, /* nothing but the exit itself */
};

/* One bit per port in the TSS; set: refused. */
static bool bitmap_allows(struct cpu *cpu, uint16_t port, unsigned int size)
{
	const struct segment *tr = &cpu->seg[SEG_TR];
	unsigned int type = tr->attr & SEG_ATTR_TYPE, acc;
	uint32_t at, bits;

	if (type != TSS32_AVAIL && type != TSS32_BUSY)
		return false;
	if (!(tr->attr & SEG_ATTR_P) || tr->limit < TSS_IOMAP + 1)
		return false;
	acc = ACC_READ | ACC_SYSTEM;
	at = mem_read(cpu, tr->base + TSS_IOMAP, 2, acc) + port / 8;
	if (at + 1 > tr->limit)
		return false;
	bits = mem_read(cpu, tr->base + at, 2, acc) >> port % 8;
	return !(bits & (BIT(size) - 1));
}

static void check_port(struct cpu *cpu, uint16_t port, unsigned int size)
{
	if (!cpu_protected(cpu))
		return;
	if (!cpu_v8086(cpu) && cpu->cpl <= cpu_iopl(cpu))
		return;
	if (!bitmap_allows(cpu, port, size))
		cpu_raise_err(cpu, VEC_GP, 0);
}

/* Opcode byte: bit 0 operand size, bit 3 port in DX (of 0xe4 .. 0xef). */
static uint8_t opcode(const struct cpu *cpu, const struct insn *i)
{
	return i->bytes[insn_opcode_at(cpu, i)];
}

static unsigned int port_size(const struct cpu *cpu, const struct insn *i)
{
	if (!(opcode(cpu, i) & 1))
		return 1;
	return i->opsize == 2 ? 2 : 4;
}

static uint16_t port_number(const struct cpu *cpu, const struct insn *i)
{
	unsigned int at = insn_opcode_at(cpu, i);

	if (i->bytes[at] >= 0xe4 && !(i->bytes[at] & 8))
		return i->bytes[at + 1];
	return cpu->gpr[REG_RDX];
}

static void __noreturn leave(struct cpu *cpu, const struct insn *i,
			     enum pending_kind kind)
{
	struct cpu_io_pending *p = &cpu->io_pending;

	p->kind = kind;
	p->addrsize = i->addrsize;
	p->rep = i->prefix & (INSN_REP | INSN_REPNE);
	p->rip = cpu->rip;
	p->next_rip = i->next_rip;
	cpu->stat[CPU_STAT_IO]++;
	cpu_exit_to_kvm(cpu, CPU_EXIT_IO);
}

static void begin(struct cpu *cpu, const struct insn *i, bool in, bool string)
{
	struct cpu_io *io = &cpu->io;
	uint16_t port = port_number(cpu, i);
	unsigned int size = port_size(cpu, i);

	check_port(cpu, port, size);
	io->port = port;
	io->size = size;
	io->in = in;
	io->string = string;
	io->count = 1;
	if (unlikely(cpu->breaks.io))
		debug_port(cpu, port, size);
}

int exec_in(struct cpu *cpu, const struct insn *i)
{
	begin(cpu, i, true, false);
	leave(cpu, i, PENDING_IN);
}

int exec_out(struct cpu *cpu, const struct insn *i)
{
	uint32_t val = cpu->gpr[REG_RAX];

	begin(cpu, i, false, false);
	__builtin_memcpy(cpu->io.data, &val, sizeof(val));
	if (cpu->ops && cpu->ops->bus_write &&
	    cpu->ops->bus_write(cpu, true, cpu->io.port,
				val & (BIT64(cpu->io.size * 8) - 1),
				cpu->io.size)) {
		cpu->stat[CPU_STAT_IO]++;
		return EXEC_NEXT;
	}
	if (cpu->io.port == PORT_EAGER) {
		cpu->rip = i->next_rip;
		leave(cpu, i, PENDING_DONE);
	}
	leave(cpu, i, PENDING_OUT);
}

/* ---- strings ---- */

static uint64_t addr_mask(unsigned int addrsize)
{
	return addrsize == 8 ? ~0ULL : BIT64(addrsize * 8) - 1;
}

static uint64_t iterations(const struct cpu *cpu, const struct insn *i)
{
	if (!(i->prefix & (INSN_REP | INSN_REPNE)))
		return 1;
	return cpu->gpr[REG_RCX] & addr_mask(i->addrsize);
}

/* How many elements from @off one exit takes: buffer, page, segment, RAM. */
static unsigned int batch(struct cpu *cpu, const struct insn *i,
			  enum cpu_seg seg, uint64_t off, unsigned int kind)
{
	unsigned int size = cpu->io.size;
	gva_t gva = mem_linear(cpu, seg, off, size, kind);
	uint64_t page = (PG_SIZE - (gva & PG_OFFSET)) / size;
	uint64_t wrap = (addr_mask(i->addrsize) - off) / size;
	uint64_t n = iterations(cpu, i);

	if (cpu->dflag || !page || cpu->mode & (MODE_ONE | MODE_WATCH))
		return 1;
	n = MIN(n, CPU_IO_BUF / size);
	n = MIN(n, page);
	if (wrap < n)
		n = wrap + 1;
	if (!mem_in_segment(cpu, seg, off, n * size, kind) ||
	    !mem_hva(cpu, gva, n * size, mem_acc(cpu, kind), NULL))
		return 1;
	return n;
}

/* Move a pointer and the counter behind @n elements; iterations left. */
static uint64_t advance(struct cpu *cpu, unsigned int reg, unsigned int n,
			unsigned int addrsize, bool rep)
{
	uint64_t bytes = (uint64_t)n * cpu->io.size, left;

	reg_write(cpu, reg, addrsize,
		  cpu->gpr[reg] + (cpu->dflag ? -bytes : bytes));
	if (!rep)
		return 0;
	left = (cpu->gpr[REG_RCX] - n) & addr_mask(addrsize);
	reg_write(cpu, REG_RCX, addrsize, left);
	return left;
}

int exec_outs(struct cpu *cpu, const struct insn *i)
{
	enum cpu_seg seg = insn_source_seg(cpu, i);
	uint64_t off = cpu->gpr[REG_RSI] & addr_mask(i->addrsize);
	struct cpu_io *io = &cpu->io;
	bool rep = i->prefix & (INSN_REP | INSN_REPNE);
	gva_t gva;

	check_port(cpu, port_number(cpu, i), port_size(cpu, i));
	if (!iterations(cpu, i))
		return EXEC_NEXT;
	begin(cpu, i, false, true);
	io->count = batch(cpu, i, seg, off, ACC_READ);
	gva = mem_linear(cpu, seg, off, io->size, ACC_READ);
	mem_read_buf(cpu, gva, io->data, io->count * io->size,
		     mem_acc(cpu, ACC_READ));
	if (!advance(cpu, REG_RSI, io->count, i->addrsize, rep))
		cpu->rip = i->next_rip;
	leave(cpu, i, PENDING_DONE);
}

int exec_ins(struct cpu *cpu, const struct insn *i)
{
	uint64_t off = cpu->gpr[REG_RDI] & addr_mask(i->addrsize);
	struct cpu_io *io = &cpu->io;
	gva_t gva;

	check_port(cpu, port_number(cpu, i), port_size(cpu, i));
	if (!iterations(cpu, i))
		return EXEC_NEXT;
	begin(cpu, i, true, true);
	io->count = batch(cpu, i, SEG_ES, off, ACC_WRITE);
	gva = mem_linear(cpu, SEG_ES, off, io->size, ACC_WRITE);
	/* fault before the device is read */
	mem_check(cpu, gva, io->count * io->size, mem_acc(cpu, ACC_WRITE));
	leave(cpu, i, PENDING_INS);
}

/* The client may have lowered RCX meanwhile; the rest of the data is lost. */
static int complete_ins(struct cpu *cpu, const struct cpu_io_pending *p)
{
	uint64_t mask = addr_mask(p->addrsize);
	uint64_t off = cpu->gpr[REG_RDI] & mask;
	uint64_t left = p->rep ? cpu->gpr[REG_RCX] & mask : 1;
	struct cpu_io *io = &cpu->io;
	unsigned int n = MIN(left, io->count);
	gva_t gva;

	if (n) {
		gva = mem_linear(cpu, SEG_ES, off, n * io->size, ACC_WRITE);
		mem_write_buf(cpu, gva, io->data, n * io->size,
			      mem_acc(cpu, ACC_WRITE));
		left = advance(cpu, REG_RDI, n, p->addrsize, p->rep);
	}
	if (left)
		return EXEC_AGAIN;
	cpu->rip = p->next_rip;
	return EXEC_JUMP;
}

int io_complete(struct cpu *cpu)
{
	const struct cpu_io_pending p = cpu->io_pending;
	uint32_t val;

	cpu->io_pending.kind = PENDING_NONE;
	if (p.kind == PENDING_NONE || cpu->rip != p.rip)
		return EXEC_AGAIN;
	if (p.kind == PENDING_DONE)
		return cpu->rip == p.next_rip ? EXEC_JUMP : EXEC_AGAIN;
	if (p.kind == PENDING_INS)
		return complete_ins(cpu, &p);
	if (p.kind == PENDING_IN) {
		__builtin_memcpy(&val, cpu->io.data, sizeof(val));
		reg_write(cpu, REG_RAX, cpu->io.size, val);
	}
	cpu->rip = p.next_rip;
	return EXEC_JUMP;
}
