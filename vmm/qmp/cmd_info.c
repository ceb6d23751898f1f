/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands that only look.
 */
#include <errno.h>
#include <string.h>

#include "vmm/cpu/machtype.h"
#include "vmm/machine.h"
#include "vmm/qmp/command.h"

#define INFO(name)                                               \
	static int name(struct qmp *q, struct json_object *args, \
			struct json_object **ret, struct err *e)

INFO(info_status)
{
	*ret = json_object_new_object();
	json_put_bool(*ret, "running", q->control->state == RUN_RUNNING);
	json_put_str(*ret, "status", control_state_name(q->control->state));
	return 0;
}

INFO(info_version)
{
	*ret = qmp_version();
	return 0;
}

INFO(info_commands)
{
	const struct qmp_command *c;
	unsigned i;

	*ret = json_object_new_array();
	for (i = 0; (c = qmp_command_at(i)); i++)
		json_put_str(json_add_object(*ret), "name", c->name);
	return 0;
}

INFO(info_schema)
{
	*ret = qmp_schema();
	return 0;
}

INFO(info_name)
{
	*ret = json_object_new_object();
	if (q->config->name[0])
		json_put_str(*ret, "name", q->config->name);
	return 0;
}

INFO(info_uuid)
{
	*ret = json_object_new_object();
	json_put_str(*ret, "UUID", q->config->uuid);
	return 0;
}

/* Guests find a KVM whoever answers for it. */
INFO(info_kvm)
{
	*ret = json_object_new_object();
	json_put_bool(*ret, "enabled", true);
	json_put_bool(*ret, "present", true);
	return 0;
}

INFO(info_memory)
{
	*ret = json_object_new_object();
	json_put_int(*ret, "base-memory", q->config->ram_size);
	json_put_int(*ret, "plugged-memory", 0);
	return 0;
}

static void put_parameter(struct json_object *list, const char *name,
			  const char *type)
{
	struct json_object *o = json_add_object(list);

	json_put_str(o, "name", name);
	json_put_str(o, "type", type);
}

/* "-m" and "-smp" by the names of what they set. */
static const char *option_group(const char *name)
{
	if (!strcmp(name, "m"))
		return "memory";
	return strcmp(name, "smp") ? name : "smp-opts";
}

/* Parameters of those that do not depend on a kind or a device. */
static void put_option(struct json_object *list, const char *name)
{
	struct json_object *o = json_add_object(list), *parameters;
	const char *key;
	bool is_bool;
	unsigned i;

	json_put_str(o, "option", option_group(name));
	parameters = json_put_array(o, "parameters");
	if (strcmp(name, "chardev"))
		return;
	put_parameter(parameters, "backend", "string");
	for (i = 0; (key = charconf_key(i, &is_bool)); i++)
		put_parameter(parameters, key, is_bool ? "boolean" : "string");
}

INFO(info_options)
{
	const char *want = json_get_str(args, "option");
	const char *const *name = q->config->options;

	*ret = json_object_new_array();
	for (; name && *name; name++)
		if (!want || !strcmp(option_group(*name), want))
			put_option(*ret, *name);
	if (!want || json_object_array_length(*ret))
		return 0;
	json_object_put(*ret);
	*ret = NULL;
	return err_set(e, -EINVAL, "invalid option name: %.64s", want);
}

INFO(info_target)
{
	*ret = json_object_new_object();
	json_put_str(*ret, "arch", "x86_64");
	return 0;
}

/* No state of sleep that keeps memory is in the ACPI tables. */
INFO(info_machine)
{
	*ret = json_object_new_object();
	json_put_bool(*ret, "wakeup-suspend-support", false);
	return 0;
}

INFO(info_display)
{
	*ret = json_object_new_object();
	json_put_str(*ret, "type", "none");
	return 0;
}

/* What there can be none of: TPMs, memory that is plugged in, jobs, ... */
INFO(info_nothing)
{
	*ret = json_object_new_array();
	return 0;
}

/* There are none: devices have threads of their own. */
INFO(info_iothreads)
{
	*ret = json_object_new_array();
	return 0;
}

INFO(info_machines)
{
	struct json_object *o;
	struct machtype m;
	const char *alias;
	unsigned n;

	*ret = json_object_new_array();
	for (n = 0; machtype_get(n, &m, &alias); n++) {
		o = json_add_object(*ret);
		json_put_str(o, "name", m.name);
		if (alias)
			json_put_str(o, "alias", alias);
		if (alias && !strcmp(alias, "pc"))
			json_put_bool(o, "is-default", true);
		json_put_int(o, "cpu-max",
			     MIN(m.smp.max_cpus, (unsigned)CONFIG_MAX_CPUS));
		json_put_bool(o, "hotpluggable-cpus", false);
		json_put_bool(o, "numa-mem-supported", false);
		json_put_bool(o, "deprecated", false);
		json_put_str(o, "default-cpu-type", "host-x86_64-cpu");
		json_put_bool(o, "acpi", true);
	}
	return 0;
}

const struct qmp_command qmp_info_commands[] = {
	{"query-status", "", false, "StatusInfo", "whether the guest runs",
	 info_status},
	{"query-version", "", false, "VersionInfo",
	 "which QMP this is, and who answers", info_version},
	{"query-commands", "", false, "[CommandInfo]", "all commands",
	 info_commands},
	{"query-qmp-schema", "", false, "[SchemaInfo]",
	 "commands, events and their types", info_schema},
	{"query-name", "", false, "NameInfo", "-name", info_name},
	{"query-uuid", "", false, "UuidInfo", "-uuid", info_uuid},
	{"query-kvm", "", false, "KvmInfo", "that there is a KVM", info_kvm},
	{"query-memory-size-summary", "", false, "MemoryInfo", "-m",
	 info_memory},
	{"query-iothreads", "", false, "[IOThreadInfo]", "none",
	 info_iothreads},
	{"query-command-line-options", "option?:str", false,
	 "[CommandLineOptionInfo]",
	 "options of lodge run, with parameters where they are always the same",
	 info_options},
	{"query-target", "", false, "TargetInfo", "the guest's architecture",
	 info_target},
	{"query-current-machine", "", false, "CurrentMachineParams",
	 "whether a sleeping guest can be woken: it cannot", info_machine},
	{"query-display-options", "", false, "DisplayOptions",
	 "that there is no display", info_display},
	{"query-memory-devices", "", false, "[MemoryDeviceInfo]",
	 "memory that was plugged in: none", info_nothing},
	{"query-tpm-models", "", false, "[str]", "none", info_nothing},
	{"query-tpm-types", "", false, "[str]", "none", info_nothing},
	{"query-migrate-capabilities", "", false, "[MigrationCapabilityStatus]",
	 "none: guests do not migrate", info_nothing},
	{"query-jobs", "", false, "[JobInfo]", "none", info_nothing},
	{"query-block-jobs", "", false, "[BlockJobInfo]", "none", info_nothing},
	{"query-machines", "", false, "[MachineInfo]", "machine types",
	 info_machines},
	{0},
};
