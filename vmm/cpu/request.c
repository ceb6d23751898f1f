/* SPDX-License-Identifier: Apache-2.0 */
/*
 * -smp and smp-cache depend on the machine, so they are kept and understood
 * at the end.
 */
#include "vmm/cpu/request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/keyval.h"

void request_init(struct request *r, const char *name, const char *machine)
{
	struct err e = {0};

	memset(r, 0, sizeof(*r));
	snprintf(r->cpu.name, sizeof(r->cpu.name), "%s", name);
	if (machtype_find(machine, &r->cpu.machine, &e))
		r->cpu.machine = (struct machtype){0};
}

static int copy(char *to, size_t size, const char *from, size_t len,
		struct err *e)
{
	if (len >= size)
		return err_set(e, -EINVAL, "a value is longer than %zu letters",
			       size - 1);
	memcpy(to, from, len);
	to[len] = '\0';
	return 0;
}

int request_cpu(struct request *r, const char *arg, struct err *e)
{
	size_t len = strcspn(arg, ",");
	const char *props = arg + len + (arg[len] == ',');
	int ret;

	if (!len)
		return err_set(e, -EINVAL, "no CPU model given");
	ret = copy(r->cpu.name, sizeof(r->cpu.name), arg, len, e);
	return ret ? ret
		   : copy(r->cpu.props, sizeof(r->cpu.props), props,
			  strlen(props), e);
}

int request_type(struct request *r, const char *name, struct err *e)
{
	return machtype_find(name, &r->cpu.machine, e);
}

static int set_cache(struct request *r, unsigned n, const char *value,
		     struct err *e)
{
	enum cache_index i = cache_find(value);

	if (i == CACHE_COUNT)
		return err_set(e, -EINVAL,
			       "smp-cache: '%s' is not one of l1d, l1i, l2, l3",
			       value);
	r->smp_cache[n].said = true;
	r->smp_cache[n].cache = i;
	return 0;
}

static int set_level(struct request *r, unsigned n, const char *value,
		     struct err *e)
{
	enum topo_level level = topo_level_find(value);

	if (level == TOPO_LEVELS)
		return err_set(e, -EINVAL,
			       "smp-cache: '%s' is not one of default, thread, "
			       "core, module, die, socket",
			       value);
	r->smp_cache[n].level = level;
	return 0;
}

int request_property(struct request *r, const char *key, const char *value,
		     struct err *e)
{
	static const char prefix[] = "smp-cache.";
	unsigned long n;
	char *end;
	int ret;

	if (strncmp(key, prefix, sizeof(prefix) - 1))
		return 0;
	key += sizeof(prefix) - 1;
	n = strtoul(key, &end, 10);
	if (end == key || n >= REQUEST_SMP_CACHES)
		return err_set(e, -EINVAL, "smp-cache.%s: no such number", key);
	if (!strcmp(end, ".cache"))
		ret = set_cache(r, (unsigned)n, value, e);
	else if (!strcmp(end, ".topology"))
		ret = set_level(r, (unsigned)n, value, e);
	else
		ret = err_set(e, -EINVAL,
			      "smp-cache.%s is not smp-cache.N.cache or "
			      "smp-cache.N.topology",
			      key);
	return ret ? ret : 1;
}

int request_machine(struct request *r, const char *arg, struct err *e)
{
	struct keyval kv;
	bool first = true;
	int ret;

	while ((ret = keyval_next(&arg, &kv, e)) > 0) {
		if (kv.bare ? first : !strcmp(kv.key, "type")) {
			ret = request_type(r, kv.value, e);
		} else {
			ret = request_property(r, kv.key, kv.value, e);
			if (!ret)
				ret = err_set(e, -EINVAL,
					      "'%s' says nothing about CPUs "
					      "(type=, smp-cache.N.cache=, "
					      "smp-cache.N.topology=)",
					      kv.bare ? kv.value : kv.key);
		}
		if (ret < 0)
			return ret;
		first = false;
	}
	return ret;
}

int request_smp(struct request *r, const char *arg, struct err *e)
{
	return copy(r->smp, sizeof(r->smp), arg, strlen(arg), e);
}

static int finish_cache(struct request *r, unsigned n, struct err *e)
{
	enum topo_level level = r->smp_cache[n].level;
	enum cache_index i = r->smp_cache[n].cache;

	if (!r->smp_cache[n].said) {
		if (level != TOPO_DEFAULT)
			return err_set(e, -EINVAL,
				       "smp-cache.%u.cache is not given", n);
		return 0;
	}
	if (!r->cpu.machine.smp_cache)
		return err_set(e, -EINVAL,
			       "smp-cache is not offered by machine %s",
			       r->cpu.machine.name);
	if (level == TOPO_THREAD)
		return err_set(e, -EINVAL,
			       "smp-cache: %s has no caches of a thread",
			       r->cpu.machine.name);
	r->cpu.smp_cache[i] = level;
	return 0;
}

int request_finish(struct request *r, struct err *e)
{
	unsigned i;
	int ret;

	for (i = 0; i < CACHE_COUNT; i++)
		r->cpu.smp_cache[i] = TOPO_DEFAULT;
	for (i = 0; i < REQUEST_SMP_CACHES; i++) {
		ret = finish_cache(r, i, e);
		if (ret)
			return ret;
	}
	ret = topo_parse(&r->cpu.topo, r->smp, &r->cpu.machine.smp, e);
	return ret ? err_wrap(e, "-smp") : 0;
}
