/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where instructions of programs of the host end: the decoder, for those who
 * translate nothing.
 */
#include <Zydis/Zydis.h>
#include <errno.h>

#include "engine/engine.h"
#include "lib/util.h"

#define LENGTH_MAX 15u

int engine_insn_length(const void *code, size_t len)
{
	ZydisDecodedInstruction in;
	ZydisDecoder dec;

	ZydisDecoderInit(&dec, ZYDIS_MACHINE_MODE_LONG_64,
			 ZYDIS_STACK_WIDTH_64);
	if (ZYAN_FAILED(ZydisDecoderDecodeInstruction(
		    &dec, NULL, code, MIN(len, (size_t)LENGTH_MAX), &in)))
		return -EINVAL;
	return in.length;
}
