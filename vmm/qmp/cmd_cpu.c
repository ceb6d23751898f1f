/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands about processors: those of this machine, and the models there
 * are.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/cpu/model.h"
#include "vmm/machine.h"
#include "vmm/qmp/command.h"

static void put_place(struct json_object *o, const struct topo *t,
		      const struct topo_place *p)
{
	struct json_object *props = json_put_object(o, "props");

	json_put_int(props, "socket-id", p->socket);
	if (t->dies > 1)
		json_put_int(props, "die-id", p->die);
	if (t->modules > 1)
		json_put_int(props, "module-id", p->module);
	json_put_int(props, "core-id", p->core);
	json_put_int(props, "thread-id", p->thread);
}

static void put_qom_path(struct json_object *o, unsigned i)
{
	char path[48];

	snprintf(path, sizeof(path), "/machine/unattached/cpu[%u]", i);
	json_put_str(o, "qom-path", path);
}

static int cpu_fast(struct qmp *q, struct json_object *args,
		    struct json_object **ret, struct err *e)
{
	const struct topo *t = &q->host->cpu->topo;
	struct topo_place p;
	struct json_object *o;
	unsigned i;

	*ret = json_object_new_array();
	for (i = 0; i < t->cpus; i++) {
		p = topo_place(t, i);
		o = json_add_object(*ret);
		json_put_int(o, "cpu-index", i);
		put_qom_path(o, i);
		json_put_int(
			o, "thread-id",
			(uint64_t)vcpu_tid(&q->control->machine->vcpus[i]));
		put_place(o, t, &p);
		json_put_str(o, "target", "x86_64");
	}
	return 0;
}

static void type_name(struct json_object *o, const char *key, const char *name)
{
	char type[80];

	snprintf(type, sizeof(type), "%.60s-x86_64-cpu", name);
	json_put_str(o, key, type);
}

/* All are there from the start, and stay. */
static int cpu_hotpluggable(struct qmp *q, struct json_object *args,
			    struct json_object **ret, struct err *e)
{
	const struct topo *t = &q->host->cpu->topo;
	struct topo_place p;
	struct json_object *o;
	unsigned i;

	*ret = json_object_new_array();
	for (i = 0; i < t->cpus; i++) {
		p = topo_place(t, i);
		o = json_add_object(*ret);
		type_name(o, "type", q->config->cpu.cpu.name);
		json_put_int(o, "vcpus-count", 1);
		put_place(o, t, &p);
		put_qom_path(o, i);
	}
	return 0;
}

/* The features in @words by name, as members or as elements. */
static void put_features(struct json_object *to, const uint32_t *words,
			 bool all)
{
	bool array = json_object_is_type(to, json_type_array);
	const char *name;
	unsigned f;

	for (f = 0; f < CPUID_MODEL_WORDS * 32; f++) {
		name = feature_name(f);
		if (!name || (!all && !feature_test(words, f)))
			continue;
		if (array)
			json_object_array_add(to, json_object_new_string(name));
		else
			json_put_bool(to, name, feature_test(words, f));
	}
}

/* Resolve a model as -cpu would. */
static int resolve(struct qmp *q, struct cpu_def *def, const char *name,
		   const char *props, struct err *e)
{
	struct cpu_request r = q->config->cpu.cpu;

	if (strlen(name) >= sizeof(r.name) || strlen(props) >= sizeof(r.props))
		return err_set(e, -EINVAL, "'%.64s' is too long", name);
	strcpy(r.name, name);
	strcpy(r.props, props);
	return cpu_def_resolve(def, &r, q->accel, e);
}

static void put_model(struct qmp *q, struct json_object *list, const char *name,
		      const char *alias_of)
{
	struct json_object *o = json_add_object(list), *missing;
	struct cpu_def def;

	json_put_str(o, "name", name);
	type_name(o, "typename", name);
	json_put_bool(o, "static", !strcmp(name, "base"));
	json_put_bool(o, "migration-safe",
		      strcmp(name, "host") && strcmp(name, "max"));
	json_put_bool(o, "deprecated", false);
	if (alias_of)
		json_put_str(o, "alias-of", alias_of);
	missing = json_put_array(o, "unavailable-features");
	if (!resolve(q, &def, name, "", NULL))
		put_features(missing, def.missing, false);
}

static void put_versions(struct qmp *q, struct json_object *list,
			 const struct cpu_model *m)
{
	bool latest = q->config->cpu.cpu.machine.latest;
	unsigned v, versions = model_versions(m);
	char name[64];

	snprintf(name, sizeof(name), "%s-v%u", m->name, latest ? versions : 1);
	put_model(q, list, m->name, name);
	for (v = 1; v <= versions; v++) {
		snprintf(name, sizeof(name), "%s-v%u", m->name, v);
		put_model(q, list, name, NULL);
		if (m->version[v - 1].alias)
			put_model(q, list, m->version[v - 1].alias, name);
	}
}

static int cpu_definitions(struct qmp *q, struct json_object *args,
			   struct json_object **ret, struct err *e)
{
	const struct cpu_model *m;
	unsigned n;

	*ret = json_object_new_array();
	put_model(q, *ret, "max", NULL);
	put_model(q, *ret, "host", NULL);
	put_model(q, *ret, "base", NULL);
	for (n = 0; (m = model_get(n)); n++)
		put_versions(q, *ret, m);
	return 0;
}

/* {"avx": false, "model-id": "x"} as -cpu would have it. */
static int join_props(struct json_object *props, char *buf, size_t size,
		      struct err *e)
{
	size_t used = 0;
	const char *text;
	int n;

	buf[0] = '\0';
	if (!props)
		return 0;
	json_object_object_foreach(props, key, v)
	{
		text = json_object_is_type(v, json_type_boolean)
			       ? json_object_get_boolean(v) ? "on" : "off"
			       : json_object_get_string(v);
		if (strchr(key, ',') || (text && strchr(text, ',')))
			return err_set(e, -EINVAL,
				       "property '%.64s' has a comma", key);
		n = snprintf(buf + used, size - used, "%s%s=%s",
			     used ? "," : "", key, text ? text : "");
		if (n < 0 || (size_t)n >= size - used)
			return err_set(e, -E2BIG, "too many properties");
		used += (size_t)n;
	}
	return 0;
}

static int cpu_expansion(struct qmp *q, struct json_object *args,
			 struct json_object **ret, struct err *e)
{
	struct json_object *in = json_object_object_get(args, "model");
	bool is_static = !strcmp(json_get_str(args, "type"), "static");
	struct json_object *model, *props;
	char text[sizeof(((struct cpu_request *)0)->props)];
	struct cpu_def def;
	int code;

	code = join_props(json_object_object_get(in, "props"), text,
			  sizeof(text), e);
	if (!code)
		code = resolve(q, &def, json_get_str(in, "name"), text, e);
	if (code)
		return code;
	*ret = json_object_new_object();
	model = json_put_object(*ret, "model");
	json_put_str(model, "name",
		     is_static ? "base" : json_get_str(in, "name"));
	props = json_put_object(model, "props");
	put_features(props, def.words, !is_static);
	json_put_int(props, "family", def.family);
	json_put_int(props, "model", def.model_number);
	json_put_int(props, "stepping", def.stepping);
	json_put_str(props, "vendor", def.vendor);
	json_put_str(props, "model-id", def.model_id);
	return 0;
}

const struct qmp_command qmp_cpu_commands[] = {
	{"query-cpus-fast", "", false, "[CpuInfoFast]", "this machine's CPUs",
	 cpu_fast},
	{"query-hotpluggable-cpus", "", false, "[HotpluggableCPU]",
	 "the same, as places", cpu_hotpluggable},
	{"query-cpu-definitions", "", false, "[CpuDefinitionInfo]",
	 "CPU models", cpu_definitions},
	{"query-cpu-model-expansion",
	 "type:CpuModelExpansionType model:CpuModelInfo", false,
	 "CpuModelExpansionInfo", "a model's features", cpu_expansion},
	{0},
};
