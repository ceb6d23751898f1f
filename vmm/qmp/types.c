/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of types and that of events. Document: QEMU's QMP reference
 * manual; members that are never there are left out.
 */
#include "vmm/qmp/type.h"

const struct qmp_type qmp_types[] = {
	{"QMPCapability", QMP_ENUM, "oob"},
	{"RunState", QMP_ENUM,
	 "running paused prelaunch shutdown guest-panicked io-error"},
	{"StatusInfo", QMP_OBJECT, "running:bool status:RunState"},
	{"VersionTriple", QMP_OBJECT, "major:int minor:int micro:int"},
	{"VersionInfo", QMP_OBJECT, "qemu:VersionTriple package:str"},
	{"CommandInfo", QMP_OBJECT, "name:str"},
	{"NameInfo", QMP_OBJECT, "name?:str"},
	{"UuidInfo", QMP_OBJECT, "UUID:str"},
	{"KvmInfo", QMP_OBJECT, "enabled:bool present:bool"},
	{"MemoryInfo", QMP_OBJECT, "base-memory:int plugged-memory?:int"},
	{"CpuInstanceProperties", QMP_OBJECT,
	 "socket-id?:int die-id?:int module-id?:int core-id?:int "
	 "thread-id?:int node-id?:int"},
	{"CpuInfoFast", QMP_OBJECT,
	 "cpu-index:int qom-path:str thread-id:int "
	 "props?:CpuInstanceProperties target:str"},
	{"HotpluggableCPU", QMP_OBJECT,
	 "type:str vcpus-count:int props:CpuInstanceProperties qom-path?:str"},
	{"CpuDefinitionInfo", QMP_OBJECT,
	 "name:str migration-safe?:bool static:bool "
	 "unavailable-features?:[str] "
	 "typename:str alias-of?:str deprecated:bool"},
	{"CpuModelExpansionType", QMP_ENUM, "full static"},
	{"CpuModelInfo", QMP_OBJECT, "name:str props?:any"},
	{"CpuModelExpansionInfo", QMP_OBJECT, "model:CpuModelInfo"},
	{"ChardevInfo", QMP_OBJECT,
	 "label:str filename:str frontend-open:bool"},
	{"MachineInfo", QMP_OBJECT,
	 "name:str alias?:str is-default?:bool cpu-max:int "
	 "hotpluggable-cpus:bool numa-mem-supported:bool deprecated:bool "
	 "default-cpu-type?:str acpi:bool"},
	{"SchemaInfo", QMP_OBJECT,
	 "name:str meta-type:str json-type?:str element-type?:str "
	 "members?:any values?:[str] arg-type?:str ret-type?:str "
	 "allow-oob?:bool"},
	{"IOThreadInfo", QMP_OBJECT, "id:str thread-id:int"},
	{0},
};

const struct qmp_event qmp_events[] = {
	{"GUEST_PANICKED", "action:str"},
	{"POWERDOWN", ""},
	{"RESET", "guest:bool reason:str"},
	{"RESUME", ""},
	{"SHUTDOWN", "guest:bool reason:str"},
	{"STOP", ""},
	{0},
};
