/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Auto takes the kernel's KVM when it is there and proven, as hardware is
 * faster, and ours in every other case.
 */
#include "vmm/accel.h"

#include <errno.h>
#include <stdio.h>

#include "vmm/probe.h"

static int open_kernel(struct hv *hv, struct err *e)
{
	int ret = hv_open(hv, &hv_kernel, NULL, e);

	if (ret)
		return ret;
	ret = probe_long_mode(hv, e);
	if (!ret)
		return 0;
	hv_close(hv);
	return err_wrap(e, "the kernel's /dev/kvm cannot run a 64-bit guest");
}

static int open_lodge(struct hv *hv, struct err *e)
{
	if (!hv_have_lodge())
		return err_set(e, -ENOSYS,
			       "this build does not contain Lodge's own KVM");
	return hv_open(hv, &hv_lodge, NULL, e);
}

int accel_open(struct hv *hv, enum config_accel accel, char *why,
	       size_t why_size, struct err *e)
{
	struct err no = {0};
	int ret;

	why[0] = '\0';
	if (accel == ACCEL_LODGE)
		return open_lodge(hv, e);
	if (accel == ACCEL_KVM)
		return open_kernel(hv, e);
	if (!open_kernel(hv, &no)) {
		snprintf(why, why_size, "%s serves this guest", hv->ops->what);
		return 0;
	}
	ret = open_lodge(hv, e);
	if (!ret)
		snprintf(why, why_size, "%s serves this guest (%s)",
			 hv->ops->what, no.msg);
	return ret;
}
