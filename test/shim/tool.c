/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small monitor that works as kvmtool does: it asks the processor first,
 * makes all vCPUs in one thread and runs each in its own, never uses
 * immediate_exit (a signal's handler has to end KVM_RUN), reads the coalesced
 * ring through each vCPU's mapping and keeps duplicates of its descriptors.
 */
#include "test/shim/client.h"

#include <cpuid.h>
#include <sys/eventfd.h>

#define LOW      0xa0000u /* RAM below the window */
#define ENTRY_CS 0x1000u
#define ENTRY_IP 0x200u
#define WINDOW   0xa0000u
#define CPUS     2
#define PAUSES   8
#define IRQS     8
#define ENTRIES  100

/* LAPIC registers kvmtool sets: what the pins LINT0 and LINT1 mean. */
#define LVT0       0x350
#define LVT1       0x360
#define LVT_EXTINT 0x700
#define LVT_NMI    0x400
#define LVT_MODE   0x700
#define LVT_MASKED 0x10000

/*
 * BX 0: the interrupt controllers, then a loop of stores to the window and
 * OUT 0x10; an interrupt is OUT 0x11. BX 1: a loop without any exit.
 */
extern const uint8_t tool_guest[], tool_guest_end[];
__asm__(".pushsection .rodata\n"
	".code16\n"
	"tool_guest:\n"
	"	test %bx, %bx\n"
	"	jnz 3f\n"
	"	xor %ax, %ax\n"
	"	mov %ax, %es\n"
	"	movw $4f - tool_guest + 0x200, %es:0x25 * 4\n"
	"	movw %cs, %es:0x25 * 4 + 2\n"
	"	mov $0x11, %al\n"
	"	out %al, $0x20\n"
	"	mov $0x20, %al\n"
	"	out %al, $0x21\n"
	"	mov $4, %al\n"
	"	out %al, $0x21\n"
	"	mov $1, %al\n"
	"	out %al, $0x21\n"
	"	mov $0xdf, %al\n" /* line 5 only */
	"	out %al, $0x21\n"
	"	mov $0xa000, %ax\n"
	"	mov %ax, %ds\n"
	"	sti\n"
	"2:	movb $0x5a, 7\n"
	"	out %al, $0x10\n"
	"	jmp 2b\n"
	"3:	jmp 3b\n"
	"4:	push %ax\n"
	"	out %al, $0x11\n"
	"	mov $0x20, %al\n"
	"	out %al, $0x20\n"
	"	pop %ax\n"
	"	iret\n"
	"tool_guest_end:\n"
	".code64\n"
	".popsection\n");

struct tool_cpu {
	struct tool *t;
	int fd, n;
	pthread_t thread;
	struct kvm_run *run;
	struct kvm_coalesced_mmio_ring *ring;
	uint32_t outs, irqs, stores, pauses; /* atomic */
};

struct tool {
	int kvm, vm, irq;
	uint8_t *ram;
	size_t run_size;
	struct tool_cpu cpu[CPUS];
	uint32_t stop; /* atomic */
};

static uint32_t get(const uint32_t *p)
{
	return __atomic_load_n(p, __ATOMIC_SEQ_CST);
}

static void add(uint32_t *p)
{
	__atomic_fetch_add(p, 1, __ATOMIC_SEQ_CST);
}

static void nothing(int sig)
{
}

/* It gives up on a processor without virtualization. */
static void check_host(void)
{
	unsigned int a, b, c, d;
	bool vmx, svm;

	__cpuid(1, a, b, c, d);
	vmx = c >> 5 & 1;
	__cpuid(0x80000001, a, b, c, d);
	svm = c >> 2 & 1;
	CHECK(vmx != svm);
}

static void make_vm(struct tool *t)
{
	static const int needed[] = {
		KVM_CAP_COALESCED_MMIO,
		KVM_CAP_SET_TSS_ADDR,
		KVM_CAP_PIT2,
		KVM_CAP_USER_MEMORY,
		KVM_CAP_IRQ_ROUTING,
		KVM_CAP_IRQCHIP,
		KVM_CAP_HLT,
		KVM_CAP_IRQ_INJECT_STATUS,
		KVM_CAP_EXT_CPUID,
	};
	struct kvm_userspace_memory_region r = {.memory_size = LOW};
	struct kvm_pit_config pit = {0};
	int vm;

	t->kvm = open("/dev/kvm", O_RDWR);
	CHECK(t->kvm >= 0);
	CHECK(ioctl(t->kvm, KVM_GET_API_VERSION, 0) == KVM_API_VERSION);
	vm = ioctl(t->kvm, KVM_CREATE_VM, 0);
	t->vm = dup(vm);
	CHECK(t->vm >= 0 && !close(vm));
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		CHECK(ioctl(t->kvm, KVM_CHECK_EXTENSION, needed[i]) > 0);
	CHECK(!ioctl(t->vm, KVM_SET_TSS_ADDR, 0xfffbd000));
	CHECK(!ioctl(t->vm, KVM_CREATE_IRQCHIP));
	CHECK(!ioctl(t->vm, KVM_CREATE_PIT2, &pit));
	t->ram = mmap(NULL, LOW, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	CHECK(t->ram != MAP_FAILED);
	r.userspace_addr = (uintptr_t)t->ram;
	CHECK(!ioctl(t->vm, KVM_SET_USER_MEMORY_REGION, &r));
	memcpy(t->ram + ENTRY_CS * 16 + ENTRY_IP, tool_guest,
	       (size_t)(tool_guest_end - tool_guest));
	t->run_size = (size_t)ioctl(t->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
}

static void set_lvt(struct kvm_lapic_state *s, int reg, uint32_t mode)
{
	uint32_t v;

	memcpy(&v, s->regs + reg, 4);
	v = (v & ~(uint32_t)(LVT_MODE | LVT_MASKED)) | mode;
	memcpy(s->regs + reg, &v, 4);
}

static void make_cpu(struct tool *t, int n)
{
	struct tool_cpu *c = &t->cpu[n];
	struct kvm_lapic_state lapic;
	int fd = ioctl(t->vm, KVM_CREATE_VCPU, n);
	int page = ioctl(t->kvm, KVM_CHECK_EXTENSION, KVM_CAP_COALESCED_MMIO);

	CHECK(fd >= 0 && page > 0);
	*c = (struct tool_cpu){.t = t, .n = n, .fd = dup(fd)};
	CHECK(c->fd >= 0);
	c->run = mmap(NULL, t->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		      0);
	CHECK(c->run != MAP_FAILED && !close(fd));
	c->ring = (void *)((uint8_t *)c->run + page * 4096);
	CHECK(!ioctl(c->fd, KVM_GET_LAPIC, &lapic));
	set_lvt(&lapic, LVT0, LVT_EXTINT);
	set_lvt(&lapic, LVT1, LVT_NMI);
	CHECK(!ioctl(c->fd, KVM_SET_LAPIC, &lapic));
}

/* ISA lines to both chips; an eventfd on line 5. */
static void make_irqs(struct tool *t)
{
	struct kvm_coalesced_mmio_zone zone = {.addr = WINDOW, .size = 0x10000};
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry entry[16];
	} route = {.head.nr = 16};
	struct kvm_irqfd irqfd = {.gsi = 5};

	for (uint32_t i = 0; i < 16; i++)
		route.entry[i] = (struct kvm_irq_routing_entry){
			.gsi = i,
			.type = KVM_IRQ_ROUTING_IRQCHIP,
			.u.irqchip = {i / 8, i % 8},
		};
	CHECK(!ioctl(t->vm, KVM_SET_GSI_ROUTING, &route));
	CHECK(ioctl(t->kvm, KVM_CHECK_EXTENSION, KVM_CAP_SIGNAL_MSI) > 0);
	CHECK(!ioctl(t->vm, KVM_REGISTER_COALESCED_MMIO, &zone));
	t->irq = eventfd(0, 0);
	irqfd.fd = (uint32_t)t->irq;
	CHECK(t->irq >= 0 && !ioctl(t->vm, KVM_IRQFD, &irqfd));
}

/* ---- a vCPU's own thread ---- */

static void set_cpuid(struct tool_cpu *c)
{
	struct kvm_cpuid2 *list = calloc(
		1, sizeof(*list) + ENTRIES * sizeof(list->entries[0]));

	CHECK(list);
	list->nent = ENTRIES;
	CHECK(!ioctl(c->t->kvm, KVM_GET_SUPPORTED_CPUID, list));
	CHECK(!ioctl(c->fd, KVM_SET_CPUID2, list));
	free(list);
}

static void set_msrs(struct tool_cpu *c)
{
	static const uint32_t index[] = {
		0x174,      0x175,      0x176,      0xc0000081, 0xc0000083,
		0xc0000102, 0xc0000082, 0xc0000084, 0x10,       0x1a0};
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry[10];
	} m = {.head.nmsrs = 10};

	for (int i = 0; i < 10; i++)
		m.entry[i].index = index[i];
	m.entry[9].data = 1;
	CHECK(ioctl(c->fd, KVM_SET_MSRS, &m) == 10);
}

static void set_state(struct tool_cpu *c)
{
	struct kvm_fpu fpu = {.fcw = 0x37f, .mxcsr = 0x1f80};
	struct kvm_regs r = {.rip = ENTRY_IP,
			     .rsp = 0x8000,
			     .rflags = 2,
			     .rbx = (uint64_t)c->n};
	struct kvm_sregs s;

	set_cpuid(c);
	CHECK(!ioctl(c->fd, KVM_GET_SREGS, &s));
	s.cs.selector = s.ss.selector = ENTRY_CS;
	s.cs.base = s.ss.base = ENTRY_CS * 16;
	CHECK(!ioctl(c->fd, KVM_SET_SREGS, &s));
	CHECK(!ioctl(c->fd, KVM_SET_REGS, &r));
	CHECK(!ioctl(c->fd, KVM_SET_FPU, &fpu));
	set_msrs(c);
}

/* One ring for all vCPUs: whoever comes first empties it, under a lock. */
static void drain(struct tool_cpu *c)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	struct kvm_coalesced_mmio_ring *r = c->ring;

	pthread_mutex_lock(&lock);
	while (r->first != __atomic_load_n(&r->last, __ATOMIC_ACQUIRE)) {
		const struct kvm_coalesced_mmio *m =
			&r->coalesced_mmio[r->first];

		CHECK(m->phys_addr == WINDOW + 7 && m->len == 1 &&
		      m->data[0] == 0x5a);
		add(&c->stores);
		__atomic_store_n(&r->first,
				 (r->first + 1) %
					 ((4096 - sizeof(*r)) / sizeof(*m)),
				 __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&lock);
}

static void *run_cpu(void *arg)
{
	struct tool_cpu *c = arg;
	struct kvm_run *run = c->run;

	set_state(c);
	while (!get(&c->t->stop)) {
		if (ioctl(c->fd, KVM_RUN, 0) < 0) {
			CHECK(errno == EINTR);
			add(&c->pauses);
			continue;
		}
		drain(c);
		CHECK(run->exit_reason == KVM_EXIT_IO && c->n == 0);
		add(run->io.port == 0x11 ? &c->irqs : &c->outs);
		CHECK(run->io.port == 0x10 || run->io.port == 0x11);
	}
	return NULL;
}

/* ---- what the main thread does meanwhile ---- */

static void wait_for(const uint32_t *count, uint32_t more)
{
	while (get(count) < more)
		usleep(200);
}

static void interrupt(struct tool *t, uint32_t n)
{
	struct kvm_irq_level line = {.irq = 5};
	uint64_t one = 1;

	for (line.level = 1; n & 1 && (int)line.level >= 0; line.level--) {
		CHECK(!ioctl(t->vm, KVM_IRQ_LINE, &line));
		if (!line.level)
			return;
	}
	CHECK(write(t->irq, &one, sizeof(one)) == sizeof(one));
}

/* A signal that finds the thread outside of KVM_RUN does nothing. */
static void pause_cpu(struct tool_cpu *c)
{
	uint32_t had = get(&c->pauses);

	do {
		CHECK(!pthread_kill(c->thread, SIGRTMIN));
		usleep(1000);
	} while (get(&c->pauses) == had);
}

void tool_all(void)
{
	struct sigaction act = {.sa_handler = nothing};
	static struct tool t;

	check_host();
	CHECK(!sigaction(SIGRTMIN, &act, NULL));
	make_vm(&t);
	for (int n = 0; n < CPUS; n++)
		make_cpu(&t, n);
	make_irqs(&t);
	for (int n = 0; n < CPUS; n++)
		CHECK(!pthread_create(&t.cpu[n].thread, NULL, run_cpu,
				      &t.cpu[n]));
	wait_for(&t.cpu[0].outs, 100);
	for (uint32_t i = 1; i <= IRQS; i++) {
		interrupt(&t, i);
		wait_for(&t.cpu[0].irqs, i);
	}
	for (int i = 0; i < PAUSES; i++)
		for (int n = 0; n < CPUS; n++)
			pause_cpu(&t.cpu[n]);
	__atomic_store_n(&t.stop, 1, __ATOMIC_SEQ_CST);
	for (int n = 0; n < CPUS; n++) {
		while (pthread_tryjoin_np(t.cpu[n].thread, NULL)) {
			CHECK(!pthread_kill(t.cpu[n].thread, SIGRTMIN));
			usleep(1000);
		}
		CHECK(!munmap(t.cpu[n].run, t.run_size) && !close(t.cpu[n].fd));
	}
	CHECK(t.cpu[0].irqs == IRQS);
	CHECK(t.cpu[0].stores >= t.cpu[0].outs);
	CHECK(!close(t.irq) && !close(t.vm) && !close(t.kvm));
}
