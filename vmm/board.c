/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The board: which devices there are, and their wires to interrupt lines,
 * time, the terminal and the power switch.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "dev/fwcfg.h"
#include "host/evloop.h"
#include "vmm/dsdt.h"
#include "vmm/fwitems.h"
#include "vmm/hv.h"
#include "vmm/layout.h"
#include "vmm/machine.h"
#include "vmm/run/control.h"
#include "vmm/run/hotplug.h"
#include "vmm/stop.h"
#include "vmm/virtio.h"

void machine_irq(void *ctx, unsigned irq, bool level)
{
	struct machine *m = ctx;
	struct kvm_irq_level line = {.irq = irq, .level = level};
	int ret = hv_ioctl(m->hv, m->vm_fd, KVM_IRQ_LINE, (unsigned long)&line);

	if (ret < 0)
		stop_fail(m->stop, ret, "%s fails KVM_IRQ_LINE for IRQ %u: %s",
			  m->hv->ops->what, irq, strerror(-ret));
}

static void board_intx(void *ctx, unsigned line, bool level)
{
	machine_irq(ctx, DSDT_PCI_GSI + line, level);
}

static void board_msi(void *ctx, uint64_t address, uint32_t data)
{
	struct machine *m = ctx;
	struct kvm_msi msi = {
		.address_lo = (uint32_t)address,
		.address_hi = (uint32_t)(address >> 32),
		.data = data,
	};
	int ret = hv_ioctl(m->hv, m->vm_fd, KVM_SIGNAL_MSI,
			   (unsigned long)&msi);

	/* A message nobody takes is the guest's affair. */
	if (ret < 0 && ret != -EINVAL)
		stop_fail(m->stop, ret, "%s fails KVM_SIGNAL_MSI: %s",
			  m->hv->ops->what, strerror(-ret));
}

static int board_doorbell(void *ctx, const struct doorbell *bell, bool on)
{
	struct machine *m = ctx;
	struct kvm_ioeventfd event = {
		.addr = bell->gpa,
		.len = bell->size,
		.fd = bell->fd,
		.datamatch = bell->value,
		.flags = (bell->match ? KVM_IOEVENTFD_FLAG_DATAMATCH : 0) |
			 (bell->pio ? KVM_IOEVENTFD_FLAG_PIO : 0) |
			 (on ? 0 : KVM_IOEVENTFD_FLAG_DEASSIGN),
	};

	return hv_ioctl(m->hv, m->vm_fd, KVM_IOEVENTFD, (unsigned long)&event);
}

const struct doorbells *machine_doorbells(const struct machine *m)
{
	return m->doorbells.set ? &m->doorbells : NULL;
}

/* Of any length: a driver's kick is a store of 16 or of 32 bits. */
static void find_doorbells(struct machine *m)
{
	if (hv_ioctl(m->hv, m->vm_fd, KVM_CHECK_EXTENSION,
		     KVM_CAP_IOEVENTFD_NO_LENGTH) > 0)
		m->doorbells = (struct doorbells){board_doorbell, m,
						  m->hv->ops->inside};
}

static uint64_t read_clock(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_SEC + (uint64_t)ts.tv_nsec;
}

/* Lock held. */
static uint64_t board_now(void *ctx)
{
	struct machine *m = ctx;

	return m->frozen ? m->frozen : read_clock(CLOCK_MONOTONIC) - m->lost;
}

/* Lock held. */
static void board_rearm(void *ctx)
{
	struct machine *m = ctx;
	uint64_t due = isa_deadline(&m->isa);
	struct itimerspec when = {0};

	if (due == m->armed)
		return;
	m->armed = due;
	if (due != CHIP_NEVER && !m->frozen) {
		/* 0 would disarm. */
		due = MAX(due + m->lost, (uint64_t)1);
		when.it_value.tv_sec = (time_t)(due / NS_PER_SEC);
		when.it_value.tv_nsec = (long)(due % NS_PER_SEC);
	}
	timerfd_settime(m->timer, TFD_TIMER_ABSTIME, &when, NULL);
}

static void board_timer(void *opaque, int revents)
{
	struct machine *m = opaque;
	uint64_t n;

	if (read(m->timer, &n, sizeof(n)) < 0)
		return;
	pthread_mutex_lock(&m->lock);
	m->armed = CHIP_NEVER;
	isa_advance(&m->isa);
	board_rearm(m);
	pthread_mutex_unlock(&m->lock);
}

void board_freeze(struct machine *m)
{
	pthread_mutex_lock(&m->lock);
	m->frozen = board_now(m);
	m->armed = CHIP_NEVER;
	timerfd_settime(m->timer, 0, &(struct itimerspec){0}, NULL);
	pthread_mutex_unlock(&m->lock);
}

void board_thaw(struct machine *m)
{
	uint64_t stood;

	pthread_mutex_lock(&m->lock);
	stood = read_clock(CLOCK_MONOTONIC) - m->lost - m->frozen;
	m->lost += stood;
	m->frozen = 0;
	if (!m->config->rtc_stops) /* the calendar is the host's */
		m->isa.rtc.offset_ns += (int64_t)stood;
	m->armed = 0;
	board_rearm(m);
	pthread_mutex_unlock(&m->lock);
}

/* Lock held. Seconds from what -rtc says to what the guest says. */
static void board_rtc_set(void *ctx)
{
	struct machine *m = ctx;
	int64_t is = (int64_t)board_now(m) + m->isa.rtc.offset_ns;
	int64_t should = (int64_t)read_clock(CLOCK_REALTIME) +
			 m->config->rtc_offset * (int64_t)NS_PER_SEC;
	int64_t ns = is - should, half = (int64_t)NS_PER_SEC / 2;

	control_rtc_change(m->host->control, (ns + (ns < 0 ? -half : half)) /
						     (int64_t)NS_PER_SEC);
}

static void board_power(void *ctx, enum power_event event, int code)
{
	static const enum stop_reason reasons[] = {
		[POWER_OFF] = STOP_POWER_OFF,
		[POWER_RESET] = STOP_RESET,
		[POWER_PANIC] = STOP_PANIC,
		[POWER_EXIT] = STOP_DEBUG_EXIT,
	};
	struct machine *m = ctx;

	if (event == POWER_PANIC && control_ignores_panic(m->host->control))
		return;
	stop_request(m->stop, reasons[event], code);
}

static size_t com1_receive(void *opaque, const uint8_t *buf, size_t n)
{
	struct machine *m = opaque;

	pthread_mutex_lock(&m->lock);
	n = serial_receive(&m->com1, buf, n);
	pthread_mutex_unlock(&m->lock);
	return n;
}

static void com1_command(void *opaque, enum console_command cmd)
{
	struct machine *m = opaque;

	switch (cmd) {
	case CONSOLE_QUIT: stop_request(m->stop, STOP_QUIT, 0); break;
	case CONSOLE_BREAK:
		pthread_mutex_lock(&m->lock);
		uart_receive_break(&m->com1.uart);
		pthread_mutex_unlock(&m->lock);
		break;
	}
}

static int init_timer(struct machine *m, struct err *e)
{
	m->armed = CHIP_NEVER;
	m->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (m->timer < 0) {
		int code = -errno;

		return err_set(e, code, "cannot create a timer: %s",
			       strerror(-code));
	}
	m->timer_watch = evloop_add(m->host->loop, m->timer, POLLIN,
				    board_timer, m);
	if (!m->timer_watch)
		return err_set(e, -ENOMEM, "cannot watch a timer");
	return 0;
}

/* Lock held. */
static void board_eject(void *ctx, unsigned slot)
{
	hotplug_eject(ctx, slot);
}

static int init_fixed(struct machine *m)
{
	struct isa_board wires = {
		.irq = {.set = machine_irq, .ctx = m},
		.clock = {.now_ns = board_now, .ctx = m},
		.utc_offset_ns = (int64_t)(read_clock(CLOCK_REALTIME) -
					   read_clock(CLOCK_MONOTONIC)) +
				 m->config->rtc_offset * (int64_t)NS_PER_SEC,
		.power = &m->power,
		.rearm = board_rearm,
		.rtc_set = board_rtc_set,
		.ctx = m,
	};
	struct bus_range cf9 = {ISA_PORT_CF9, 1, 1, &isa_reset_ops, &m->isa};
	struct pci_board pci = {
		.ecam = LAYOUT_ECAM,
		.ecam_size = LAYOUT_ECAM_SIZE,
		.cf9_ops = &isa_reset_ops,
		.cf9_ctx = &m->isa,
		.window = {{LAYOUT_PCI32_BASE, LAYOUT_PCI32_END},
			   {LAYOUT_PCI_PORTS, LAYOUT_PCI_PORTS_END}},
		.intx = board_intx,
		.msi = board_msi,
		.ctx = m,
		.doorbells = machine_doorbells(m),
	};
	int ret = isa_init(&m->isa, &m->pio, &wires);

	if (ret)
		return ret;
	isa_set_memory(&m->isa, m->low_size, m->high_size);
	if (!m->config->pci)
		return bus_add(&m->pio, &cf9);
	ret = pcihp_init(&m->pcihp, &m->pio, board_eject, m);
	return ret ? ret : pci_init(&m->pci, &m->pio, &m->mmio, &pci);
}

static int init_com1(struct machine *m)
{
	struct chip_pin irq = {machine_irq, m, ISA_IRQ_COM1};

	if (!m->host->serial)
		return 0;
	m->com1_user = (struct console_user){com1_receive, com1_command, NULL,
					     m};
	return serial_init(&m->com1, &m->pio, ISA_PORT_COM1, &irq,
			   m->host->serial);
}

int board_init(struct machine *m, struct err *e)
{
	int ret;

	m->power = (struct power){board_power, m};
	ret = init_timer(m, e);
	if (ret)
		return ret;
	find_doorbells(m);
	ret = init_fixed(m);
	if (!ret)
		ret = init_com1(m);
	if (ret)
		return err_set(e, ret, "the board's ports collide: %s",
			       strerror(-ret));
	ret = fwitems_create(m, e);
	if (!ret)
		ret = virtio_create_all(m, e);
	if (!ret) /* in slots that nobody asked for */
		ret = board_init_optional(m, e);
	if (!ret && m->host->serial)
		console_attach(m->host->serial, CONSOLE_PORT, &m->com1_user);
	return ret;
}

void board_exit(struct machine *m)
{
	if (m->host->serial)
		console_attach(m->host->serial, CONSOLE_PORT, NULL);
	board_exit_optional(m);
	virtio_destroy_all(m);
	pci_exit(&m->pci);
	evloop_remove(m->timer_watch);
	m->timer_watch = NULL;
	if (m->timer >= 0)
		close(m->timer);
	m->timer = -1;
	fwcfg_destroy(m->fwcfg);
	m->fwcfg = NULL;
}
