/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine's own exec functions: refusals and the near transfers of modes
 * where speed does not matter (16-bit stacks, segments with a base).
 */
#ifndef ENGINE_EXEC_H
#define ENGINE_EXEC_H

#include "cpu/insn.h"

exec_fn exec_ud, exec_nm, exec_gp, exec_push, exec_pop, exec_leave,
	exec_call_near, exec_ret_near, exec_jmp_near, exec_loop, exec_jcc;

/* gather.c, memop.c, x87env.c */
exec_fn exec_gather, exec_clzero, exec_movdir64b, exec_fnstenv, exec_fldenv;

#endif
