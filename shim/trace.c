/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `lodge kvm --trace`: a line for each request, written whole, so that those
 * of several threads and processes can share a file:
 *
 *	TIME THREAD HANDLE REQUEST ARGUMENT = RESULT <DURATION>
 *
 * Times are seconds, of the monotonic clock. Client memory is read through
 * the kernel, for an argument may be a wrong pointer.
 */
#include "shim/shim.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>

#include "include/lodge.h"
#include "include/uapi/kvm_new.h"

#define PEEK_MAX  4096ul /* fits into any pipe */
#define NS_PER_S  1000000000ull
#define ARGUMENT  64
#define TRACE_FD  1000 /* at least, to be out of the client's way */
#define MAX_ERRNO 4095

struct request {
	uint32_t number;
	const char *name;
	const char *fields;
};

static const struct request requests[] = {
#define REQUEST(number_, fields_) {(uint32_t)(number_), #number_, fields_},
#include "shim/request.def"
#undef REQUEST
	{(uint32_t)LODGE_KICK, "LODGE_KICK", "#"},
	{(uint32_t)LODGE_WRITES, "LODGE_WRITES", "count=4"},
};

static const char *const exits[] = {
	[KVM_EXIT_UNKNOWN] = "UNKNOWN",
	[KVM_EXIT_EXCEPTION] = "EXCEPTION",
	[KVM_EXIT_IO] = "IO",
	[KVM_EXIT_HYPERCALL] = "HYPERCALL",
	[KVM_EXIT_DEBUG] = "DEBUG",
	[KVM_EXIT_HLT] = "HLT",
	[KVM_EXIT_MMIO] = "MMIO",
	[KVM_EXIT_IRQ_WINDOW_OPEN] = "IRQ_WINDOW_OPEN",
	[KVM_EXIT_SHUTDOWN] = "SHUTDOWN",
	[KVM_EXIT_FAIL_ENTRY] = "FAIL_ENTRY",
	[KVM_EXIT_INTR] = "INTR",
	[KVM_EXIT_SET_TPR] = "SET_TPR",
	[KVM_EXIT_TPR_ACCESS] = "TPR_ACCESS",
	[KVM_EXIT_NMI] = "NMI",
	[KVM_EXIT_INTERNAL_ERROR] = "INTERNAL_ERROR",
	[KVM_EXIT_SYSTEM_EVENT] = "SYSTEM_EVENT",
	[KVM_EXIT_IOAPIC_EOI] = "IOAPIC_EOI",
	[KVM_EXIT_HYPERV] = "HYPERV",
	[KVM_EXIT_X86_RDMSR] = "X86_RDMSR",
	[KVM_EXIT_X86_WRMSR] = "X86_WRMSR",
	[KVM_EXIT_DIRTY_RING_FULL] = "DIRTY_RING_FULL",
	[KVM_EXIT_X86_BUS_LOCK] = "X86_BUS_LOCK",
	[KVM_EXIT_XEN] = "XEN",
	[KVM_EXIT_NOTIFY] = "NOTIFY",
	[KVM_EXIT_MEMORY_FAULT] = "MEMORY_FAULT",
};

static int trace_fd = -1;

struct line {
	char text[512];
	size_t n;
};

static void add(struct line *l, const char *fmt, ...) __printf(2, 3);
static void add(struct line *l, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(l->text + l->n, sizeof(l->text) - l->n, fmt, ap);
	va_end(ap);
	l->n = MIN(l->n + (size_t)MAX(n, 0), sizeof(l->text) - 1);
}

void trace_init(void)
{
	const char *path = getenv("LODGE_TRACE");
	int fd;

	if (!path || !*path)
		return;
	fd = real()->open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC,
			  0666);
	if (fd < 0) {
		fprintf(stderr, "lodge: --trace %s: %s\n", path,
			strerror(errno));
		return;
	}
	trace_fd = real()->fcntl(fd, F_DUPFD_CLOEXEC, TRACE_FD);
	if (trace_fd < 0)
		trace_fd = fd;
	else
		real()->close(fd);
}

bool trace_on(void)
{
	return unlikely(trace_fd >= 0);
}

uint64_t trace_clock(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/* Containers may refuse process_vm_readv(); a pipe reads as carefully. */
static ssize_t peek_pipe(void *to, uintptr_t from, size_t size)
{
	int ends[2];
	ssize_t n;

	if (pipe2(ends, O_CLOEXEC))
		return -1;
	n = write(ends[1], (const void *)from, MIN(size, PEEK_MAX));
	if (n > 0)
		n = read(ends[0], to, (size_t)n);
	real()->close(ends[0]);
	real()->close(ends[1]);
	return n;
}

static size_t peek(void *to, uintptr_t from, size_t size)
{
	struct iovec l = {to, size}, r = {(void *)from, size};
	ssize_t n = process_vm_readv(getpid(), &l, 1, &r, 1, 0);

	if (n < 0 && errno != EFAULT)
		n = peek_pipe(to, from, size);
	return n > 0 ? (size_t)n : 0;
}

static const struct request *find(unsigned long number)
{
	for (size_t i = 0; i < ARRAY_SIZE(requests); i++)
		if (requests[i].number == (uint32_t)number)
			return &requests[i];
	return NULL;
}

/* Fields one after the other, as "name=4 other=8" says. */
static void add_fields(struct line *l, const char *fields, uintptr_t arg)
{
	uint8_t buf[ARGUMENT] = {0};
	size_t have = peek(buf, arg, sizeof(buf)), at = 0;
	uint64_t value;

	add(l, " {");
	while (*fields) {
		size_t name = strcspn(fields, "=");
		size_t width = (size_t)(fields[name + 1] - '0');

		if (at + width > have)
			break;
		value = 0;
		memcpy(&value, buf + at, width);
		add(l, "%s%.*s=%#lx", at ? " " : "", (int)name, fields,
		    (unsigned long)value);
		at += width;
		fields += name + 2;
		fields += *fields == ' ';
	}
	add(l, "}");
}

static void add_argument(struct line *l, const struct request *r,
			 unsigned long arg)
{
	if (r && *r->fields && *r->fields != '#')
		add_fields(l, r->fields, arg);
	else
		add(l, " %#lx", arg);
}

/* What ended KVM_RUN. */
static void add_exit(struct line *l, const struct kvm_run *run)
{
	uint32_t why = run->exit_reason;

	if (why < ARRAY_SIZE(exits) && exits[why])
		add(l, " %s", exits[why]);
	else
		add(l, " exit %u", why);
	if (why == KVM_EXIT_IO)
		add(l, " %s port=%#x size=%u count=%u",
		    run->io.direction ? "out" : "in", run->io.port,
		    run->io.size, run->io.count);
	else if (why == KVM_EXIT_MMIO)
		add(l, " %s gpa=%#llx size=%u",
		    run->mmio.is_write ? "write" : "read", run->mmio.phys_addr,
		    run->mmio.len);
	else if (why == KVM_EXIT_INTERNAL_ERROR)
		add(l, " suberror=%u", run->internal.suberror);
	else if (why == KVM_EXIT_X86_RDMSR || why == KVM_EXIT_X86_WRMSR)
		add(l, " msr=%#x", run->msr.index);
}

static void add_result(struct line *l, long ret)
{
	const char *name = NULL;

	if (ret < 0 && ret >= -MAX_ERRNO)
		name = strerrorname_np((int)-ret);
	if (name)
		add(l, " = -%s", name);
	else
		add(l, " = %ld", ret);
}

void trace_patch(const char *object, unsigned int replaced, unsigned int left)
{
	uint64_t now = trace_clock();
	struct line l = {.n = 0};

	if (!trace_on())
		return;
	add(&l, "%lu.%06lu %ld cpuid %.400s: %u replaced, %u left\n",
	    (unsigned long)(now / NS_PER_S),
	    (unsigned long)(now % NS_PER_S / 1000), real()->syscall(SYS_gettid),
	    object, replaced, left);
	if (write(trace_fd, l.text, l.n) < 0)
		return;
}

void trace_ioctl(int fd, enum fd_kind kind, unsigned long request,
		 unsigned long arg, long ret, uint64_t start_ns)
{
	static const char *const kinds[] = {"?", "kvm", "vm", "vcpu", "other"};
	const struct request *r = find(request);
	uint64_t took = trace_clock() - start_ns;
	const struct kvm_run *run = fd_run(fd);
	struct line l = {.n = 0};

	add(&l, "%lu.%06lu %ld %s:%d", (unsigned long)(start_ns / NS_PER_S),
	    (unsigned long)(start_ns % NS_PER_S / 1000),
	    real()->syscall(SYS_gettid), kinds[kind], fd);
	if (r)
		add(&l, " %s",
		    r->name + (!strncmp(r->name, "KVM_", 4) ? 4 : 0));
	else
		add(&l, " %#lx", request & UINT32_MAX);
	add_argument(&l, r, arg);
	add_result(&l, ret);
	if ((uint32_t)request == KVM_RUN && run)
		add_exit(&l, run);
	add(&l, " <%lu.%06lu>\n", (unsigned long)(took / NS_PER_S),
	    (unsigned long)(took % NS_PER_S / 1000));
	if (write(trace_fd, l.text, l.n) < 0)
		return; /* a full disk ends no guest */
}
