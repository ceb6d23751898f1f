/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine's life. It is built in the order a KVM wants: VM, interrupt
 * controllers, memory, CPUs; then the kernel is loaded and the CPUs start.
 */
#include "vmm/machine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "include/lodge.h"
#include "lib/check.h"
#include "vmm/acpi.h"
#include "vmm/boot.h"
#include "vmm/run/control.h"
#include "vmm/hv.h"
#include "vmm/layout.h"
#include "vmm/net/conf.h"
#include "vmm/stop.h"
#include "vmm/virtio.h"

static const struct {
	unsigned cap;
	const char *name;
} required[] = {
	{KVM_CAP_IRQCHIP, "KVM_CAP_IRQCHIP"},
	{KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY"},
	{KVM_CAP_SET_TSS_ADDR, "KVM_CAP_SET_TSS_ADDR"},
	{KVM_CAP_SET_IDENTITY_MAP_ADDR, "KVM_CAP_SET_IDENTITY_MAP_ADDR"},
	{KVM_CAP_EXT_CPUID, "KVM_CAP_EXT_CPUID"},
	{KVM_CAP_PIT2, "KVM_CAP_PIT2"},
	{KVM_CAP_SIGNAL_MSI, "KVM_CAP_SIGNAL_MSI"},
	{KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT"},
};

static int capability(struct machine *m, unsigned cap, struct err *e)
{
	return HV_CALLN(m->hv, m->hv->fd, KVM_CHECK_EXTENSION, cap, e);
}

static int check_capabilities(struct machine *m, struct err *e)
{
	unsigned cpus = m->host->cpu->topo.cpus;
	size_t i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(required); i++) {
		ret = capability(m, required[i].cap, e);
		if (ret < 0)
			return ret;
		if (!ret)
			return err_set(e, -ENOTSUP, "%s lacks %s",
				       m->hv->ops->what, required[i].name);
	}
	ret = capability(m, KVM_CAP_MAX_VCPUS, e);
	if (ret < 0)
		return ret;
	if ((unsigned)ret < cpus)
		return err_set(e, -E2BIG,
			       "-smp %u: %s has at most %d CPUs for one guest",
			       cpus, m->hv->ops->what, ret);
	return 0;
}

/* CPUID does not tell of AMD's four oldest counters: they go by this alone. */
static int disable_pmu(struct machine *m, struct err *e)
{
	struct kvm_enable_cap cap = {.cap = KVM_CAP_PMU_CAPABILITY,
				     .args = {KVM_PMU_CAP_DISABLE}};
	int ret = hv_ioctl(m->hv, m->vm_fd, KVM_CHECK_EXTENSION, cap.cap);

	if (ret <= 0 || !(ret & KVM_PMU_CAP_DISABLE))
		return 0;
	return HV_CALL(m->hv, m->vm_fd, KVM_ENABLE_CAP, &cap, e);
}

static int create_vm(struct machine *m, struct err *e)
{
	uint64_t identity = LAYOUT_IDENTITY_MAP;
	struct kvm_pit_config pit = {.flags = KVM_PIT_SPEAKER_DUMMY};
	int ret;

	do {
		ret = hv_ioctl(m->hv, m->hv->fd, KVM_CREATE_VM, 0);
	} while (ret == -EINTR);
	if (ret < 0)
		return err_set(e, ret, "%s fails KVM_CREATE_VM: %s",
			       m->hv->ops->what, strerror(-ret));
	m->vm_fd = ret;
	ret = HV_CALL(m->hv, m->vm_fd, KVM_SET_IDENTITY_MAP_ADDR, &identity, e);
	if (ret >= 0)
		ret = HV_CALLN(m->hv, m->vm_fd, KVM_SET_TSS_ADDR, LAYOUT_TSS,
			       e);
	if (ret >= 0)
		ret = HV_CALLN(m->hv, m->vm_fd, KVM_CREATE_IRQCHIP, 0, e);
	if (ret >= 0 && m->config->pit)
		ret = HV_CALL(m->hv, m->vm_fd, KVM_CREATE_PIT2, &pit, e);
	if (ret >= 0 && m->host->cpu->no_pmu)
		ret = disable_pmu(m, e);
	return MIN(ret, 0);
}

/* Devices write to the guest's memory; only our own KVM wants to know. */
static void tell_writes(void *ctx, const struct iovec *iov, unsigned n)
{
	struct machine *m = ctx;
	union {
		struct lodge_writes head;
		uint64_t room[1 + 2 * DMA_PIECES];
	} w;
	unsigned i;

	ASSERT(n <= DMA_PIECES);
	w.head.count = n;
	w.head.pad = 0;
	for (i = 0; i < n; i++)
		w.head.range[i] = (struct lodge_range){
			(uintptr_t)iov[i].iov_base,
			iov[i].iov_len,
		};
	(void)hv_ioctl(m->hv, m->vm_fd, LODGE_WRITES, (uintptr_t)&w);
}

static int promise_writes(struct machine *m, struct err *e)
{
	struct kvm_enable_cap cap = {.cap = LODGE_CAP_WRITES, .args = {1}};
	int ret = hv_ioctl(m->hv, m->vm_fd, KVM_CHECK_EXTENSION,
			   LODGE_CAP_WRITES);

	if (ret <= 0 || m->others_write)
		return 0;
	ret = HV_CALL(m->hv, m->vm_fd, KVM_ENABLE_CAP, &cap, e);
	if (ret < 0)
		return ret;
	m->dma.ctx = m;
	m->dma.wrote = tell_writes;
	return 0;
}

static int add_slot(struct machine *m, uint64_t gpa, uint64_t size,
		    uint64_t offset, struct err *e)
{
	struct kvm_userspace_memory_region slot = {
		.slot = m->dma.count,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)m->ram.base + offset,
	};
	int ret;

	if (!size)
		return 0;
	ret = HV_CALL(m->hv, m->vm_fd, KVM_SET_USER_MEMORY_REGION, &slot, e);
	if (ret < 0)
		return ret;
	m->dma.region[m->dma.count++] = (struct dma_region){
		.gpa = gpa,
		.size = size,
		.hva = (uint8_t *)m->ram.base + offset,
		.shared = m->ram.shared,
		.fd = m->ram.fd,
		.offset = offset,
	};
	return 0;
}

static int add_memory(struct machine *m, struct err *e)
{
	uint64_t size = m->config->ram_size;
	int ret = m->others_write ? host_ram_share(&m->ram, size, e)
				  : host_ram_map(&m->ram, size, e);

	if (ret)
		return err_wrap(e, "-m");
	if (m->config->prealloc)
		ret = host_ram_populate(&m->ram, m->config->progress, e);
	if (ret)
		return err_wrap(e, "-mem-prealloc");
	m->low_size = MIN(size, LAYOUT_PCI_HOLE);
	m->high_size = size - m->low_size;
	ret = add_slot(m, 0, m->low_size, 0, e);
	if (!ret)
		ret = add_slot(m, LAYOUT_4G, m->high_size, m->low_size, e);
	return ret;
}

static int create_vcpu(struct machine *m, unsigned index, size_t run_size,
		       struct err *e)
{
	struct kvm_cpuid2 *cpuid = table_build(m->host->cpu, index);
	int ret;

	if (!cpuid)
		return err_set(e, -ENOMEM, "out of memory");
	ret = vcpu_create(&m->vcpus[index], m, index, run_size, cpuid, e);
	free(cpuid);
	return ret;
}

static int create_vcpus(struct machine *m, struct err *e)
{
	int run_size, ret = 0;
	unsigned i;

	run_size = vcpu_run_size(m, e);
	if (run_size < 0)
		return run_size;
	for (i = 0; !ret && i < m->host->cpu->topo.cpus; i++)
		ret = create_vcpu(m, i, (size_t)run_size, e);
	return ret;
}

static int write_acpi(struct machine *m, struct err *e)
{
	const struct config *c = m->config;
	struct acpi_machine a = {
		.apic_id = m->apic_id,
		.cpus = m->host->cpu->topo.cpus,
		.pci = c->pci,
		.serial_port = m->host->serial ? ISA_PORT_COM1 : 0,
		.virtio_mmio = devconf_count_mmio(m->dev),
		.pvpanic_port = c->pvpanic ? c->pvpanic_port : 0,
	};
	uint8_t *p = dma_ptr(&m->dma, LAYOUT_BIOS, ACPI_MAX_SIZE);
	int ret;

	if (!p)
		return err_set(e, -EFAULT, "no memory for the ACPI tables");
	ret = acpi_build(p, ACPI_MAX_SIZE, LAYOUT_BIOS, &a, e);
	return MIN(ret, 0);
}

/* What the loaded kernel and the memory ask of the CPU. */
static int check_cpu(const struct machine *m, const struct boot_entry *entry,
		     struct err *e)
{
	const struct cpu_def *cpu = m->host->cpu;
	uint64_t end = m->high_size ? LAYOUT_4G + m->high_size : m->low_size;

	if (entry->long_mode && !feature_test(cpu->words, FEAT_LM))
		return err_set(e, -EINVAL,
			       "-cpu %s: the kernel starts in 64-bit mode, "
			       "which this CPU does not have",
			       m->config->cpu.cpu.name);
	if (end > BIT64(cpu->phys_bits))
		return err_set(e, -EINVAL,
			       "-m: memory ends above the %u address bits of "
			       "-cpu %s",
			       cpu->phys_bits, m->config->cpu.cpu.name);
	return 0;
}

static int load(struct machine *m, struct err *e)
{
	const struct config *c = m->config;
	struct boot_source src = {
		.kernel = c->kernel,
		.initrd = c->initrd,
		.append = c->append,
		.low_size = m->low_size,
		.high_size = m->high_size,
		.rsdp = LAYOUT_BIOS,
		.pci = c->pci,
	};
	struct boot_entry entry;
	int ret = write_acpi(m, e);

	if (!ret)
		ret = boot_load(&src, &m->dma, &entry, e);
	if (!ret)
		ret = check_cpu(m, &entry, e);
	if (!ret)
		ret = vcpu_set_entry(&m->vcpus[0], &entry, e);
	return ret;
}

static int machine_alloc(struct machine *m, const struct machine_host *host,
			 struct err *e)
{
	unsigned cpus = host->cpu->topo.cpus, i;

	*m = (struct machine){
		.hv = host->hv,
		.config = host->config,
		.dev = host->dev,
		.others_write = host->dev &&
				netconf_has_vhost(&host->dev->backends),
		.stop = host->stop,
		.host = host,
		.vm_fd = -1,
		.timer = -1,
	};
	pthread_mutex_init(&m->lock, NULL);
	gate_init(&m->gate, m->stop, true);
	m->vcpus = calloc(cpus, sizeof(*m->vcpus));
	m->apic_id = calloc(cpus, sizeof(*m->apic_id));
	if (!m->vcpus || !m->apic_id)
		return err_set(e, -ENOMEM, "out of memory");
	for (i = 0; i < cpus; i++)
		m->apic_id[i] = topo_place(&host->cpu->topo, i).apic_id;
	return 0;
}

static int machine_build(struct machine *m, struct err *e)
{
	int ret = check_capabilities(m, e);

	if (!ret)
		ret = create_vm(m, e);
	if (!ret)
		ret = add_memory(m, e);
	if (!ret)
		ret = create_vcpus(m, e);
	if (!ret)
		ret = load(m, e);
	if (!ret)
		ret = promise_writes(m, e);
	/* Last: from here on input and time reach the devices. */
	if (!ret)
		ret = board_init(m, e);
	return ret;
}

static void machine_free(struct machine *m)
{
	unsigned i;

	board_exit(m);
	for (i = 0; m->vcpus && i < m->host->cpu->topo.cpus; i++)
		vcpu_destroy(&m->vcpus[i]);
	hv_close_fd(m->hv, m->vm_fd);
	host_ram_unmap(&m->ram);
	pthread_mutex_destroy(&m->lock);
	gate_destroy(&m->gate);
	free(m->vcpus);
	free(m->apic_id);
	free(m);
}

static int machine_start(struct machine *m, struct err *e)
{
	unsigned i;
	int ret = 0;

	for (i = 0; !ret && i < m->host->cpu->topo.cpus; i++)
		ret = vcpu_start(&m->vcpus[i], e);
	return ret;
}

/* All vCPUs wait at the gate, or are about to. */
static void machine_join(struct machine *m)
{
	unsigned i;

	gate_end(&m->gate);
	for (i = 0; i < m->host->cpu->topo.cpus; i++)
		vcpu_join(&m->vcpus[i]);
}

static void machine_live(struct machine *m)
{
	control_begin(m->host->control, m);
	while (control_settle(m->host->control, stop_wait(m->stop)))
		;
}

int machine_run(const struct machine_host *host, struct err *e)
{
	struct machine *m = malloc(sizeof(*m));
	int ret;

	if (!m)
		return err_set(e, -ENOMEM, "out of memory");
	ret = machine_alloc(m, host, e);
	if (!ret)
		ret = machine_build(m, e);
	if (!ret) {
		ret = machine_start(m, e);
		if (!ret)
			machine_live(m);
		if (host->control->abandoned)
			return ret;
		machine_join(m);
	}
	machine_free(m);
	return ret;
}

void machine_pio(struct machine *m, uint16_t port, uint8_t *data, unsigned len,
		 bool write)
{
	uint64_t val = 0;

	pthread_mutex_lock(&m->lock);
	if (write) {
		memcpy(&val, data, len);
		bus_write(&m->pio, port, len, val);
	} else {
		val = bus_read(&m->pio, port, len);
		memcpy(data, &val, len);
	}
	pthread_mutex_unlock(&m->lock);
}

void machine_mmio(struct machine *m, uint64_t gpa, uint8_t *data, unsigned len,
		  bool write)
{
	unsigned n, off;
	uint64_t val;

	pthread_mutex_lock(&m->lock);
	/* Odd lengths go in pieces that a register can be. */
	for (off = 0; off < len; off += n) {
		for (n = 8; n > len - off; n /= 2)
			;
		val = 0;
		if (write) {
			memcpy(&val, data + off, n);
			bus_write(&m->mmio, gpa + off, n, val);
		} else {
			val = bus_read(&m->mmio, gpa + off, n);
			memcpy(data + off, &val, n);
		}
	}
	pthread_mutex_unlock(&m->lock);
}

void machine_power_button(struct machine *m)
{
	pthread_mutex_lock(&m->lock);
	acpi_pm_power_button(&m->isa.pm);
	pthread_mutex_unlock(&m->lock);
}
