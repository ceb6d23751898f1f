/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exits to the VMM: a port and a physical address that no device of a small
 * PC claims. Only where -g says that this is a guest.
 */
#include "bench.h"

#include <fcntl.h>
#include <sys/io.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PORT = 0x5a0 };
#define HOLE 0xfea00000ul /* between the PCI windows and the IOAPIC */

static volatile uint32_t *hole;

static const char *prepare_pio(void)
{
	if (!inside_guest)
		return "only in a guest";
	return ioperm(PORT, 1, 1) ? "no ioperm" : NULL;
}

static void run_pio(uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		sink = inb(PORT);
}

static const char *prepare_mmio(void)
{
	int fd;

	if (!inside_guest)
		return "only in a guest";
	fd = open("/dev/mem", O_RDWR | O_SYNC);
	if (fd < 0)
		return "no /dev/mem";
	hole = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, HOLE);
	close(fd);
	return hole == MAP_FAILED ? "/dev/mem refuses" : NULL;
}

static void run_mmio(uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		sink = *hole;
}

const struct row rows_exit[] = {
	{"pio_exit", run_pio, prepare_pio, NULL},
	{"mmio_exit", run_mmio, prepare_mmio, NULL},
	{NULL, NULL, NULL, NULL},
};
