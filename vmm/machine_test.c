/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The VMM on a KVM made here, which succeeds up to call n and fails call n,
 * for every n a machine's life takes; and on KVMs whose answers are wrong.
 * Each time: one sentence, nothing left open or mapped.
 */
#include "vmm/machine.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <asm/bootparam.h>
#include <cmocka.h>

#include "host/evloop.h"
#include "vmm/hv.h"
#include "vmm/stop.h"

#define FAKE_CPUS   2
#define FAKE_MMAP   12288
#define FAKE_FD_SYS 1000
#define FAKE_FD_VM  1001
#define FAKE_FD_CPU 1002 /* and up, by APIC id */
#define DATA_OFFSET 4096

/* One OUT the boot CPU makes. */
struct step {
	uint16_t port;
	uint8_t size;
	uint32_t val;
};

/* A KVM with a will of its own. */
struct fake {
	pthread_mutex_t lock;
	int calls;   /* so far */
	int fail_at; /* the call that fails, 0: none */
	int fail_code;
	int open; /* handles */
	int mapped;
	struct kvm_run *run[FAKE_CPUS];
	unsigned step;             /* of the script */
	unsigned long odd_request; /* the one answered wrongly, 0: none */
	unsigned long odd_arg;     /* only with this argument, 0: any */
	int odd_answer;
	void (*spoil)(struct kvm_run *run); /* an exit gone wrong */
	const char *cpu;                    /* -cpu, NULL: the usual */
	bool pstates;                       /* has their MSRs */
	uint64_t hwcr;
	bool no_pmu; /* the capability is disabled */
};

/* Enable the transmit interrupt, which rises at once; then soft-off. */
static const struct step script[] = {
	{0x3f9, 1, 2},
	{0x604, 2, 5 << 10 | BIT(13)},
};

/* Count a call; -errno when it is the one to fail. */
static int counted(struct fake *f)
{
	int ret = 0;

	pthread_mutex_lock(&f->lock);
	if (++f->calls == f->fail_at)
		ret = f->fail_code;
	pthread_mutex_unlock(&f->lock);
	return ret;
}

static int opened(struct fake *f, int fd)
{
	f->open++;
	return fd;
}

static int fake_open(void *priv)
{
	struct fake *f = priv;
	int ret = counted(f);

	return ret ? ret : opened(f, FAKE_FD_SYS);
}

static int fake_close(void *priv, int fd)
{
	struct fake *f = priv;

	f->open--;
	return 0;
}

static int fake_mmap(void *priv, int fd, size_t len, void **out)
{
	struct fake *f = priv;
	int ret = counted(f);

	if (ret)
		return ret;
	assert_in_range(fd, FAKE_FD_CPU, FAKE_FD_CPU + FAKE_CPUS - 1);
	*out = calloc(1, len);
	f->run[fd - FAKE_FD_CPU] = *out;
	f->mapped++;
	return 0;
}

static int fake_munmap(void *priv, int fd, void *p, size_t len)
{
	struct fake *f = priv;

	f->mapped--;
	free(p);
	return 0;
}

static int fake_cpuid(struct kvm_cpuid2 *t)
{
	static const struct kvm_cpuid_entry2 leaves[] = {
		{.function = 0,
		 .eax = 0xb,
		 .ebx = 0x756e6547,
		 .edx = 0x49656e69,
		 .ecx = 0x6c65746e},
		{.function = 1, .edx = BIT(12)},
		{.function = 0xb, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX},
		{.function = 0x80000000, .eax = 0x80000007},
		{.function = 0x80000001, .edx = BIT(29)},
		{.function = 0x80000007, .edx = BIT(8)},
	};

	if (t->nent < ARRAY_SIZE(leaves))
		return -E2BIG;
	t->nent = ARRAY_SIZE(leaves);
	memcpy(t->entries, leaves, sizeof(leaves));
	return 0;
}

static int fake_run(struct fake *f, int fd)
{
	struct kvm_run *run = f->run[fd - FAKE_FD_CPU];
	const struct step *s;

	if (fd != FAKE_FD_CPU) {
		/* An application CPU waits for ever. */
		while (!__atomic_load_n(&run->immediate_exit, __ATOMIC_SEQ_CST))
			usleep(100);
		return -EINTR;
	}
	assert_in_range(f->step, 0, ARRAY_SIZE(script) - 1);
	s = &script[f->step++];
	run->exit_reason = KVM_EXIT_IO;
	run->io.direction = KVM_EXIT_IO_OUT;
	run->io.port = s->port;
	run->io.size = s->size;
	run->io.count = 1;
	run->io.data_offset = DATA_OFFSET;
	memcpy((uint8_t *)run + DATA_OFFSET, &s->val, s->size);
	if (f->spoil)
		f->spoil(run);
	return 0;
}

static int fake_enable(struct fake *f, const struct kvm_enable_cap *cap)
{
	if (cap->cap == KVM_CAP_PMU_CAPABILITY)
		f->no_pmu = cap->args[0] == KVM_PMU_CAP_DISABLE;
	return 0;
}

static int fake_set_msrs(struct fake *f, const struct kvm_msrs *msrs)
{
	for (uint32_t i = 0; i < msrs->nmsrs; i++)
		if (msrs->entries[i].index == 0xc0010015)
			f->hwcr = msrs->entries[i].data;
	return (int)msrs->nmsrs;
}

static int fake_ioctl(void *priv, int fd, unsigned long req, unsigned long arg)
{
	struct fake *f = priv;
	int ret = counted(f);

	if (ret)
		return ret;
	if (req == f->odd_request && (!f->odd_arg || f->odd_arg == arg))
		return f->odd_answer;
	switch (req) {
	case KVM_GET_API_VERSION: return 12;
	case KVM_CHECK_EXTENSION: return arg == KVM_CAP_MAX_VCPUS ? 8 : 1;
	case KVM_GET_VCPU_MMAP_SIZE: return FAKE_MMAP;
	case KVM_GET_SUPPORTED_CPUID: return fake_cpuid((void *)arg);
	case KVM_CREATE_VM: return opened(f, FAKE_FD_VM);
	case KVM_ENABLE_CAP: return fake_enable(f, (void *)arg);
	case KVM_CREATE_VCPU: return opened(f, FAKE_FD_CPU + (int)arg);
	case KVM_SET_MSRS: return fake_set_msrs(f, (void *)arg);
	case KVM_GET_MSRS: return f->pstates;
	case KVM_RUN: return fake_run(f, fd);
	default: return 0;
	}
}

static const struct hv_ops fake_ops = {
	.name = "fake",
	.what = "the fake KVM",
	.open = fake_open,
	.ioctl = fake_ioctl,
	.mmap = fake_mmap,
	.munmap = fake_munmap,
	.close = fake_close,
};

static char kernel_path[] = "/tmp/machine-test-XXXXXX";
static struct evloop *loop;

/* A file that looks like a bzImage of 1 KiB of code. */
static int setup(void **state)
{
	static uint8_t image[5 * 512 + 1024];
	struct setup_header *h = (struct setup_header *)(image + 0x1f1);
	int fd = mkstemp(kernel_path);

	image[0x201] = sizeof(*h) - 0x11;
	h->setup_sects = 4;
	h->syssize = 1024 / 16;
	h->boot_flag = 0xaa55;
	h->header = 0x53726448;
	h->version = 0x20f;
	h->loadflags = LOADED_HIGH;
	h->xloadflags = XLF_KERNEL_64;
	h->cmdline_size = 255;
	h->initrd_addr_max = 0x7fffffff;
	h->pref_address = 0x100000;
	h->init_size = 4096;
	if (fd < 0 || write(fd, image, sizeof(image)) != sizeof(image))
		return -1;
	close(fd);
	vcpu_install_kick();
	loop = evloop_create("test", NULL);
	return loop ? 0 : -1;
}

static int teardown(void **state)
{
	evloop_destroy(loop);
	return unlink(kernel_path);
}

/* A machine's whole life on @f. 0, or -errno with its sentence in @e. */
static int live(struct fake *f, enum stop_reason *reason, struct err *e)
{
	struct config c;
	struct hv hv = {.fd = -1};
	struct stop stop;
	struct control control;
	struct cpu_accel accel = {0};
	struct cpu_def cpu;
	struct machine_host host = {
		.hv = &hv,
		.config = &c,
		.dev = &c.dev,
		.loop = loop,
		.stop = &stop,
		.control = &control,
		.cpu = &cpu,
	};
	int ret;

	config_init(&c);
	c.kernel = kernel_path;
	c.ram_size = 16 << 20;
	assert_int_equal(config_smp(&c, "2", e), 0);
	if (f->cpu)
		assert_int_equal(config_cpu(&c, f->cpu, e), 0);
	assert_int_equal(config_check(&c, e), 0);
	pthread_mutex_init(&f->lock, NULL);
	stop_init(&stop);
	control_init(&control, &c.action, &stop, false);
	host.serial = console_open_null(NULL);
	assert_non_null(host.serial);
	ret = hv_open(&hv, &fake_ops, f, e);
	if (!ret)
		ret = table_ask(&accel, &hv, e);
	if (!ret)
		ret = cpu_def_resolve(&cpu, &c.cpu.cpu, &accel, e);
	if (!ret)
		ret = machine_run(&host, e);
	control_end(&control);
	control_destroy(&control);
	table_drop(&accel);
	*reason = stop.reason;
	if (!ret && stop.reason == STOP_INTERNAL) {
		*e = stop.err;
		ret = e->code;
	}
	hv_close(&hv);
	console_close(host.serial);
	stop_destroy(&stop);
	config_exit(&c);
	return ret;
}

static void check_clean(const struct fake *f, int ret, const struct err *e)
{
	assert_in_range(-ret, 1, 4095);
	assert_int_not_equal(e->msg[0], '\0');
	assert_null(strchr(e->msg, '\n'));
	assert_int_equal(f->open, 0);
	assert_int_equal(f->mapped, 0);
}

static void test_success(void **state)
{
	struct fake f = {0};
	enum stop_reason reason;
	struct err e = {0};

	assert_int_equal(live(&f, &reason, &e), 0);
	assert_int_equal(reason, STOP_POWER_OFF);
	assert_int_equal(f.step, ARRAY_SIZE(script));
	assert_int_equal(f.open, 0);
	assert_int_equal(f.mapped, 0);
}

/* What CPUID does not tell of is taken from the KVM. */
static void test_no_pmu(void **state)
{
	struct fake on = {.cpu = "EPYC"}, off = {.cpu = "EPYC,pmu=off"};
	enum stop_reason reason;
	struct err e = {0};

	assert_int_equal(live(&on, &reason, &e), 0);
	assert_false(on.no_pmu);
	assert_int_equal(live(&off, &reason, &e), 0);
	assert_true(off.no_pmu);
}

/* HWCR.TscFreqSel: an invariant TSC, AMD, and P0 can be read. */
static void test_p0(void **state)
{
	static const struct {
		const char *cpu;
		bool pstates;
		uint64_t hwcr;
	} list[] = {
		{"EPYC,+invtsc,vendor=AuthenticAMD", true, BIT(24)},
		{"EPYC,+invtsc,vendor=AuthenticAMD", false, 0},
		{"EPYC,vendor=AuthenticAMD", true, 0},
		/* of family 15 */
		{"Opteron_G1,+invtsc,vendor=AuthenticAMD", true, 0},
		{"EPYC,+invtsc", true, 0},
	};
	enum stop_reason reason;
	struct err e = {0};

	for (size_t i = 0; i < ARRAY_SIZE(list); i++) {
		struct fake f = {.cpu = list[i].cpu,
				 .pstates = list[i].pstates};

		assert_int_equal(live(&f, &reason, &e), 0);
		assert_int_equal(f.hwcr, list[i].hwcr);
	}
}

/* A kernel of 64 bits on a CPU of 32. */
static void test_wrong_cpu(void **state)
{
	struct fake f = {.cpu = "coreduo"};
	enum stop_reason reason;
	struct err e = {0};
	int ret = live(&f, &reason, &e);

	check_clean(&f, ret, &e);
	assert_non_null(strstr(e.msg, "64-bit mode"));
}

static void fail_each_call(int code)
{
	enum stop_reason reason;
	int n, ret;

	for (n = 1;; n++) {
		struct fake f = {.fail_at = n, .fail_code = code};
		struct err e = {0};

		ret = live(&f, &reason, &e);
		if (f.calls < n) {
			assert_int_equal(ret, 0);
			break;
		}
		/* The second CPU's failure may come after the soft-off. */
		if (!ret && reason == STOP_POWER_OFF) {
			assert_int_equal(f.open, 0);
			continue;
		}
		check_clean(&f, ret, &e);
		assert_non_null(strstr(e.msg, strerror(-code)));
	}
	/* The life of a machine has at least this many calls. */
	assert_in_range(n, 30, 200);
}

static void test_fail_each_call(void **state)
{
	fail_each_call(-EIO);
	fail_each_call(-ENOMEM);
}

static void spoil_reason(struct kvm_run *run)
{
	run->exit_reason = 4711;
}

static void spoil_offset(struct kvm_run *run)
{
	run->io.data_offset = FAKE_MMAP - 1;
	run->io.count = 2;
}

static void spoil_count(struct kvm_run *run)
{
	run->io.count = UINT32_MAX;
}

static void spoil_size(struct kvm_run *run)
{
	run->io.size = 3;
}

static void spoil_mmio(struct kvm_run *run)
{
	run->exit_reason = KVM_EXIT_MMIO;
	run->mmio.len = 9;
}

static void spoil_internal(struct kvm_run *run)
{
	run->exit_reason = KVM_EXIT_INTERNAL_ERROR;
	run->internal.suberror = 1;
	run->internal.ndata = UINT32_MAX;
}

static const struct {
	unsigned long request;
	unsigned long arg;
	int answer;
	void (*spoil)(struct kvm_run *run);
	const char *phrase;
} odd[] = {
	{KVM_GET_API_VERSION, 0, 11, NULL, "API version 11"},
	{KVM_GET_VCPU_MMAP_SIZE, 0, -EINVAL, NULL, "KVM_GET_VCPU_MMAP_SIZE"},
	{KVM_GET_VCPU_MMAP_SIZE, 0, -1, NULL, "KVM_GET_VCPU_MMAP_SIZE"},
	{KVM_GET_VCPU_MMAP_SIZE, 0, 0, NULL, "less than"},
	{KVM_GET_VCPU_MMAP_SIZE, 0, sizeof(struct kvm_run) - 1, NULL,
	 "less than"},
	{KVM_CHECK_EXTENSION, KVM_CAP_PIT2, 0, NULL, "lacks KVM_CAP_PIT2"},
	{KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS, 1, NULL, "at most 1"},
	{KVM_GET_SUPPORTED_CPUID, 0, -E2BIG, NULL, "KVM_GET_SUPPORTED_CPUID"},
	{KVM_SET_MSRS, 0, 1, NULL, "only 1 of 2 MSRs"},
	{0, 0, 0, spoil_reason, "unexpected exit 4711"},
	{0, 0, 0, spoil_offset, "out of bounds"},
	{0, 0, 0, spoil_count, "out of bounds"},
	{0, 0, 0, spoil_size, "out of bounds"},
	{0, 0, 0, spoil_mmio, "MMIO of 9 bytes"},
	{0, 0, 0, spoil_internal, "internal error 1"},
};

static void test_wrong_answers(void **state)
{
	enum stop_reason reason;
	size_t i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(odd); i++) {
		struct fake f = {
			.odd_request = odd[i].request,
			.odd_arg = odd[i].arg,
			.odd_answer = odd[i].answer,
			.spoil = odd[i].spoil,
		};
		struct err e = {0};

		ret = live(&f, &reason, &e);
		check_clean(&f, ret, &e);
		if (!strstr(e.msg, odd[i].phrase))
			fail_msg("'%s' lacks '%s'", e.msg, odd[i].phrase);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_success),
		cmocka_unit_test(test_no_pmu),
		cmocka_unit_test(test_p0),
		cmocka_unit_test(test_wrong_cpu),
		cmocka_unit_test(test_fail_each_call),
		cmocka_unit_test(test_wrong_answers),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
