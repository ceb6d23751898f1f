/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `info` shows that no query of QMP answers: registers, the map of
 * memory and ports, what cards are connected to.
 */
#include <inttypes.h>
#include <string.h>

#include "dev/virtio/nic.h"
#include "vmm/hv.h"
#include "vmm/machine.h"
#include "vmm/net/conf.h"
#include "vmm/qmp/hmp.h"
#include "vmm/run/nic.h"
#include "vmm/virtio.h"

static void print_segment(FILE *out, const char *name,
			  const struct kvm_segment *s)
{
	fprintf(out, "%s =%04x %016" PRIx64 " %08x type=%x dpl=%u l=%u db=%u\n",
		name, s->selector, (uint64_t)s->base, s->limit, s->type, s->dpl,
		s->l, s->db);
}

static void print_general(FILE *out, const struct kvm_regs *r)
{
	const uint64_t v[] = {r->rax, r->rbx, r->rcx, r->rdx, r->rsi, r->rdi,
			      r->rbp, r->rsp, r->r8,  r->r9,  r->r10, r->r11,
			      r->r12, r->r13, r->r14, r->r15};
	static const char names[][4] = {
		"RAX", "RBX", "RCX", "RDX", "RSI", "RDI", "RBP", "RSP",
		"R8 ", "R9 ", "R10", "R11", "R12", "R13", "R14", "R15"};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(v); i++)
		fprintf(out, "%s=%016" PRIx64 "%c", names[i], v[i],
			i % 4 == 3 ? '\n' : ' ');
	fprintf(out, "RIP=%016" PRIx64 " RFL=%08" PRIx64 "\n", (uint64_t)r->rip,
		(uint64_t)r->rflags);
}

static void print_system(FILE *out, const struct kvm_sregs *s)
{
	print_segment(out, "ES", &s->es);
	print_segment(out, "CS", &s->cs);
	print_segment(out, "SS", &s->ss);
	print_segment(out, "DS", &s->ds);
	print_segment(out, "FS", &s->fs);
	print_segment(out, "GS", &s->gs);
	print_segment(out, "LDT", &s->ldt);
	print_segment(out, "TR", &s->tr);
	fprintf(out, "GDT=%016" PRIx64 " %04x\nIDT=%016" PRIx64 " %04x\n",
		(uint64_t)s->gdt.base, s->gdt.limit, (uint64_t)s->idt.base,
		s->idt.limit);
	fprintf(out,
		"CR0=%08" PRIx64 " CR2=%016" PRIx64 " CR3=%016" PRIx64
		" CR4=%08" PRIx64 "\nEFER=%016" PRIx64 "\n",
		(uint64_t)s->cr0, (uint64_t)s->cr2, (uint64_t)s->cr3,
		(uint64_t)s->cr4, (uint64_t)s->efer);
}

static void print_cpu(struct machine *m, unsigned i, FILE *out)
{
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	int fd = m->vcpus[i].fd;

	fprintf(out, "CPU#%u\n", i);
	if (hv_ioctl(m->hv, fd, KVM_GET_REGS, (unsigned long)&regs) < 0 ||
	    hv_ioctl(m->hv, fd, KVM_GET_SREGS, (unsigned long)&sregs) < 0) {
		fprintf(out, "%s does not tell\n", m->hv->ops->what);
		return;
	}
	print_general(out, &regs);
	print_system(out, &sregs);
}

/* Held for a moment, so that what is shown belongs together. */
void inspect_registers(struct qmp *q, FILE *out)
{
	struct machine *m = q->control->machine;
	unsigned i;

	machine_park(m);
	for (i = 0; i < m->host->cpu->topo.cpus; i++)
		print_cpu(m, i, out);
	if (q->control->state == RUN_RUNNING)
		machine_resume(m);
}

static void print_bus(FILE *out, const struct bus *bus, const char *name,
		      int digits)
{
	const struct bus_range *r;
	unsigned i;

	fprintf(out, "%s\n", name);
	for (i = 0; i < bus->count; i++) {
		r = &bus->range[i];
		fprintf(out, "  %0*" PRIx64 "-%0*" PRIx64 " registers\n",
			digits, r->base, digits, r->base + r->size - 1);
	}
}

void inspect_memory(struct qmp *q, FILE *out)
{
	struct machine *m = q->control->machine;
	unsigned i;

	fputs("memory\n", out);
	for (i = 0; i < m->dma.count; i++)
		fprintf(out, "  %016" PRIx64 "-%016" PRIx64 " ram\n",
			m->dma.region[i].gpa,
			m->dma.region[i].gpa + m->dma.region[i].size - 1);
	pthread_mutex_lock(&m->lock);
	print_bus(out, &m->mmio, "devices in memory", 16);
	print_bus(out, &m->pio, "I/O ports", 4);
	pthread_mutex_unlock(&m->lock);
}

/* What a card threw away, and why; nothing when it did not. */
static void print_drops(const struct virtio_device *dev, FILE *out)
{
	static const char word[] = "_dropped_";
	const char *name, *at;
	uint64_t value;
	bool any = false;
	unsigned i;

	for (i = 0; virtio_counter(dev, i, &name, &value); i++) {
		at = strstr(name, word);
		if (!at || !value)
			continue;
		fprintf(out, "%s %.2s %s %" PRIu64,
			any ? "," : "   dropped:", at - 2, at + strlen(word),
			value);
		any = true;
	}
	if (any)
		fputc('\n', out);
}

static void print_card(struct machine *m, const struct devconf_device *d,
		       FILE *out)
{
	struct virtio_device *dev = virtio_device(d);
	struct netfilter f;
	char name[96];
	bool up;

	virtio_net_look(dev, &f, &up);
	fprintf(out,
		"%s: index=0,type=nic,model=%s-%s,"
		"macaddr=%02x:%02x:%02x:%02x:%02x:%02x%s\n",
		nic_name(m, d, name, sizeof(name)), d->conf->type->name,
		d->conf->bus == VIRTIO_BUS_PCI ? "pci" : "device", f.mac[0],
		f.mac[1], f.mac[2], f.mac[3], f.mac[4], f.mac[5],
		up ? "" : ",link=down");
}

static void print_netdev(const struct backend *b, const char *before, FILE *out)
{
	fprintf(out, "%s%s: index=0,type=%s\n", before, b->id,
		((const struct netconf *)b)->kind->name);
}

/* Each card with what its cable leads to, then what nobody has. */
void inspect_network(struct qmp *q, FILE *out)
{
	struct machine *m = q->control->machine;
	const struct devconf_device *d;
	const struct backend *b;

	pthread_mutex_lock(&m->lock);
	for (d = m->dev->devices; d; d = d->next) {
		if (!nic_is(d))
			continue;
		print_card(m, d, out);
		for (b = m->dev->backends.first; b; b = b->next)
			if (b->class->kind == LINK_NET && b->user == d)
				print_netdev(b, " \\ ", out);
		print_drops(virtio_device(d), out);
	}
	for (b = m->dev->backends.first; b; b = b->next)
		if (b->class->kind == LINK_NET && !b->user)
			print_netdev(b, "", out);
	pthread_mutex_unlock(&m->lock);
}
