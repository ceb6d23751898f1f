/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine stands still: its vCPUs wait at the gate, its clocks show the
 * time at which they came there. The TSC runs on, as it does on other KVM
 * clients; guests are told by KVM_KVMCLOCK_CTRL.
 */
#include <errno.h>
#include <string.h>

#include "vmm/hv.h"
#include "vmm/machine.h"
#include "vmm/stop.h"
#include "vmm/virtio.h"

#define KICK_MS  10
#define PATIENCE 100 /* kicks before a blocked console gives up */

static unsigned started(const struct machine *m)
{
	unsigned i, n = 0;

	for (i = 0; i < m->host->cpu->topo.cpus; i++)
		n += m->vcpus[i].started;
	return n;
}

static void kick_all(struct machine *m)
{
	unsigned i;

	for (i = 0; i < m->host->cpu->topo.cpus; i++)
		vcpu_kick(&m->vcpus[i]);
}

/* Kicked again and again: a device's wait is no KVM_RUN. */
static void park_all(struct machine *m)
{
	unsigned n = started(m), kicks;

	for (kicks = 0;; kicks++) {
		kick_all(m);
		if (gate_await(&m->gate, n, KICK_MS))
			break;
		if (m->host->serial &&
		    (kicks > PATIENCE || stop_asked(m->stop)))
			console_hangup(m->host->serial, true);
	}
	if (m->host->serial)
		console_hangup(m->host->serial, false);
}

void machine_park(struct machine *m)
{
	gate_close(&m->gate);
	park_all(m);
}

void machine_pause(struct machine *m)
{
	machine_park(m);
	if (m->paused)
		return;
	m->paused = true;
	board_freeze(m);
	m->clock_known = hv_ioctl(m->hv, m->vm_fd, KVM_GET_CLOCK,
				  (unsigned long)&m->clock) >= 0;
}

/* Guests without such a clock answer -EINVAL, and need nothing. */
static void tell_guests(struct machine *m)
{
	unsigned i;

	for (i = 0; i < m->host->cpu->topo.cpus; i++)
		hv_ioctl(m->hv, m->vcpus[i].fd, KVM_KVMCLOCK_CTRL, 0);
}

static void set_clock(struct machine *m)
{
	struct kvm_clock_data data = {.clock = m->clock.clock};
	int ret;

	if (!m->clock_known)
		return;
	ret = hv_ioctl(m->hv, m->vm_fd, KVM_SET_CLOCK, (unsigned long)&data);
	if (ret < 0)
		stop_fail(m->stop, ret, "%s fails KVM_SET_CLOCK: %s",
			  m->hv->ops->what, strerror(-ret));
	tell_guests(m);
}

/* What they were stopped for is tried again. */
static void resume_devices(struct machine *m)
{
	const struct devconf_device *d;

	for (d = m->dev->devices; d; d = d->next)
		if (virtio_device(d))
			virtio_resume(virtio_device(d));
}

void machine_resume(struct machine *m)
{
	if (m->paused) {
		m->paused = false;
		set_clock(m);
		board_thaw(m);
		resume_devices(m);
	}
	gate_open(&m->gate);
}
