/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Option values into struct config. A device or machine property that is not
 * in a table here does not exist and is refused.
 */
#include "vmm/config.h"

#include <errno.h>
#include <string.h>

#include "vmm/keyval.h"

#define MIB           (1ULL << 20)
#define RAM_MIN       (2 * MIB)
#define RAM_MAX       (1ULL << 44)
#define RAM_DEFAULT   (128 * MIB)
#define DEBUGCON_PORT 0xe9

void config_init(struct config *c)
{
	*c = (struct config){
		.ram_size = RAM_DEFAULT,
		.smp = {1, 1, 1, 1},
		.pci = true,
		.pvpanic_port = 0x505,
		.debug_exit_port = 0x501,
		.debug_exit_size = 2,
		.serial = {.kind = CHAR_MON_STDIO},
		.debugcon = {.kind = CHAR_NONE},
		.debugcon_port = DEBUGCON_PORT,
	};
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
	return 0;
}

static unsigned *smp_field(struct config_smp *s, const char *key)
{
	if (!strcmp(key, "cpus"))
		return &s->cpus;
	if (!strcmp(key, "sockets"))
		return &s->sockets;
	if (!strcmp(key, "cores"))
		return &s->cores;
	if (!strcmp(key, "threads"))
		return &s->threads;
	return NULL;
}

/* Fill what was left 0: cores take what sockets and threads leave. */
static int smp_complete(struct config_smp *s, unsigned maxcpus, struct err *e)
{
	unsigned known;

	if (!s->cpus && !s->sockets && !s->cores && !s->threads)
		return err_set(e, -EINVAL, "no number of CPUs given");
	known = MAX(s->sockets, 1U) * MAX(s->cores, 1U) * MAX(s->threads, 1U);
	if (!s->cpus)
		s->cpus = maxcpus ? maxcpus : known;
	if (!s->cores)
		s->cores = MAX(s->cpus / known, 1U);
	else if (!s->sockets)
		s->sockets = MAX(s->cpus / known, 1U);
	else if (!s->threads)
		s->threads = MAX(s->cpus / known, 1U);
	s->sockets = MAX(s->sockets, 1U);
	s->threads = MAX(s->threads, 1U);
	if (s->cpus > CONFIG_MAX_CPUS)
		return err_set(e, -ERANGE, "%u CPUs are more than %d", s->cpus,
			       CONFIG_MAX_CPUS);
	if (s->sockets * s->cores * s->threads != s->cpus)
		return err_set(e, -EINVAL,
			       "%u sockets x %u cores x %u threads are not %u "
			       "CPUs",
			       s->sockets, s->cores, s->threads, s->cpus);
	if (maxcpus && maxcpus != s->cpus)
		return err_set(e, -EINVAL,
			       "maxcpus=%u: CPU hotplug is not offered, "
			       "maxcpus must equal cpus",
			       maxcpus);
	return 0;
}

int config_smp(struct config *c, const char *arg, struct err *e)
{
	struct config_smp s = {0};
	unsigned maxcpus = 0, *field;
	struct keyval kv;
	uint64_t n;
	int ret;

	while ((ret = keyval_next(&arg, &kv, e)) > 0) {
		field = kv.bare ? &s.cpus : smp_field(&s, kv.key);
		if (!strcmp(kv.key, "maxcpus"))
			field = &maxcpus;
		if (!field)
			return err_set(e, -EINVAL,
				       "'%s' is not offered (cpus, sockets, "
				       "cores, threads, maxcpus)",
				       kv.key);
		ret = keyval_number(kv.value, 1, 1024, &n, e);
		if (ret)
			return ret;
		if (*field)
			return err_set(e, -EINVAL, "a count is given twice");
		*field = (unsigned)n;
	}
	if (!ret)
		ret = smp_complete(&s, maxcpus, e);
	if (!ret)
		c->smp = s;
	return ret;
}

int config_accel(struct config *c, const char *arg, struct err *e)
{
	static const char *const names[] = {
		[ACCEL_AUTO] = "auto",
		[ACCEL_LODGE] = "lodge",
		[ACCEL_KVM] = "kvm",
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(arg, names[i]))
			continue;
		c->accel = (enum config_accel)i;
		return 0;
	}
	return err_set(e, -EINVAL, "'%s' is not one of lodge, kvm, auto", arg);
}

int config_cpu(struct config *c, const char *arg, struct err *e)
{
	/* Both are what the serving KVM supports, so there is one model. */
	if (!strcmp(arg, "host") || !strcmp(arg, "max"))
		return 0;
	return err_set(e, -EINVAL, "'%s' is not one of host, max", arg);
}

static int machine_type(struct config *c, const char *type, struct err *e)
{
	if (strcmp(type, "pc") && strcmp(type, "microvm"))
		return err_set(e, -EINVAL, "'%s' is not one of pc, microvm",
			       type);
	c->pci = !strcmp(type, "pc");
	return 0;
}

int config_machine(struct config *c, const char *arg, struct err *e)
{
	struct keyval kv;
	bool first = true;
	int ret;

	while ((ret = keyval_next(&arg, &kv, e)) > 0) {
		if (kv.bare ? first : !strcmp(kv.key, "type"))
			ret = machine_type(c, kv.value, e);
		else if (!strcmp(kv.key, "pci"))
			ret = keyval_bool(kv.value, &c->pci, e);
		else if (!strcmp(kv.key, "accel"))
			ret = config_accel(c, kv.value, e);
		else
			return err_set(e, -EINVAL,
				       "'%s' is not offered (type=pc|microvm, "
				       "pci=on|off, accel=)",
				       kv.bare ? kv.value : kv.key);
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

static const struct {
	const char *name;
	size_t present; /* offset of a bool in struct config */
	int (*property)(struct config *, const struct keyval *, struct err *);
} devices[] = {
	{"isa-debug-exit", offsetof(struct config, debug_exit),
	 debug_exit_property},
	{"pvpanic", offsetof(struct config, pvpanic), pvpanic_property},
};

int config_device(struct config *c, const char *arg, struct err *e)
{
	struct keyval kv;
	bool *present;
	size_t i;
	int ret = keyval_next(&arg, &kv, e);

	if (ret < 0)
		return ret;
	if (!ret || (!kv.bare && strcmp(kv.key, "driver")))
		return err_set(e, -EINVAL, "no device name given");
	for (i = 0; i < ARRAY_SIZE(devices); i++)
		if (!strcmp(devices[i].name, kv.value))
			break;
	if (i == ARRAY_SIZE(devices))
		return err_set(e, -EINVAL,
			       "'%s' is not one of isa-debug-exit, pvpanic",
			       kv.value);
	present = (bool *)((char *)c + devices[i].present);
	if (*present)
		return err_set(e, -EINVAL, "a second %s", kv.value);
	while ((ret = keyval_next(&arg, &kv, e)) > 0) {
		ret = devices[i].property(c, &kv, e);
		if (ret)
			return ret;
	}
	*present = !ret;
	return ret;
}

static int chardev_parse(struct config_chardev *d, const char *arg,
			 struct err *e)
{
	*d = (struct config_chardev){.kind = CHAR_FILE};
	if (!strcmp(arg, "mon:stdio"))
		d->kind = CHAR_MON_STDIO;
	else if (!strcmp(arg, "stdio"))
		d->kind = CHAR_STDIO;
	else if (!strcmp(arg, "null"))
		d->kind = CHAR_NULL;
	else if (!strcmp(arg, "none"))
		d->kind = CHAR_NONE;
	else if (!strncmp(arg, "file:", 5) && arg[5])
		d->path = arg + 5;
	else
		return err_set(e, -EINVAL,
			       "'%s' is not one of stdio, mon:stdio, null, "
			       "none, file:PATH",
			       arg);
	return 0;
}

int config_serial(struct config *c, const char *arg, struct err *e)
{
	return chardev_parse(&c->serial, arg, e);
}

int config_debugcon(struct config *c, const char *arg, struct err *e)
{
	return chardev_parse(&c->debugcon, arg, e);
}

static bool uses_terminal(const struct config_chardev *d)
{
	return d->kind == CHAR_STDIO || d->kind == CHAR_MON_STDIO;
}

int config_check(const struct config *c, struct err *e)
{
	if (!c->kernel)
		return err_set(e, -EINVAL, "-kernel is required");
	if (c->initrd && !c->initrd[0])
		return err_set(e, -EINVAL, "-initrd has an empty file name");
	if (uses_terminal(&c->serial) && uses_terminal(&c->debugcon))
		return err_set(e, -EINVAL,
			       "-serial and -debugcon cannot both use this "
			       "terminal");
	return 0;
}
