/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking up named CPUs. Versions are counted from 1; version n stands in
 * slot n - 1.
 */
#include "vmm/cpu/model.h"

#include <stdlib.h>
#include <string.h>

static const struct cpu_model *const tables[] = {
	models_intel,
	models_xeon,
	models_amd,
	models_virt,
};

const struct cpu_model *model_get(unsigned n)
{
	const struct cpu_model *m;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(tables); i++)
		for (m = tables[i]; m->name; m++)
			if (!n--)
				return m;
	return NULL;
}

unsigned model_versions(const struct cpu_model *m)
{
	unsigned n = 0;

	while (n < MODEL_VERSIONS && m->version[n].delta)
		n++;
	return n;
}

/* NAME-vN of this model: N, else 0. */
static unsigned match_version(const struct cpu_model *m, const char *name)
{
	size_t len = strlen(m->name);
	char *end;
	unsigned long n;

	if (strncmp(name, m->name, len) || strncmp(name + len, "-v", 2) ||
	    name[len + 2] < '1' || name[len + 2] > '9')
		return 0;
	n = strtoul(name + len + 2, &end, 10);
	return *end || n > model_versions(m) ? 0 : (unsigned)n;
}

static unsigned match(const struct cpu_model *m, const char *name, bool latest)
{
	unsigned i, n = model_versions(m);

	if (!strcmp(m->name, name))
		return latest ? n : 1;
	for (i = 0; i < n; i++)
		if (m->version[i].alias && !strcmp(m->version[i].alias, name))
			return i + 1;
	return match_version(m, name);
}

const struct cpu_model *model_find(const char *name, bool latest,
				   unsigned *version)
{
	const struct cpu_model *m;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(tables); i++)
		for (m = tables[i]; m->name; m++) {
			*version = match(m, name, latest);
			if (*version)
				return m;
		}
	return NULL;
}

const struct cache_model *model_cache(const struct cpu_model *m,
				      unsigned version)
{
	const struct cache_model *cache = m->cache;
	unsigned i;

	for (i = 0; i < version; i++)
		if (m->version[i].cache)
			cache = m->version[i].cache;
	return cache;
}

const char *model_id(const struct cpu_model *m, unsigned version)
{
	const char *id = m->model_id ? m->model_id : "";
	unsigned i;

	for (i = 0; i < version; i++)
		if (m->version[i].model_id)
			id = m->version[i].model_id;
	return id;
}
