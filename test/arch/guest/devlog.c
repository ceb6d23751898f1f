/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the test device's log.
 */
#include "test/arch/guest/devlog.h"

void log_reset(void)
{
	outb(DEV_LOG_RESET, 0);
}

bool logged(unsigned int n, uint32_t kind, unsigned int size, uint32_t off,
	    int step)
{
	bool same = inl(DEV_LOG_COUNT) == n;

	for (unsigned int i = 0; i < n; i++) {
		uint32_t want = kind | LOG_SIZE(size) |
				LOG_OFFSET(off + step * (int)i);
		uint32_t got = inl(DEV_LOG_READ);

		if (got != want && same)
			print("# access %d: want %x got %x\n", (int)i,
			      (reg_t)want, (reg_t)got);
		same &= got == want;
	}
	log_reset();
	return same;
}

bool covered(uint32_t kind, uint32_t off, unsigned int n)
{
	uint32_t count = inl(DEV_LOG_COUNT), at = off;
	bool same = true;

	while (count--) {
		uint32_t e = inl(DEV_LOG_READ);

		same &= (e & 0xf0000000) == kind && (e & 0xffff) == at;
		at += e >> 16 & 0xff;
	}
	log_reset();
	return same && at == off + n;
}

bool log_is(const uint32_t *want, unsigned int n)
{
	uint32_t count = inl(DEV_LOG_COUNT);
	bool same = count == n;

	for (unsigned int i = 0; i < count; i++) {
		uint32_t got = inl(DEV_LOG_READ);

		if (i < n && got == want[i])
			continue;
		print("# access %d of %d: got %x want %x\n", (int)i, (int)count,
		      (reg_t)got, (reg_t)(i < n ? want[i] : 0));
		same = false;
	}
	log_reset();
	return same;
}
