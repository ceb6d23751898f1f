/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The probe says yes to Lodge's own KVM, no to one that does nothing, lies
 * or never ends, and never takes long.
 */
#include "vmm/probe.h"

#include <errno.h>
#include <linux/kvm.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "vmm/hv.h"
#include "vmm/vcpu.h"

/* A KVM that answers politely; what its KVM_RUN does is the test's. */
struct polite {
	struct kvm_run *run;
	int (*enter)(struct polite *p);
	int entered;
};

static int polite_open(void *priv)
{
	return 100;
}

static int polite_mmap(void *priv, int fd, size_t len, void **out)
{
	struct polite *p = priv;

	*out = p->run = calloc(1, len);
	return 0;
}

static int polite_munmap(void *priv, int fd, void *run, size_t len)
{
	free(run);
	return 0;
}

static int polite_close(void *priv, int fd)
{
	return 0;
}

static int polite_ioctl(void *priv, int fd, unsigned long req,
			unsigned long arg)
{
	struct polite *p = priv;

	switch (req) {
	case KVM_GET_API_VERSION: return KVM_API_VERSION;
	case KVM_CREATE_VM: return 101;
	case KVM_CREATE_VCPU: return 102;
	case KVM_GET_VCPU_MMAP_SIZE: return 12288;
	case KVM_RUN: p->entered++; return p->enter(p);
	default: return 0;
	}
}

static const struct hv_ops polite_ops = {
	.name = "polite",
	.what = "the polite KVM",
	.open = polite_open,
	.ioctl = polite_ioctl,
	.mmap = polite_mmap,
	.munmap = polite_munmap,
	.close = polite_close,
};

static int enter_for_ever(struct polite *p)
{
	return poll(NULL, 0, -1) ? -EINTR : 0;
}

static int enter_again(struct polite *p)
{
	return -EAGAIN;
}

static int enter_error(struct polite *p)
{
	p->run->exit_reason = KVM_EXIT_INTERNAL_ERROR;
	p->run->internal.suberror = 1;
	return 0;
}

/* The right exits, as an emulator might get them, but no registers. */
static int enter_exits(struct polite *p)
{
	p->run->exit_reason = KVM_EXIT_HLT;
	if (p->entered > 1)
		return 0;
	p->run->exit_reason = KVM_EXIT_IO;
	p->run->io.direction = KVM_EXIT_IO_OUT;
	p->run->io.port = 0x80;
	p->run->io.size = 1;
	p->run->io.count = 1;
	p->run->io.data_offset = 4096;
	((uint8_t *)p->run)[4096] = 0x5a;
	return 0;
}

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void refused(int (*enter)(struct polite *p), const char *phrase)
{
	struct polite p = {.enter = enter};
	double start = seconds();
	struct err e = {0};
	struct hv hv;

	assert_int_equal(hv_open(&hv, &polite_ops, &p, &e), 0);
	assert_int_not_equal(probe_long_mode(&hv, &e), 0);
	if (!strstr(e.msg, phrase))
		fail_msg("'%s' lacks '%s'", e.msg, phrase);
	assert_true(seconds() - start < 2);
	hv_close(&hv);
}

static void test_refused(void **state)
{
	refused(enter_for_ever, "too long");
	refused(enter_again, "too long");
	refused(enter_error, "internal error 1");
	refused(enter_exits, "registers");
}

static void test_lodge(void **state)
{
	struct err e = {0};
	struct hv hv;

	if (!hv_have_lodge())
		skip();
	assert_int_equal(hv_open(&hv, &hv_lodge, NULL, &e), 0);
	if (probe_long_mode(&hv, &e))
		fail_msg("%s", e.msg);
	hv_close(&hv);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_lodge),
	};

	vcpu_install_kick();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
