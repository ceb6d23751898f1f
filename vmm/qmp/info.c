/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `info` of the monitor for people: QMP's answers as text.
 */
#include <string.h>

#include "vmm/qmp/hmp.h"
#include "vmm/qmp/lent/hostfwd.h"

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

static void print_pci(struct json_object *d, FILE *out)
{
	struct json_object *class = json_object_object_get(d, "class_info");
	struct json_object *id = json_object_object_get(d, "id");
	struct json_object *regions = json_object_object_get(d, "regions");
	const char *desc = json_get_str(class, "desc");
	struct json_object *r;
	char number[16];
	size_t i;

	fprintf(out, "  Bus %2d, device %3d, function %d:\n",
		(int)json_get_int(d, "bus", 0), (int)json_get_int(d, "slot", 0),
		(int)json_get_int(d, "function", 0));
	snprintf(number, sizeof(number), "Class %04x",
		 (unsigned)json_get_int(class, "class", 0));
	fprintf(out, "    %s: PCI device %04x:%04x\n", desc ? desc : number,
		(unsigned)json_get_int(id, "vendor", 0),
		(unsigned)json_get_int(id, "device", 0));
	for (i = 0; i < json_object_array_length(regions); i++) {
		r = element(regions, i);
		fprintf(out, "      BAR%d: %s at 0x%08llx, %lld bytes.\n",
			(int)json_get_int(r, "bar", 0), json_get_str(r, "type"),
			(unsigned long long)json_get_int(r, "address", 0),
			(long long)json_get_int(r, "size", 0));
	}
	fprintf(out, "      id \"%s\"\n", json_get_str(d, "qdev_id"));
}

static void info_pci(struct json_object *v, FILE *out)
{
	struct json_object *devices;
	size_t i;

	if (!json_object_array_length(v)) {
		fputs("no PCI\n", out);
		return;
	}
	devices = json_object_object_get(element(v, 0), "devices");
	for (i = 0; i < json_object_array_length(devices); i++)
		print_pci(element(devices, i), out);
}

static void info_block(struct json_object *v, FILE *out)
{
	struct json_object *in, *image;
	size_t i, n = json_object_array_length(v);

	for (i = 0; i < n; i++) {
		in = json_object_object_get(element(v, i), "inserted");
		image = json_object_object_get(in, "image");
		fprintf(out, "%s: %s (%s%s), %lld bytes\n",
			json_get_str(element(v, i), "device"),
			json_get_str(in, "file"), json_get_str(in, "drv"),
			json_get_bool(in, "ro", false) ? ", read-only" : "",
			(long long)json_get_int(image, "virtual-size", 0));
		if (json_get_str(in, "backing_file"))
			fprintf(out,
				"    Backing file:     %s (chain depth: %d)\n",
				json_get_str(in, "backing_file"),
				(int)json_get_int(in, "backing_file_depth", 0));
	}
	if (!n)
		fputs("no disks\n", out);
}

static void info_blockstats(struct json_object *v, FILE *out)
{
	static const char *const names[] = {
		"rd_bytes",         "wr_bytes",         "rd_operations",
		"wr_operations",    "flush_operations", "unmap_operations",
		"failed_operations"};
	struct json_object *stats;
	const char *name;
	size_t i, k;

	for (i = 0; i < json_object_array_length(v); i++) {
		stats = json_object_object_get(element(v, i), "stats");
		name = json_get_str(element(v, i), "device");
		fprintf(out, "%s:",
			*name ? name
			      : json_get_str(element(v, i), "node-name"));
		for (k = 0; k < ARRAY_SIZE(names); k++)
			fprintf(out, " %s=%lld", names[k],
				(long long)json_get_int(stats, names[k], 0));
		fputc('\n', out);
	}
	if (!i)
		fputs("no disks\n", out);
}

static void info_balloon(struct json_object *v, FILE *out)
{
	fprintf(out, "balloon: actual=%lld\n",
		(long long)json_get_int(v, "actual", 0) >> 20);
}

static void info_virtio(struct json_object *v, FILE *out)
{
	size_t i;

	for (i = 0; i < json_object_array_length(v); i++)
		fprintf(out, "%s [%s]\n", json_get_str(element(v, i), "path"),
			json_get_str(element(v, i), "name"));
	if (!i)
		fputs("no virtio devices\n", out);
}

/* Each either prints a query's answer or looks for itself. */
static const struct info {
	const char *name;
	const char *qmp;
	void (*print)(struct json_object *v, FILE *out);
	void (*look)(struct qmp *q, FILE *out);
	const char *help;
} infos[] = {
	{"status", "query-status", info_status, NULL, "whether it runs"},
	{"version", "query-version", info_version, NULL, "which version"},
	{"name", "query-name", info_name, NULL, "the guest's name"},
	{"uuid", "query-uuid", info_uuid, NULL, "the guest's UUID"},
	{"kvm", "query-kvm", info_kvm, NULL, "whether there is a KVM"},
	{"cpus", "query-cpus-fast", info_cpus, NULL, "processors"},
	{"registers", NULL, NULL, inspect_registers, "their registers"},
	{"memory_size_summary", "query-memory-size-summary", info_memory, NULL,
	 "memory"},
	{"mtree", NULL, NULL, inspect_memory, "memory and ports"},
	{"pci", "query-pci", info_pci, NULL, "what is on PCI"},
	{"virtio", "x-query-virtio", info_virtio, NULL, "virtio devices"},
	{"block", "query-block", info_block, NULL, "disks"},
	{"blockstats", "query-blockstats", info_blockstats, NULL,
	 "what disks did"},
	{"balloon", "query-balloon", info_balloon, NULL,
	 "the memory the guest does with, in MiB"},
	{"network", NULL, NULL, inspect_network, "networks"},
	{"usernet", NULL, NULL, lent_usernet, "connections of -netdev user"},
	{"chardev", "query-chardev", info_chardev, NULL, "character ports"},
};

static void show(struct qmp *q, const struct info *info, FILE *out)
{
	struct json_object *args = json_object_new_object(), *v = NULL;
	struct err e = {0};

	if (info->look)
		info->look(q, out);
	else if (qmp_run(q, qmp_command_find(info->qmp), args, &v, &e))
		fprintf(out, "Error: %s\n", e.msg);
	else
		info->print(v, out);
	json_object_put(v);
	json_object_put(args);
}

void hmp_info(struct qmp *q, const char *name, FILE *out)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(infos); i++) {
		if (!*name)
			fprintf(out, "info %s -- %s\n", infos[i].name,
				infos[i].help);
		else if (!strcmp(infos[i].name, name))
			break;
	}
	if (i < ARRAY_SIZE(infos))
		show(q, &infos[i], out);
	else if (*name)
		fprintf(out, "unknown command: 'info %s'\n", name);
}
