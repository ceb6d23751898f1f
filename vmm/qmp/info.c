/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `info` of the monitor for people: QMP's answers as text.
 */
#include <string.h>

#include "vmm/qmp/hmp.h"

static void info_status(struct json_object *v, FILE *out)
{
	const char *status = json_get_str(v, "status");
	bool running = json_get_bool(v, "running", false);

	fprintf(out, "VM status: %s%s%s%s\n", running ? "running" : "paused",
		!running && strcmp(status, "paused") ? " (" : "",
		!running && strcmp(status, "paused") ? status : "",
		!running && strcmp(status, "paused") ? ")" : "");
}

static void info_version(struct json_object *v, FILE *out)
{
	struct json_object *qemu = json_object_object_get(v, "qemu");

	fprintf(out, "%d.%d.%d (%s)\n", (int)json_get_int(qemu, "major", 0),
		(int)json_get_int(qemu, "minor", 0),
		(int)json_get_int(qemu, "micro", 0),
		json_get_str(v, "package"));
}

static void info_name(struct json_object *v, FILE *out)
{
	if (json_get_str(v, "name"))
		fprintf(out, "%s\n", json_get_str(v, "name"));
}

static void info_uuid(struct json_object *v, FILE *out)
{
	fprintf(out, "%s\n", json_get_str(v, "UUID"));
}

static void info_kvm(struct json_object *v, FILE *out)
{
	fprintf(out, "kvm support: %s\n",
		json_get_bool(v, "enabled", false) ? "enabled" : "disabled");
}

static void info_memory(struct json_object *v, FILE *out)
{
	fprintf(out, "base memory: %lld\nplugged memory: %lld\n",
		(long long)json_get_int(v, "base-memory", 0),
		(long long)json_get_int(v, "plugged-memory", 0));
}

static struct json_object *element(struct json_object *v, size_t i)
{
	return json_object_array_get_idx(v, i);
}

static void info_cpus(struct json_object *v, FILE *out)
{
	size_t i;

	for (i = 0; i < json_object_array_length(v); i++)
		fprintf(out, "%c CPU #%d: thread_id=%lld\n", i ? ' ' : '*',
			(int)json_get_int(element(v, i), "cpu-index", 0),
			(long long)json_get_int(element(v, i), "thread-id", 0));
}

static void info_chardev(struct json_object *v, FILE *out)
{
	size_t i;

	for (i = 0; i < json_object_array_length(v); i++)
		fprintf(out, "%s: filename=%s\n",
			json_get_str(element(v, i), "label"),
			json_get_str(element(v, i), "filename"));
}

static const struct {
	const char *name;
	const char *qmp;
	void (*print)(struct json_object *v, FILE *out);
	const char *help;
} infos[] = {
	{"status", "query-status", info_status, "whether the guest runs"},
	{"version", "query-version", info_version, "which version this is"},
	{"name", "query-name", info_name, "the guest's name"},
	{"uuid", "query-uuid", info_uuid, "the guest's UUID"},
	{"kvm", "query-kvm", info_kvm, "whether there is a KVM"},
	{"cpus", "query-cpus-fast", info_cpus, "processors"},
	{"memory_size_summary", "query-memory-size-summary", info_memory,
	 "memory"},
	{"chardev", "query-chardev", info_chardev, "character ports"},
};

void hmp_info(struct qmp *q, const char *name, FILE *out)
{
	struct json_object *args = json_object_new_object(), *v = NULL;
	struct err e = {0};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(infos); i++) {
		if (!*name)
			fprintf(out, "info %s -- %s\n", infos[i].name,
				infos[i].help);
		else if (!strcmp(infos[i].name, name))
			break;
	}
	if (i == ARRAY_SIZE(infos)) {
		if (*name)
			fprintf(out, "unknown command: 'info %s'\n", name);
	} else if (qmp_run(q, qmp_command_find(infos[i].qmp), args, &v, &e)) {
		fprintf(out, "Error: %s\n", e.msg);
	} else {
		infos[i].print(v, out);
	}
	json_object_put(v);
	json_object_put(args);
}
