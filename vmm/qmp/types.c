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
	{"PciDeviceClass", QMP_OBJECT, "class:int desc?:str"},
	{"PciDeviceId", QMP_OBJECT,
	 "device:int vendor:int subsystem?:int subsystem-vendor?:int"},
	{"PciMemoryRegion", QMP_OBJECT,
	 "bar:int type:str address:int size:int prefetch?:bool "
	 "mem_type_64?:bool"},
	{"PciDeviceInfo", QMP_OBJECT,
	 "bus:int slot:int function:int class_info:PciDeviceClass "
	 "id:PciDeviceId irq?:int irq_pin:int qdev_id:str "
	 "regions:[PciMemoryRegion]"},
	{"PciInfo", QMP_OBJECT, "bus:int devices:[PciDeviceInfo]"},
	{"ImageInfo", QMP_OBJECT,
	 "filename:str format:str virtual-size:int actual-size?:int "
	 "backing-filename?:str backing-filename-format?:str "
	 "backing-image?:ImageInfo"},
	{"BlockdevCacheInfo", QMP_OBJECT,
	 "writeback:bool direct:bool no-flush:bool"},
	{"BlockDeviceInfo", QMP_OBJECT,
	 "file:str node-name?:str ro:bool drv:str backing_file?:str "
	 "backing_file_depth:int "
	 "encrypted:bool detect_zeroes:str bps:int bps_rd:int bps_wr:int "
	 "iops:int iops_rd:int iops_wr:int bps_max?:int bps_rd_max?:int "
	 "bps_wr_max?:int iops_max?:int iops_rd_max?:int iops_wr_max?:int "
	 "bps_max_length?:int bps_rd_max_length?:int bps_wr_max_length?:int "
	 "iops_max_length?:int iops_rd_max_length?:int "
	 "iops_wr_max_length?:int iops_size?:int image:ImageInfo "
	 "cache:BlockdevCacheInfo write_threshold:int"},
	{"BlockInfo", QMP_OBJECT,
	 "device:str qdev?:str type:str removable:bool inserted?:"
	 "BlockDeviceInfo locked:bool"},
	{"BlockDeviceStats", QMP_OBJECT,
	 "rd_bytes:int wr_bytes:int rd_operations:int "
	 "wr_operations:int flush_operations:int unmap_operations:int "
	 "failed_operations:int"},
	{"BlockStats", QMP_OBJECT,
	 "device?:str qdev?:str node-name?:str stats:BlockDeviceStats"},
	{"ObjectPropertyInfo", QMP_OBJECT,
	 "name:str type:str description?:str default-value?:any"},
	{"ObjectTypeInfo", QMP_OBJECT, "name:str abstract?:bool parent?:str"},
	{"BalloonInfo", QMP_OBJECT, "actual:int"},
	{"RxState", QMP_ENUM, "normal none all"},
	{"RxFilterInfo", QMP_OBJECT,
	 "name:str promiscuous:bool multicast:RxState unicast:RxState "
	 "vlan:RxState broadcast-allowed:bool multicast-overflow:bool "
	 "unicast-overflow:bool main-mac:str vlan-table:[int] "
	 "unicast-table:[str] multicast-table:[str]"},
	{"VirtioInfo", QMP_OBJECT, "path:str name:str"},
	{"VirtioDeviceStatus", QMP_OBJECT,
	 "statuses:[str] unknown-statuses?:int"},
	{"VirtioDeviceFeatures", QMP_OBJECT,
	 "transports:[str] dev-features?:[str] unknown-dev-features?:int "
	 "unknown-dev-features2?:int"},
	{"VirtioStatus", QMP_OBJECT,
	 "name:str device-id:int vhost-started:bool device-endian:str "
	 "guest-features:VirtioDeviceFeatures "
	 "host-features:VirtioDeviceFeatures "
	 "backend-features:VirtioDeviceFeatures num-vqs:int "
	 "status:VirtioDeviceStatus isr:int queue-sel:int vm-running:bool "
	 "broken:bool disabled:bool use-started:bool started:bool "
	 "start-on-kick:bool disable-legacy-check:bool bus-name:str "
	 "use-guest-notifier-mask:bool"},
	{"VirtQueueStatus", QMP_OBJECT,
	 "name:str queue-index:int inuse:int vring-num:int "
	 "vring-num-default:int vring-align:int vring-desc:int "
	 "vring-avail:int vring-used:int last-avail-idx?:int "
	 "shadow-avail-idx?:int used-idx:int signalled-used:int "
	 "signalled-used-valid:bool"},
	{"VirtVhostQueueStatus", QMP_OBJECT,
	 "name:str kick:int call:int desc:int avail:int used:int num:int "
	 "desc-phys:int desc-size:int avail-phys:int avail-size:int "
	 "used-phys:int used-size:int"},
	{"VirtioRingDesc", QMP_OBJECT, "addr:int len:int flags:[str]"},
	{"VirtioRingAvail", QMP_OBJECT, "flags:int idx:int ring:int"},
	{"VirtioRingUsed", QMP_OBJECT, "flags:int idx:int"},
	{"VirtioQueueElement", QMP_OBJECT,
	 "name:str index:int descs:[VirtioRingDesc] avail:VirtioRingAvail "
	 "used:VirtioRingUsed"},
	{"SocketAddressLegacyKind", QMP_ENUM, "inet unix fd"},
	{"SocketAddressLegacyData", QMP_OBJECT,
	 "host?:str port?:str path?:str str?:str"},
	{"SocketAddressLegacy", QMP_OBJECT,
	 "type:SocketAddressLegacyKind data:SocketAddressLegacyData"},
	{"ChardevBackendKind", QMP_ENUM, "file null pty socket stdio"},
	{"ChardevBackendData", QMP_OBJECT,
	 "out?:str append?:bool addr?:SocketAddressLegacy server?:bool "
	 "wait?:bool nodelay?:bool telnet?:bool"},
	{"ChardevBackend", QMP_OBJECT,
	 "type:ChardevBackendKind data?:ChardevBackendData"},
	{"ChardevReturn", QMP_OBJECT, "pty?:str"},
	{"ChardevBackendInfo", QMP_OBJECT, "name:str"},
	{"AddfdInfo", QMP_OBJECT, "fdset-id:int fd:int"},
	{"FdsetFdInfo", QMP_OBJECT, "fd:int opaque?:str"},
	{"FdsetInfo", QMP_OBJECT, "fdset-id:int fds:[FdsetFdInfo]"},
	{"CommandLineParameterType", QMP_ENUM, "string boolean number size"},
	{"CommandLineParameterInfo", QMP_OBJECT,
	 "name:str type:CommandLineParameterType help?:str default?:str"},
	{"CommandLineOptionInfo", QMP_OBJECT,
	 "option:str parameters:[CommandLineParameterInfo]"},
	{"MigrationCapabilityStatus", QMP_OBJECT, "capability:str state:bool"},
	{"SysEmuTarget", QMP_ENUM, "x86_64"},
	{"TargetInfo", QMP_OBJECT, "arch:SysEmuTarget"},
	{"CurrentMachineParams", QMP_OBJECT, "wakeup-suspend-support:bool"},
	{"DisplayType", QMP_ENUM, "none"},
	{"DisplayOptions", QMP_OBJECT, "type:DisplayType"},
	{"MemoryDeviceInfo", QMP_OBJECT, "type:str data:any"},
	{"JobInfo", QMP_OBJECT,
	 "id:str type:str status:str current-progress:int total-progress:int "
	 "error?:str"},
	{"BlockJobInfo", QMP_OBJECT,
	 "type:str device:str len:int offset:int busy:bool paused:bool "
	 "speed:int io-status:str ready:bool status:str"},
	{"IOThreadInfo", QMP_OBJECT, "id:str thread-id:int"},
	{"SocketAddressType", QMP_ENUM, "inet unix"},
	{"SocketAddress", QMP_OBJECT,
	 "type:SocketAddressType host?:str port?:str ipv4?:bool ipv6?:bool "
	 "path?:str abstract?:bool"},
	{0},
};

const struct qmp_event qmp_events[] = {
	{"BALLOON_CHANGE", "actual:int", true},
	{"BLOCK_IO_ERROR",
	 "device:str node-name?:str operation:str action:str nospace?:bool "
	 "reason:str"},
	{"DEVICE_DELETED", "device?:str path:str"},
	{"GUEST_PANICKED", "action:str"},
	{"NETDEV_STREAM_CONNECTED", "netdev-id:str addr:SocketAddress"},
	{"NETDEV_STREAM_DISCONNECTED", "netdev-id:str"},
	{"NETDEV_VHOST_USER_CONNECTED", "netdev-id:str chardev-id?:str"},
	{"NETDEV_VHOST_USER_DISCONNECTED", "netdev-id:str"},
	{"NIC_RX_FILTER_CHANGED", "name?:str path:str"},
	{"POWERDOWN", ""},
	{"RESET", "guest:bool reason:str"},
	{"RESUME", ""},
	{"RTC_CHANGE", "offset:int qom-path:str", true},
	{"SHUTDOWN", "guest:bool reason:str"},
	{"STOP", ""},
	{"VSERPORT_CHANGE", "id:str open:bool", true, "id"},
	{0},
};
