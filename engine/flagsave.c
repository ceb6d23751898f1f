/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Moving the guest's arithmetic flags between host RFLAGS and struct cpu.
 * LAHF gives SF ZF AF PF CF, SETO the sixth; both without a stack or a
 * serialising instruction. SDM 2A "LAHF", 2B "SETcc".
 */
#include "engine/internal.h"

void flags_save(struct trans *t)
{
	struct emit *e = &t->e;

	if (t->flags_mem || !t->flags_host)
		return;
	emit_mov_rr(e, 8, S1, H_RAX);
	emit1(e, 0x9f); /* lahf */
	emit1(e, 0x0f); /* seto al */
	emit1(e, 0x90);
	emit1(e, 0xc0);
	emit_op_cpu(e, 0x89, 2, H_RAX, OFF_FLAGS);
	emit_mov_rr(e, 8, H_RAX, S1);
	t->flags_mem = true;
}

void flags_restore(struct trans *t)
{
	struct emit *e = &t->e;

	if (t->flags_host)
		return;
	emit_mov_rr(e, 8, S1, H_RAX);
	emit1(e, 0x0f); /* movzx eax, word: as wide as the store before */
	emit_op_cpu(e, 0xb7, 4, H_RAX, OFF_FLAGS);
	emit1(e, 0x04); /* add al, 127: OF as saved */
	emit1(e, 0x7f);
	emit1(e, 0x9e); /* sahf */
	emit_mov_rr(e, 8, H_RAX, S1);
	t->flags_host = true;
}

void flags_protect(struct trans *t)
{
	flags_save(t);
	t->flags_host = false;
}
