/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Option values into struct config. A device or machine property that is not
 * in a table here does not exist and is refused.
 */
#include "vmm/config.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/check.h"
#include "lib/keyval.h"
#include "vmm/net/conf.h"
#include "vmm/root/root.h"
#include "vmm/run/charport.h"

#define MIB           (1ULL << 20)
#define RAM_MIN       (2 * MIB)
#define RAM_MAX       (1ULL << 44)
#define RAM_DEFAULT   (128 * MIB)
#define DEBUGCON_PORT 0xe9

void config_init(struct config *c)
{
	*c = (struct config){
		.ram_size = RAM_DEFAULT,
		.pci = true,
		.pit = true,
		.pvpanic_port = 0x505,
		.debug_exit_port = 0x501,
		.debug_exit_size = 2,
		.debugcon_port = DEBUGCON_PORT,
	};
	strcpy(c->uuid, "00000000-0000-0000-0000-000000000000");
	request_init(&c->cpu, "host", "pc");
}

void config_exit(struct config *c)
{
	devconf_exit(&c->dev);
	root_free(c->root);
	c->root = NULL;
}

int config_memory(struct config *c, const char *arg, struct err *e)
{
	struct keyval kv;
	uint64_t size = 0;
	int ret;

	while ((ret = keyval_next(&arg, &kv, e)) > 0) {
		if (!kv.bare && strcmp(kv.key, "size"))
			return err_set(e, -EINVAL,
				       "'%s' is not offered (only size=)",
				       kv.key);
		if (size)
			return err_set(e, -EINVAL, "more than one size");
		ret = keyval_size(kv.value, MIB, &size, e);
		if (ret)
			return ret;
		if (size < RAM_MIN || size > RAM_MAX)
			return err_set(e, -ERANGE,
				       "%s is not between 2M and 16T",
				       kv.value);
	}
	if (ret)
		return ret;
	if (!size)
		return err_set(e, -EINVAL, "no size given");
	c->ram_size = ALIGN_UP(size, (uint64_t)4096);
	c->ram_given = true;
	return 0;
}

int config_smp(struct config *c, const char *arg, struct err *e)
{
	if (!arg[0])
		return err_set(e, -EINVAL, "no number of CPUs given");
	return request_smp(&c->cpu, arg, e);
}

/* @accel behind those there are, unless it is one of them. */
static int add_accel(struct config_accels *a, enum config_accel accel)
{
	unsigned i;

	for (i = 0; i < a->n; i++)
		if (a->list[i] == accel)
			return 0;
	ASSERT(a->n < CONFIG_MAX_ACCELS);
	a->list[a->n++] = accel;
	return 0;
}

static int accel_by_name(struct config_accels *a, const char *name, size_t len,
			 struct err *e)
{
	if (len == 5 && !memcmp(name, "lodge", len))
		return add_accel(a, ACCEL_LODGE);
	if (len == 3 && !memcmp(name, "kvm", len))
		return add_accel(a, ACCEL_KVM);
	if (len != 4 || memcmp(name, "auto", len))
		return err_set(e, -EINVAL,
			       "'%.*s' is not one of lodge, kvm, auto",
			       (int)len, name);
	add_accel(a, ACCEL_KVM);
	return add_accel(a, ACCEL_LODGE);
}

int config_accel(struct config *c, const char *arg, struct err *e)
{
	size_t len;
	int ret;

	for (;; arg += len + 1) {
		len = strcspn(arg, ":");
		ret = accel_by_name(&c->accels, arg, len, e);
		if (ret || !arg[len])
			return ret;
	}
}

int config_cpu(struct config *c, const char *arg, struct err *e)
{
	int ret = request_cpu(&c->cpu, arg, e);

	return ret ? ret : cpu_def_check_name(c->cpu.cpu.name, e);
}

static int machine_type(struct config *c, const char *type, struct err *e)
{
	int ret = request_type(&c->cpu, type, e);

	if (!ret)
		c->pci = c->cpu.cpu.machine.board != BOARD_MICROVM;
	return ret;
}

/* What these machines are, and cannot be otherwise. */
static const struct {
	const char *name;
	bool is;
} machine_facts[] = {
	{"acpi", true},           {"i8042", true},  {"kernel-irqchip", true},
	{"kernel_irqchip", true}, {"hpet", false},  {"smm", false},
	{"vmport", false},        {"usb", false},   {"graphics", false},
	{"nvdimm", false},        {"smbus", false}, {"sata", false},
};

/* 1: it is none of these. */
static int machine_fact(const struct keyval *kv, struct err *e)
{
	bool want;
	size_t i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(machine_facts); i++) {
		if (strcmp(kv->key, machine_facts[i].name))
			continue;
		ret = keyval_bool(kv->value, &want, e);
		if (!ret && want != machine_facts[i].is)
			ret = err_set(e, -EINVAL, "%s is always %s", kv->key,
				      want ? "off" : "on");
		return ret;
	}
	return 1;
}

static int machine_property(struct config *c, const struct keyval *kv,
			    struct err *e)
{
	int ret;

	if (!strcmp(kv->key, "pci"))
		return keyval_bool(kv->value, &c->pci, e);
	if (!strcmp(kv->key, "pit"))
		return keyval_bool(kv->value, &c->pit, e);
	if (!strcmp(kv->key, "accel"))
		return config_accel(c, kv->value, e);
	ret = machine_fact(kv, e);
	if (ret <= 0)
		return ret;
	ret = request_property(&c->cpu, kv->key, kv->value, e);
	if (ret)
		return MIN(ret, 0);
	return err_set(
		e, -EINVAL,
		"'%s' is not offered (type=, pci=on|off, pit=on|off, accel=, "
		"smp-cache.N.cache=, smp-cache.N.topology=)",
		kv->bare ? kv->value : kv->key);
}

int config_machine(struct config *c, const char *arg, struct err *e)
{
	struct keyval kv;
	bool first = true;
	int ret;

	while ((ret = keyval_next(&arg, &kv, e)) > 0) {
		if (kv.bare ? first : !strcmp(kv.key, "type"))
			ret = machine_type(c, kv.value, e);
		else
			ret = machine_property(c, &kv, e);
		if (ret)
			return ret;
		first = false;
	}
	return ret;
}

static int debug_exit_property(struct config *c, const struct keyval *kv,
			       struct err *e)
{
	uint64_t n;
	int ret;

	if (!strcmp(kv->key, "iobase")) {
		ret = keyval_number(kv->value, 1, 0xfff8, &n, e);
		if (!ret)
			c->debug_exit_port = (uint16_t)n;
		return ret;
	}
	if (strcmp(kv->key, "iosize"))
		return err_set(e, -EINVAL,
			       "isa-debug-exit has no '%s' (iobase, iosize)",
			       kv->bare ? kv->value : kv->key);
	ret = keyval_number(kv->value, 1, 4, &n, e);
	if (!ret && n == 3)
		ret = err_set(e, -EINVAL, "iosize must be 1, 2 or 4");
	if (!ret)
		c->debug_exit_size = (uint8_t)n;
	return ret;
}

static int pvpanic_property(struct config *c, const struct keyval *kv,
			    struct err *e)
{
	uint64_t n;
	int ret;

	if (strcmp(kv->key, "ioport"))
		return err_set(e, -EINVAL, "pvpanic has no '%s' (ioport)",
			       kv->bare ? kv->value : kv->key);
	ret = keyval_number(kv->value, 1, 0xffff, &n, e);
	if (!ret)
		c->pvpanic_port = (uint16_t)n;
	return ret;
}

/* The defaults: nothing was said yet. */
static void debug_exit_help(const struct config *c)
{
	printf("isa-debug-exit.iobase=<number>  first port (default: %#x)\n"
	       "isa-debug-exit.iosize=<1|2|4>  ports (default: %u)\n",
	       c->debug_exit_port, c->debug_exit_size);
}

static void pvpanic_help(const struct config *c)
{
	printf("pvpanic.ioport=<number>  its port (default: %#x)\n",
	       c->pvpanic_port);
}

static int no_property(struct config *c, const struct keyval *kv, struct err *e)
{
	return err_set(e, -EINVAL, "it has no '%s'",
		       kv->bare ? kv->value : kv->key);
}

static const struct {
	const char *name;
	size_t present; /* offset of a bool in struct config */
	int (*property)(struct config *, const struct keyval *, struct err *);
	void (*help)(const struct config *); /* NULL: it has no property */
} devices[] = {
	{"isa-debug-exit", offsetof(struct config, debug_exit),
	 debug_exit_property, debug_exit_help},
	{"pvpanic", offsetof(struct config, pvpanic), pvpanic_property,
	 pvpanic_help},
	{"pc-testdev", offsetof(struct config, pc_testdev), no_property},
	{"pci-testdev", offsetof(struct config, pci_testdev), no_property},
};

static int device_help(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(devices); i++)
		puts(devices[i].name);
	devconf_print_names();
	return 1;
}

static int property_help(const struct config *c, size_t i)
{
	if (devices[i].help)
		devices[i].help(c);
	else
		printf("%s has no properties\n", devices[i].name);
	return 1;
}

int config_device(struct config *c, const char *arg, struct err *e)
{
	const char *whole = arg;
	struct keyval kv;
	bool *present;
	size_t i;
	int ret = keyval_next(&arg, &kv, e);

	if (ret < 0)
		return ret;
	if (!ret || (!kv.bare && strcmp(kv.key, "driver")))
		return err_set(e, -EINVAL, "no device name given");
	if (kv.bare && !strcmp(kv.value, "help"))
		return device_help();
	if (devconf_knows(kv.value))
		return devconf_device(&c->dev, whole, e);
	for (i = 0; i < ARRAY_SIZE(devices); i++)
		if (!strcmp(devices[i].name, kv.value))
			break;
	if (i == ARRAY_SIZE(devices))
		return err_set(e, -EINVAL,
			       "'%s' is not one of isa-debug-exit, pc-testdev, "
			       "pci-testdev, pvpanic and the virtio devices "
			       "(help lists "
			       "them)",
			       kv.value);
	present = (bool *)((char *)c + devices[i].present);
	if (*present)
		return err_set(e, -EINVAL, "a second %s", kv.value);
	while ((ret = keyval_next(&arg, &kv, e)) > 0) {
		if (kv.bare && !strcmp(kv.value, "help"))
			return property_help(c, i);
		ret = devices[i].property(c, &kv, e);
		if (ret)
			return ret;
	}
	*present = !ret;
	return ret;
}

int config_drive(struct config *c, const char *arg, struct err *e)
{
	return devconf_drive(&c->dev, arg, e);
}

int config_blockdev(struct config *c, const char *arg, struct err *e)
{
	return devconf_blockdev(&c->dev, arg, e);
}

int config_fsdev(struct config *c, const char *arg, struct err *e)
{
	return devconf_fsdev(&c->dev, arg, e);
}

int config_object(struct config *c, const char *arg, struct err *e)
{
	return devconf_object(&c->dev, arg, e);
}

int config_virtfs(struct config *c, const char *arg, struct err *e)
{
	return devconf_virtfs(&c->dev, arg, e);
}

int config_netdev(struct config *c, const char *arg, struct err *e)
{
	return devconf_netdev(&c->dev, arg, e);
}

int config_nic(struct config *c, const char *arg, struct err *e)
{
	return devconf_nic(&c->dev, arg, e);
}

int config_fw_cfg(struct config *c, const char *arg, struct err *e)
{
	return fwconf_parse(&c->fw, arg, e);
}

int config_serial(struct config *c, const char *arg, struct err *e)
{
	if (c->serial_given)
		return err_set(e, -EINVAL, "there is only one serial port");
	c->serial_given = true;
	return charconf_short(&c->chars, arg, "serial0", c->serial, e);
}

int config_debugcon(struct config *c, const char *arg, struct err *e)
{
	return charconf_short(&c->chars, arg, "debugcon", c->debugcon, e);
}

/* 8-4-4-4-12 hexadecimal digits. */
int config_uuid(struct config *c, const char *arg, struct err *e)
{
	static const char shape[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
	size_t i;

	for (i = 0; shape[i] && arg[i]; i++)
		if (shape[i] == '-' ? arg[i] != '-'
				    : !isxdigit((unsigned char)arg[i]))
			break;
	if (shape[i] || arg[i])
		return err_set(e, -EINVAL, "'%s' is not of the form %s", arg,
			       shape);
	for (i = 0; i < sizeof(shape); i++)
		c->uuid[i] = (char)tolower((unsigned char)arg[i]);
	return 0;
}

/* Threads say by their names what they do, whether that is asked for or not. */
static int name_threads(const char *text, struct err *e)
{
	bool on;
	int ret = keyval_bool(text, &on, e);

	if (ret || on)
		return ret;
	return err_set(e, -ENOTSUP, "debug-threads can only be on");
}

int config_name(struct config *c, const char *arg, struct err *e)
{
	struct keyval kv;
	int ret;

	while ((ret = keyval_next(&arg, &kv, e)) > 0) {
		if (!kv.bare && !strcmp(kv.key, "debug-threads")) {
			ret = name_threads(kv.value, e);
			if (ret)
				return ret;
			continue;
		}
		if (c->name[0] || (!kv.bare && strcmp(kv.key, "guest")))
			return err_set(e, -EINVAL,
				       "'%s' is not one of guest, "
				       "debug-threads",
				       kv.bare ? kv.value : kv.key);
		if (!kv.value[0] || strlen(kv.value) >= sizeof(c->name))
			return err_set(e, -EINVAL,
				       "a name has 1 to %zu characters",
				       sizeof(c->name) - 1);
		strcpy(c->name, kv.value);
	}
	return !ret && !c->name[0] ? err_set(e, -EINVAL, "no name given") : ret;
}

static int rtc_base(struct config *c, const char *text, struct err *e)
{
	time_t now = time(NULL);
	struct tm tm = {0};
	const char *end;

	c->rtc_offset = 0;
	if (!strcmp(text, "utc"))
		return 0;
	if (!strcmp(text, "localtime")) {
		localtime_r(&now, &tm);
		c->rtc_offset = tm.tm_gmtoff;
		return 0;
	}
	end = strptime(text, "%Y-%m-%d", &tm);
	if (end && *end == 'T')
		end = strptime(end, "T%H:%M:%S", &tm);
	if (!end || *end)
		return err_set(e, -EINVAL,
			       "base=%s is not utc, localtime or a date like "
			       "2030-12-31T23:59:59",
			       text);
	c->rtc_offset = (int64_t)timegm(&tm) - (int64_t)now;
	return 0;
}

static int rtc_clock(struct config *c, const char *text, struct err *e)
{
	c->rtc_stops = !strcmp(text, "vm");
	if (c->rtc_stops || !strcmp(text, "host") || !strcmp(text, "rt"))
		return 0;
	return err_set(e, -EINVAL, "clock=%s is not one of host, rt, vm", text);
}

int config_rtc(struct config *c, const char *arg, struct err *e)
{
	struct keyval kv;
	int ret;

	while ((ret = keyval_next(&arg, &kv, e)) > 0) {
		if (!strcmp(kv.key, "base"))
			ret = rtc_base(c, kv.value, e);
		else if (!strcmp(kv.key, "clock"))
			ret = rtc_clock(c, kv.value, e);
		else if (!strcmp(kv.key, "driftfix") &&
			 !strcmp(kv.value, "none"))
			ret = 0;
		else
			ret = err_set(e, -EINVAL,
				      "'%s' is not one of base=, clock=, "
				      "driftfix=none",
				      kv.bare ? kv.value : kv.key);
		if (ret)
			return ret;
	}
	return ret;
}

/* What may be done about an event, as -action has it; by number. */
static const struct {
	const char *event;
	const char *choices[5];
	size_t offset;
} actions[] = {
	{"reboot",
	 {"reset", "shutdown"},
	 offsetof(struct config_action, reboot_ends)},
	{"shutdown",
	 {"poweroff", "pause"},
	 offsetof(struct config_action, shutdown_holds)},
	{"panic",
	 {"shutdown", "pause", "exit-failure", "none"},
	 offsetof(struct config_action, panic)},
};

static int set_action(struct config *c, size_t i, const char *choice,
		      struct err *e)
{
	const char *const *list = actions[i].choices;
	unsigned n;

	for (n = 0; list[n] && strcmp(list[n], choice); n++)
		;
	if (!list[n])
		return err_set(e, -EINVAL, "%s=%s is not offered (%s, %s%s%s)",
			       actions[i].event, choice, list[0], list[1],
			       list[2] ? ", " : "", list[2] ? list[2] : "");
	*(unsigned *)((char *)&c->action + actions[i].offset) = n;
	return 0;
}

int config_action(struct config *c, const char *arg, struct err *e)
{
	struct keyval kv;
	size_t i;
	int ret;

	while ((ret = keyval_next(&arg, &kv, e)) > 0) {
		for (i = 0; i < ARRAY_SIZE(actions); i++)
			if (!strcmp(actions[i].event, kv.key))
				break;
		if (i == ARRAY_SIZE(actions))
			return err_set(e, -EINVAL,
				       "'%s' is not one of reboot=, shutdown=, "
				       "panic=",
				       kv.bare ? kv.value : kv.key);
		ret = set_action(c, i, kv.value, e);
		if (ret)
			return ret;
	}
	return ret;
}

/* Would this CPU be refused whoever runs it? */
static int check_cpu(struct config *c, struct err *e)
{
	struct cpu_accel nobody = {.kind = CPU_ACCEL_NONE};
	const struct topo *t = &c->cpu.cpu.topo;
	struct cpu_request r;
	struct cpu_def def;
	int ret = request_finish(&c->cpu, e);

	if (ret)
		return ret;
	if (t->cpus != t->maxcpus)
		return err_set(e, -EINVAL,
			       "-smp: maxcpus=%u: CPU hotplug is not offered, "
			       "maxcpus must equal cpus",
			       t->maxcpus);
	if (t->cpus > CONFIG_MAX_CPUS)
		return err_set(e, -ERANGE, "-smp: %u CPUs are more than %d",
			       t->cpus, CONFIG_MAX_CPUS);
	r = c->cpu.cpu;
	if (!strcmp(r.name, "host"))
		strcpy(r.name, "max");
	ret = cpu_def_resolve(&def, &r, &nobody, e);
	return ret ? err_wrap(e, "-cpu") : 0;
}

static bool terminal_is_taken(const struct config *c)
{
	unsigned i;

	for (i = 0; i < c->chars.ports; i++)
		if (c->chars.port[i].kind == CHARCONF_STDIO)
			return true;
	return false;
}

/* COM1 is at this terminal unless something else is, and all have a place. */
static int check_chars(struct config *c, struct err *e)
{
	int ret = 0;

	if (!c->nodefaults && !c->serial_given)
		ret = config_serial(c,
				    c->daemonize || terminal_is_taken(c)
					    ? "null"
					    : "mon:stdio",
				    e);
	charconf_release(&c->chars);
	if (!ret)
		ret = charconf_use(&c->chars, "serial", c->serial, e);
	if (!ret)
		ret = charconf_use(&c->chars, "debugcon", c->debugcon, e);
	if (!ret && c->daemonize && terminal_is_taken(c))
		return err_set(e, -EINVAL,
			       "-daemonize leaves this terminal, which a port "
			       "is to use");
	return ret ? ret : charconf_check(&c->chars, e);
}

int config_check(struct config *c, struct err *e)
{
	const struct virtio_env env = {c->cpu.cpu.machine.version, c->pci};

	if (c->root_path && root_configure(c, e))
		return e->code;
	if (!c->kernel)
		return err_set(e, -EINVAL, "-kernel is required");
	if (c->initrd && !c->initrd[0])
		return err_set(e, -EINVAL, "-initrd has an empty file name");
	if (check_chars(c, e))
		return e->code;
	if (c->pci_testdev && !c->pci)
		return err_set(e, -EINVAL,
			       "-device pci-testdev: this machine has no PCI "
			       "bus");
	if (c->snapshot)
		devconf_snapshot(&c->dev);
	if (netconf_chardevs(&c->dev.backends, &c->chars, e) ||
	    charports_declare(&c->dev.backends, &c->chars, e) ||
	    devconf_check(&c->dev, &env, e) ||
	    charports_use(&c->dev.backends, &c->chars, e))
		return e->code;
	return check_cpu(c, e);
}
