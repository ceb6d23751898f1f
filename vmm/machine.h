/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One machine from power-on to the moment it stops: memory, processors,
 * devices, a loaded kernel. A reset makes a new one.
 */
#ifndef VMM_MACHINE_H
#define VMM_MACHINE_H

#include <pthread.h>

#include "dev/bus.h"
#include "dev/dma.h"
#include "dev/doorbell.h"
#include "dev/isa.h"
#include "dev/pci.h"
#include "dev/pcihp.h"
#include "dev/power.h"
#include "dev/serial.h"
#include "dev/testdev.h"
#include "host/console.h"
#include "host/ram.h"
#include "vmm/config.h"
#include "vmm/cpu/table.h"
#include "vmm/run/gate.h"
#include "vmm/vcpu.h"

struct control;
struct evloop;
struct evloop_watch;
struct fwcfg;
struct pcitestdev;
struct hv;
struct stop;

/* What outlives a machine and is lent to it. */
struct machine_host {
	struct hv *hv;
	const struct config *config;
	struct devconf *dev; /* its devices, and what they are connected to */
	struct evloop *loop;
	struct console *serial;   /* NULL: no COM1 */
	struct console *debugcon; /* NULL: none */
	struct stop *stop;
	struct control *control;
	const struct cpu_def *cpu; /* every processor's */
	const struct fwdata *fw;   /* NULL: no -fw_cfg */
};

struct machine {
	struct hv *hv;
	const struct config *config;
	struct stop *stop;
	const struct machine_host *host;
	int vm_fd;
	struct host_ram ram;
	bool others_write;  /* to it: a kernel, another process */
	uint64_t low_size;  /* RAM below the PCI hole */
	uint64_t high_size; /* RAM from 4 GiB on */
	struct dma dma;
	pthread_mutex_t lock; /* everything down to the ruler */
	struct bus pio;
	struct bus mmio;
	struct isa isa;
	struct pci pci;
	struct pcihp pcihp;
	struct serial com1;
	struct debugcon debugcon;
	struct pctestdev *testdev;  /* NULL without -device pc-testdev */
	struct devconf *dev;        /* the virtio devices */
	struct pcitestdev *pcitest; /* likewise pci-testdev */
	struct fwcfg *fwcfg;
	uint64_t armed;  /* ns the timer is set to, CHIP_NEVER: none */
	uint64_t lost;   /* ns the host's clock is ahead of the machine's */
	uint64_t frozen; /* the machine's clock while it stands, else 0 */
	/* ---- set up once ---- */
	struct power power;
	struct doorbells doorbells; /* set: NULL without them */
	struct console_user com1_user;
	int timer; /* timerfd */
	struct evloop_watch *timer_watch;
	struct vcpu *vcpus;
	uint32_t *apic_id; /* of each CPU */
	struct gate gate;
	/* ---- under the control's lock ---- */
	bool paused;
	bool clock_known;
	struct kvm_clock_data clock; /* while paused */
};

/*
 * Build a machine, run it until host->stop has a reason that
 * control_settle() does not hold it for, and take it apart. 0, or -errno when
 * it could not be built; then nothing ran. host->control's lock is held
 * before and after. All stays as it is when host->control is abandoned.
 */
int machine_run(const struct machine_host *host, struct err *e) __must_check;

/*
 * ---- for control.c, under its lock ----
 */
/* Get all vCPUs out of the guest. */
void machine_park(struct machine *m);
/* The same, and stop the guest's clocks. */
void machine_pause(struct machine *m);
void machine_resume(struct machine *m);
/* Press it; the guest's ACPI is told. */
void machine_power_button(struct machine *m);

/*
 * ---- machine.c to the vCPUs ----
 */

/* A port or memory access of @len bytes at @data; any vCPU thread. */
void machine_pio(struct machine *m, uint16_t port, uint8_t *data, unsigned len,
		 bool write);
void machine_mmio(struct machine *m, uint64_t gpa, uint8_t *data, unsigned len,
		  bool write);

/*
 * ---- board.c to machine.c ----
 */

/* Create the devices and connect them. */
int board_init(struct machine *m, struct err *e) __must_check;

/* A GSI's level; any thread. @ctx: the machine. */
void machine_irq(void *ctx, unsigned gsi, bool level);

/* NULL when the KVM has none. */
const struct doorbells *machine_doorbells(const struct machine *m);

/* Disconnect them from everything that outlives the machine. */
void board_exit(struct machine *m);

/* Stop the devices' clock, and let it go on from there. */
void board_freeze(struct machine *m);
void board_thaw(struct machine *m);

/*
 * ---- optional.c to board.c ----
 */
int board_init_optional(struct machine *m, struct err *e) __must_check;
void board_exit_optional(struct machine *m);

#endif
