/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `lodge run`: QEMU's option names, with one dash or two, in a table. What
 * is not in it does not exist.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/bar.h"
#include "cli/cli.h"
#include "vmm/config.h"
#include "vmm/main.h"
#include "vmm/run/fdconf.h"

struct option {
	const char *name;
	const char *arg; /* what the value is called; NULL: takes none */
	const char *help;
	int (*set)(struct config *c, const char *arg, struct err *e);
};

static int set_kernel(struct config *c, const char *arg, struct err *e)
{
	c->kernel = arg;
	return 0;
}

static int set_initrd(struct config *c, const char *arg, struct err *e)
{
	c->initrd = arg;
	return 0;
}

static int set_root(struct config *c, const char *arg, struct err *e)
{
	if (!arg[0])
		return err_set(e, -EINVAL, "no directory given");
	c->root_path = arg;
	return 0;
}

static int set_append(struct config *c, const char *arg, struct err *e)
{
	c->append = arg;
	return 0;
}

static int set_nographic(struct config *c, const char *arg, struct err *e)
{
	/* There is no display to turn off; what -serial says stands. */
	return 0;
}

static int set_nodefaults(struct config *c, const char *arg, struct err *e)
{
	c->nodefaults = true;
	return 0;
}

/* There is none to show. */
static int set_no_display(struct config *c, const char *arg, struct err *e)
{
	if (strcmp(arg, "none"))
		return err_set(e, -EINVAL, "'%s' is not offered, only none",
			       arg);
	return 0;
}

static int set_cpu(struct config *c, const char *arg, struct err *e)
{
	if (strcmp(arg, "help"))
		return config_cpu(c, arg, e);
	cpu_list_models(&c->cpu.cpu.machine);
	return 1;
}

static int set_machine(struct config *c, const char *arg, struct err *e)
{
	if (strcmp(arg, "help"))
		return config_machine(c, arg, e);
	cpu_list_machines();
	return 1;
}

static int set_kvm(struct config *c, const char *arg, struct err *e)
{
	return config_accel(c, "kvm", e);
}

static int set_snapshot(struct config *c, const char *arg, struct err *e)
{
	c->snapshot = true;
	return 0;
}

static int set_no_reboot(struct config *c, const char *arg, struct err *e)
{
	c->action.reboot_ends = true;
	return 0;
}

static int set_prealloc(struct config *c, const char *arg, struct err *e)
{
	c->prealloc = true;
	return 0;
}

static int set_no_shutdown(struct config *c, const char *arg, struct err *e)
{
	return config_action(c, "shutdown=pause", e);
}

static int set_stopped(struct config *c, const char *arg, struct err *e)
{
	c->stopped = true;
	return 0;
}

static int set_chardev(struct config *c, const char *arg, struct err *e)
{
	return charconf_chardev(&c->chars, arg, e);
}

static int set_mon(struct config *c, const char *arg, struct err *e)
{
	return charconf_mon(&c->chars, arg, e);
}

static int set_monitor(struct config *c, const char *arg, struct err *e)
{
	return charconf_monitor(&c->chars, arg, false, false, e);
}

static int set_qmp(struct config *c, const char *arg, struct err *e)
{
	return charconf_monitor(&c->chars, arg, true, false, e);
}

static int set_qmp_pretty(struct config *c, const char *arg, struct err *e)
{
	return charconf_monitor(&c->chars, arg, true, true, e);
}

static int add_fd(struct config *c, const char *arg, struct err *e)
{
	return fdconf_add(arg, e);
}

static int set_pidfile(struct config *c, const char *arg, struct err *e)
{
	c->pidfile = arg;
	return arg[0] ? 0 : err_set(e, -EINVAL, "the file name is empty");
}

static int set_daemonize(struct config *c, const char *arg, struct err *e)
{
	c->daemonize = true;
	return 0;
}

static const struct option options[] = {
	{"kernel", "FILE",
	 "kernel to boot: a bzImage, an ELF file with a PVH entry, or an "
	 "image\n"
	 "with a Multiboot header",
	 set_kernel},
	{"initrd", "FILE", "initial RAM disk", set_initrd},
	{"root", "DIR",
	 "run the command after -- in a guest whose root file system is DIR\n"
	 "of this host (/), which nothing changes; its exit status is ours",
	 set_root},
	{"append", "TEXT", "kernel command line", set_append},
	{"m", "SIZE",
	 "memory: MiB, or a number with K, M, G, T; also size=SIZE (128M)",
	 config_memory},
	{"mem-prealloc", NULL,
	 "have all memory before the guest starts, so that the host cannot\n"
	 "run out of it later",
	 set_prealloc},
	{"smp", "N",
	 "CPUs: N or cpus=N,sockets=S,dies=D,modules=M,cores=C,threads=T (1)",
	 config_smp},
	{"cpu", "MODEL",
	 "host, max: all that the KVM offers; or a model, and [,+FEATURE]\n"
	 "[,-FEATURE][,PROPERTY=VALUE]; help lists them (host)",
	 set_cpu},
	{"accel", "KVM",
	 "lodge: our own; kvm: the kernel's, if it runs 64-bit guests;\n"
	 "auto: the kernel's if it does, else ours; of several, here or as\n"
	 "kvm:lodge, the first that opens (auto)",
	 config_accel},
	{"enable-kvm", NULL, "-accel kvm", set_kvm},
	{"machine", "TYPE",
	 "pc, q35, versions of them as pc-q35-10.0, or microvm: without\n"
	 "PCI; also pci=on|off, pit=off, accel=KVM, "
	 "smp-cache.N.cache=l1d|l1i|l2|l3,\n"
	 "smp-cache.N.topology=LEVEL; help lists them (pc)",
	 set_machine},
	{"M", "TYPE", "the same", set_machine},
	{"device", "DEVICE",
	 "isa-debug-exit[,iobase=PORT][,iosize=BYTES]: the guest sets the\n"
	 "exit status; pvpanic[,ioport=PORT]: the guest reports a panic;\n"
	 "pc-testdev, pci-testdev: what kvm-unit-tests ask for;\n"
	 "virtio-blk-pci,drive=ID; virtio-net-pci,netdev=ID;\n"
	 "virtio-rng-pci. help lists the devices,\n"
	 "NAME,help their properties; without PCI names end in -device",
	 config_device},
	{"drive", "DISK",
	 "file=FILE[,format=raw|qcow2]: a disk; FILE may be nbd:...; also\n"
	 "if=virtio|none, id=, readonly=on, snapshot=on, discard=unmap,\n"
	 "cache=writeback|none|writethrough|directsync|unsafe, aio=threads|\n"
	 "io_uring|native, serial=, werror=, rerror=, throttling.bps-total=,\n"
	 "throttling.iops-total=; help lists them (if=virtio)",
	 config_drive},
	{"blockdev", "DISK",
	 "node-name=ID,driver=raw|qcow2|file|host_device|nbd,...: a disk for\n"
	 "-device or for other nodes, or '{\"driver\": ...}'; help lists\n"
	 "what it takes",
	 config_blockdev},
	{"netdev", "NET",
	 "user,id=ID: a network that needs no privilege; also\n"
	 "hostfwd=tcp::PORT-:PORT, restrict=on, net=, host=, dhcpstart=,\n"
	 "dns=, hostname=, domainname=; tap,id=ID: ifname=NAME or fd=N",
	 config_netdev},
	{"nic", "NET",
	 "-netdev and its card in one: KIND[,mac=MAC][,model=MODEL] and what\n"
	 "the KIND takes, as user,hostfwd=tcp::2222-:22; none: none",
	 config_nic},
	{"fw_cfg", "ITEM",
	 "[name=]opt/NAME,file=FILE or ,string=TEXT: bytes for the guest,\n"
	 "which finds them by name (/sys/firmware/qemu_fw_cfg)",
	 config_fw_cfg},
	{"fsdev", "DIR",
	 "local,id=ID,path=DIR,security_model=none|passthrough|mapped-xattr\n"
	 "[,readonly=on]: a directory for -device virtio-9p-pci,fsdev=ID,\n"
	 "mount_tag=TAG",
	 config_fsdev},
	{"virtfs", "DIR", "local,path=DIR,mount_tag=TAG,...: both in one",
	 config_virtfs},
	{"object", "OBJECT",
	 "rng-random,id=ID[,filename=FILE], rng-builtin,id=ID: random bytes\n"
	 "for -device virtio-rng-pci,rng=ID",
	 config_object},
	{"serial", "PORT",
	 "COM1: mon:stdio, stdio (Ctrl-C interrupts), null, none, file:PATH,\n"
	 "pty, unix:PATH, tcp:HOST:PORT, chardev:ID (mon:stdio)",
	 config_serial},
	{"debugcon", "PORT", "debug console at port 0xe9: as -serial (none)",
	 config_debugcon},
	{"nographic", NULL, "no display: COM1 on this terminal (the default)",
	 set_nographic},
	{"nodefaults", NULL, "no COM1 unless -serial asks for it",
	 set_nodefaults},
	{"display", "none", "there is none", set_no_display},
	{"vnc", "none", "there is none", set_no_display},
	{"vga", "none", "there is none", set_no_display},
	{"parallel", "none", "there is none", set_no_display},
	{"net", "none", "no network but by -device", set_no_display},
	{"snapshot", NULL, "forget what is written to the disks of -drive",
	 set_snapshot},
	{"qmp", "PORT",
	 "a monitor for programs: unix:PATH,server=on[,wait=off],\n"
	 "tcp:HOST:PORT,server=on, and all that -serial takes",
	 set_qmp},
	{"qmp-pretty", "PORT", "the same with indented answers",
	 set_qmp_pretty},
	{"monitor", "PORT", "a monitor for people (Ctrl-A c of mon:stdio)",
	 set_monitor},
	{"chardev", "KIND",
	 "KIND,id=ID: a port for -serial, -mon and the others; kinds are\n"
	 "stdio, null, file, pty, socket; help lists their keys",
	 set_chardev},
	{"add-fd", "FD",
	 "fd=N,set=M[,opaque=TEXT]: descriptor N, open already, is what\n"
	 "/dev/fdset/M opens, where images and files of ports are named",
	 add_fd},
	{"mon", "ID", "chardev=ID,mode=control|readline[,pretty=on]", set_mon},
	{"S", NULL, "wait for a monitor's cont before the first instruction",
	 set_stopped},
	{"no-reboot", NULL, "a reset of the guest ends the run", set_no_reboot},
	{"no-shutdown", NULL, "soft-off only stops, for a monitor to look",
	 set_no_shutdown},
	{"action", "EVENT=WHAT",
	 "reboot=reset|shutdown, shutdown=poweroff|pause,\n"
	 "panic=shutdown|pause|exit-failure|none",
	 config_action},
	{"daemonize", NULL, "leave the terminal once the guest runs",
	 set_daemonize},
	{"pidfile", "FILE", "write our process number there", set_pidfile},
	{"rtc", "CLOCK",
	 "base=utc|localtime|DATE, clock=host|vm: the guest's calendar (utc,\n"
	 "host)",
	 config_rtc},
	{"uuid", "UUID", "an identity for monitors to ask for", config_uuid},
	{"name", "NAME", "a name for this guest, put into messages",
	 config_name},
};

static const struct {
	int code;
	const char *help;
} statuses[] = {
	{EXITCODE_OK, "the guest powered off (or was reset, with -no-reboot),"
		      " or Ctrl-A x"},
	{EXITCODE_USAGE, "an option is wrong"},
	{EXITCODE_START, "a file, memory or the KVM does not do"},
	{EXITCODE_PANIC, "the guest panicked and said so by pvpanic"},
	{EXITCODE_TRIPLE_FAULT, "the guest ended with a triple fault"
				" (-no-reboot)"},
	{EXITCODE_INTERNAL, "the KVM gave up on the guest"},
};

/* The lines of @text, the first after what is printed already. */
static void print_indented(const char *text, int column)
{
	const char *end;

	while ((end = strchr(text, '\n'))) {
		printf("%.*s\n%*s", (int)(end - text), text, column, "");
		text = end + 1;
	}
	puts(text);
}

static void print_help(void)
{
	const struct option *o;
	char left[32];
	size_t i;

	puts("usage: lodge run -kernel FILE [OPTION]...\n"
	     "       lodge run --root / [OPTION]... -- COMMAND [ARG]...\n\n"
	     "Options take one dash or two; defaults are in parentheses.\n");
	for (o = options; o < options + ARRAY_SIZE(options); o++) {
		snprintf(left, sizeof(left), "-%s %s", o->name,
			 o->arg ? o->arg : "");
		printf("  %-18s ", left);
		print_indented(o->help, 21);
	}
	puts("\nKeys: Ctrl-A x leaves, Ctrl-A h lists the others.\n\n"
	     "Exit status:");
	for (i = 0; i < ARRAY_SIZE(statuses); i++)
		printf("  %-5d %s\n", statuses[i].code, statuses[i].help);
	printf("  %d+N ended by signal N\n"
	       "  odd   (value << 1) | 1, as written to isa-debug-exit\n",
	       EXITCODE_SIGNAL);
}

static int usage(const char *fmt, const char *what, const char *more)
{
	fputs("lodge: ", stderr);
	fprintf(stderr, fmt, what, more);
	fputs("; `lodge run --help` lists the options\n", stderr);
	return EXITCODE_USAGE;
}

static const struct option *find(const char *name)
{
	const struct option *o;

	for (o = options; o < options + ARRAY_SIZE(options); o++)
		if (!strcmp(o->name, name))
			return o;
	return NULL;
}

static bool wants_help(const char *word)
{
	return !strcmp(word, "-h") || !strcmp(word, "-help") ||
	       !strcmp(word, "--help");
}

/* 0, or an exit status after something was printed; *@done tells. */
static int parse(struct config *c, int argc, char **argv, bool *done)
{
	const struct option *o;
	const char *name;
	struct err e = {0};
	int i, ret;

	*done = true;
	for (i = 0; i < argc; i++) {
		name = argv[i];
		if (!strcmp(name, "--")) {
			c->command = argv + i + 1;
			break;
		}
		if (wants_help(name)) {
			print_help();
			return EXITCODE_OK;
		}
		if (name[0] != '-' || !name[1])
			return usage("'%s' is not an option%s", name, "");
		name += name[1] == '-' ? 2 : 1;
		o = find(name);
		if (!o)
			return usage("unknown option '%s'%s", argv[i], "");
		if (o->arg && i + 1 == argc)
			return usage("option '%s' needs a value (%s)", argv[i],
				     o->arg);
		ret = o->set(c, o->arg ? argv[++i] : NULL, &e);
		if (ret > 0)
			return EXITCODE_OK;
		if (ret) {
			fprintf(stderr, "lodge: -%s: %s\n", o->name, e.msg);
			return EXITCODE_USAGE;
		}
	}
	if (c->command && !c->root_path)
		return usage("'--' and a command go with --root%s%s", "", "");
	if (config_check(c, &e))
		return usage("%s%s", e.msg, "");
	*done = false;
	return 0;
}

/* For monitors, which are asked. */
static void list_names(const char **names)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(options); i++)
		names[i] = options[i].name;
	names[i] = NULL;
}

int cmd_run(int argc, char **argv)
{
	const char *names[ARRAY_SIZE(options) + 1];
	struct config c;
	struct bar bar;
	bool done;
	int status;

	config_init(&c);
	list_names(names);
	c.options = names;
	bar_init(&bar, "allocating memory");
	c.progress = &bar.progress;
	status = parse(&c, argc, argv, &done);
	if (!done)
		status = vmm_main(&c);
	config_exit(&c);
	return status;
}
