/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an operator asked for, and the parsers that fill it from the values
 * of options. Names and grammar are QEMU's; what is not offered is refused
 * with a sentence that says what is.
 */
#ifndef VMM_CONFIG_H
#define VMM_CONFIG_H

#include "lib/err.h"
#include "lib/progress.h"
#include "vmm/cpu/request.h"
#include "vmm/devconf.h"
#include "vmm/fwconf.h"
#include "vmm/run/charconf.h"
#include "vmm/run/control.h"

#define CONFIG_MAX_CPUS   255
#define CONFIG_MAX_ACCELS 8

enum config_accel { ACCEL_LODGE, ACCEL_KVM };

/* The KVMs to try, the first that opens serves; none: as auto says. */
struct config_accels {
	enum config_accel list[CONFIG_MAX_ACCELS];
	unsigned n;
};

enum config_char {
	CHAR_MON_STDIO, /* raw terminal with Ctrl-A commands */
	CHAR_STDIO,     /* raw terminal, but Ctrl-C interrupts */
	CHAR_NULL,
	CHAR_FILE,
	CHAR_NONE, /* no such port */
};

/* Where a character port leads. */
struct config_chardev {
	enum config_char kind;
	const char *path; /* CHAR_FILE: points into argv */
};

struct root;

struct config {
	char name[128]; /* "": none */
	char uuid[37];
	const char *kernel; /* required to run */
	const char *initrd; /* may be NULL */
	const char *append; /* may be NULL */
	uint64_t ram_size;  /* bytes, a multiple of 4 KiB */
	bool ram_given;
	bool prealloc; /* have all of it before the guest starts */
	const struct progress *progress; /* of that; may be NULL */
	struct request cpu; /* the processors, and the machine's type */
	struct config_accels accels;
	bool pci;
	bool pit;            /* the 8254 and what hangs on it */
	const char *pidfile; /* may be NULL */
	bool daemonize;
	int64_t rtc_offset; /* s that the calendar is ahead of UTC */
	bool rtc_stops;     /* ... and it stands while the machine does */
	bool stopped;       /* -S: wait for a monitor's cont */
	struct config_action action;
	bool snapshot; /* of disks: forget what is written */
	bool nodefaults;
	bool pc_testdev;
	bool pci_testdev;
	bool pvpanic;
	uint16_t pvpanic_port;
	bool debug_exit;
	uint16_t debug_exit_port;
	uint8_t debug_exit_size;
	const char *const *options; /* names of all there are; may be NULL */
	struct charconf chars;
	char serial[CHARCONF_NAME]; /* chardev of COM1, "": none */
	bool serial_given;
	char debugcon[CHARCONF_NAME];
	uint16_t debugcon_port;
	struct devconf dev;
	const char *root_path; /* --root; NULL: without */
	char *const *command;  /* what it runs */
	struct root *root;     /* since config_check() */
	struct fwconf fw;
};

void config_init(struct config *c);
/* Frees what options made. */
void config_exit(struct config *c);

/*
 * Each takes one option's value; the sentence lacks the option's name. 1: help
 * was printed, and that was all that was wanted.
 */
int config_memory(struct config *c, const char *arg, struct err *e);
int config_smp(struct config *c, const char *arg, struct err *e);
int config_accel(struct config *c, const char *arg, struct err *e);
int config_cpu(struct config *c, const char *arg, struct err *e);
int config_machine(struct config *c, const char *arg, struct err *e);
int config_device(struct config *c, const char *arg, struct err *e);
int config_drive(struct config *c, const char *arg, struct err *e);
int config_netdev(struct config *c, const char *arg, struct err *e);
int config_nic(struct config *c, const char *arg, struct err *e);
int config_fsdev(struct config *c, const char *arg, struct err *e);
int config_virtfs(struct config *c, const char *arg, struct err *e);
int config_object(struct config *c, const char *arg, struct err *e);
int config_blockdev(struct config *c, const char *arg, struct err *e);
int config_fw_cfg(struct config *c, const char *arg, struct err *e);
int config_serial(struct config *c, const char *arg, struct err *e);
int config_debugcon(struct config *c, const char *arg, struct err *e);
int config_uuid(struct config *c, const char *arg, struct err *e);
int config_name(struct config *c, const char *arg, struct err *e);
int config_rtc(struct config *c, const char *arg, struct err *e);
int config_action(struct config *c, const char *arg, struct err *e);

/* What no single option can check; completes c->cpu. */
int config_check(struct config *c, struct err *e);

#endif
