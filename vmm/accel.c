/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unless told otherwise, the kernel's KVM when it is there and proven, as
 * hardware is faster, and ours in every other case.
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

static int open_one(struct hv *hv, enum config_accel accel, struct err *e)
{
	return accel == ACCEL_LODGE ? open_lodge(hv, e) : open_kernel(hv, e);
}

int accel_open(struct hv *hv, const struct config_accels *accels, char *why,
	       size_t why_size, struct err *e)
{
	static const struct config_accels automatic = {{ACCEL_KVM, ACCEL_LODGE},
						       2};
	const struct config_accels *a = accels->n ? accels : &automatic;
	struct err no = {0};
	unsigned i = 0;
	int ret;

	why[0] = '\0';
	while (i + 1 < a->n && open_one(hv, a->list[i], &no))
		i++;
	/* Of those that do not open the last one's reason counts. */
	ret = i + 1 == a->n ? open_one(hv, a->list[i], e) : 0;
	if (ret)
		return ret;
	if (a->n > 1)
		snprintf(why, why_size, "%s serves this guest%s%s%s",
			 hv->ops->what, i ? " (" : "", i ? no.msg : "",
			 i ? ")" : "");
	return 0;
}
