/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What surrounds a machine: the terminal, the signals, the choice of a KVM,
 * and the loop of resets. The only file of the room with state of its own:
 * a handler of fatal signals can reach nothing else.
 */
#include "vmm/main.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "host/console.h"
#include "host/evloop.h"
#include "host/tty.h"
#include "vmm/accel.h"
#include "vmm/run/chardev.h"
#include "vmm/run/charport.h"
#include "vmm/run/control.h"
#include "vmm/run/daemon.h"
#include "vmm/run/disks.h"
#include "vmm/machine.h"
#include "vmm/qmp/monitor.h"
#include "vmm/run/nic.h"
#include "vmm/root/root.h"
#include "vmm/stop.h"

static struct tty main_tty;

struct session {
	struct config *config;
	struct stop stop;
	struct control control;
	struct hv hv;
	struct cpu_accel accel;
	struct cpu_def cpu;
	struct evloop *loop;
	struct chardevs chardevs;
	struct monitors *monitors;
	struct machine_host host;
	struct fwdata fw;
	int signals; /* signalfd */
	int parent;  /* who waits until the guest runs, -1: nobody */
	int pidfile; /* -1: none */
};

/* One line for the operator, with the guest's name when it has one. */
static void say(const struct config *c, const char *fmt, ...) __printf(2, 3);

static void say(const struct config *c, const char *fmt, ...)
{
	va_list ap;

	fputs("lodge: ", stderr);
	if (c->name[0])
		fprintf(stderr, "%s: ", c->name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

static void on_fatal(int sig)
{
	tty_restore(&main_tty);
	signal(sig, SIG_DFL);
	raise(sig);
}

/* Before a KVM is opened: its own handlers must come on top of these. */
static void catch_fatal(void)
{
	static const int fatal[] = {SIGABRT, SIGSEGV, SIGBUS,
				    SIGILL,  SIGFPE,  SIGQUIT};
	struct sigaction sa = {.sa_handler = on_fatal};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fatal); i++)
		sigaction(fatal[i], &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static void on_signal(void *opaque, int revents)
{
	struct session *s = opaque;
	struct signalfd_siginfo info;

	if (read(s->signals, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGCONT)
		tty_resume(&main_tty);
	else if (root_signal(s->config->root, (int)info.ssi_signo))
		;
	else if (info.ssi_signo == SIGWINCH)
		chardevs_resized(&s->chardevs);
	else
		stop_request(&s->stop, STOP_SIGNAL, (int)info.ssi_signo);
}

/* Signals that end the session, but those it was started to ignore. */
static int catch_signals(struct session *s, struct err *e)
{
	static const int ours[] = {SIGINT, SIGTERM, SIGHUP, SIGCONT, SIGWINCH};
	struct sigaction old;
	sigset_t set;
	size_t i;

	sigemptyset(&set);
	for (i = 0; i < ARRAY_SIZE(ours); i++)
		if (!sigaction(ours[i], NULL, &old) &&
		    old.sa_handler != SIG_IGN)
			sigaddset(&set, ours[i]);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	s->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s->signals < 0 ||
	    !evloop_add(s->loop, s->signals, POLLIN, on_signal, s))
		return err_set(e, -EIO, "cannot take over the signals");
	return 0;
}

/* One line about what was asked for and cannot be had. */
static void say_missing(const struct session *s)
{
	char names[400];
	unsigned w;

	for (w = 0; w < CPUID_MODEL_WORDS; w++)
		if (s->cpu.missing[w])
			break;
	if (w == CPUID_MODEL_WORDS || !s->cpu.check)
		return;
	feature_list(s->cpu.missing, names, sizeof(names));
	say(s->config, "-cpu %s: %s does not have: %s", s->config->cpu.cpu.name,
	    s->hv.ops->what, names);
}

static int resolve_cpu(struct session *s, struct err *e)
{
	int ret = table_ask(&s->accel, &s->hv, e);

	if (!ret)
		ret = cpu_def_resolve(&s->cpu, &s->config->cpu.cpu, &s->accel,
				      e);
	if (!ret)
		say_missing(s);
	return ret;
}

static int open_monitors(struct session *s, struct err *e)
{
	struct config *c = s->config;
	const struct qmp qmp = {
		.control = &s->control,
		.config = c,
		.host = &s->host,
		.accel = &s->accel,
	};

	s->host = (struct machine_host){
		.hv = &s->hv,
		.config = c,
		.dev = &s->config->dev,
		.loop = s->loop,
		.serial = chardevs_find(&s->chardevs, c->serial),
		.debugcon = chardevs_find(&s->chardevs, c->debugcon),
		.stop = &s->stop,
		.control = &s->control,
		.cpu = &s->cpu,
		.fw = &s->fw,
	};
	c->dev.io_error = control_io_error;
	c->dev.net_peer = nic_tell_peer;
	c->dev.io_ctx = &s->control;
	if (control_watch(&s->control, s->loop, e))
		return e->code;
	s->monitors = monitors_open(&c->chars, &s->chardevs, &qmp, e);
	return s->monitors ? 0 : e->code;
}

static int session_open(struct session *s, struct err *e)
{
	char why[sizeof(e->msg) + 128];
	const struct config *c = s->config;
	int ret;

	ret = accel_open(&s->hv, &c->accels, why, sizeof(why), e);
	if (ret)
		return err_wrap(e, "-accel");
	if (why[0])
		say(c, "%s", why);
	ret = resolve_cpu(s, e);
	if (ret)
		return err_wrap(e, "-cpu");
	s->loop = evloop_create("events", e);
	if (!s->loop)
		return e->code;
	ret = catch_signals(s, e);
	if (!ret)
		ret = chardevs_open(&s->chardevs, &s->config->chars, s->loop,
				    &main_tty, e);
	s->config->dev.loop = s->loop;
	charports_connect(&s->config->dev.backends, &s->chardevs);
	if (!ret)
		ret = backends_open(&s->config->dev.backends, e);
	if (!ret)
		ret = root_start(c->root, &s->stop, &main_tty, e);
	if (!ret)
		ret = fwdata_read(&s->fw, &c->fw, e);
	return ret ? ret : open_monitors(s, e);
}

static void complain(void *ctx, const char *text)
{
	say(ctx, "%s", text);
}

/*
 * Requests of some disk may end yet, and then write to guest memory: all of it
 * stays but for what would outlive the process.
 */
static void leave_all(struct session *s) __attribute__((noreturn));

static void leave_all(struct session *s)
{
	root_stop(s->config->root);
	tty_restore(&main_tty);
	disks_complain(&s->config->dev.backends, complain, s->config);
	if (s->pidfile >= 0)
		unlink(s->config->pidfile);
	_exit(EXITCODE_DISK);
}

static void session_close(struct session *s)
{
	root_stop(s->config->root);
	tty_restore(&main_tty);
	monitors_close(s->monitors);
	control_unwatch(&s->control);
	chardevs_close(&s->chardevs);
	backends_close(&s->config->dev.backends);
	fwdata_free(&s->fw);
	evloop_destroy(s->loop);
	table_drop(&s->accel);
	if (s->signals >= 0)
		close(s->signals);
	if (s->pidfile >= 0) {
		unlink(s->config->pidfile);
		close(s->pidfile);
	}
	hv_close(&s->hv);
}

/* Nobody else is running; the reason is left for exit_status(). */
static bool reboots(struct session *s)
{
	enum stop_reason reason = s->stop.reason;

	return stop_is_reset(reason) && !s->config->action.reboot_ends &&
	       stop_rearm(&s->stop, reason);
}

static int session_run(struct session *s, struct err *e)
{
	int ret;

	if (s->config->pidfile) {
		s->pidfile = pidfile_create(s->config->pidfile, e);
		if (s->pidfile < 0)
			return s->pidfile;
	}
	chardevs_wait(&s->chardevs, &s->stop);
	if (stop_asked(&s->stop))
		return 0;
	s->control.parent = s->parent;
	do {
		ret = machine_run(&s->host, e);
		if (s->control.abandoned)
			leave_all(s);
	} while (!ret && reboots(s));
	return ret;
}

/* The command's, or what kept it from ending. */
static int root_status(const struct session *s)
{
	const char *why = root_complaint(s->config->root);

	if (s->stop.reason == STOP_COMMAND && !why[0])
		return s->stop.code;
	if (why[0])
		say(s->config, "the guest did not come to the command: %s",
		    why);
	else if (s->stop.reason != STOP_QUIT)
		say(s->config, "the guest ended before the command did; "
			       "-serial stdio shows what it says");
	return ROOT_FAILED;
}

/* Nobody else is running any more. */
static int exit_status(const struct session *s)
{
	const struct stop *stop = &s->stop;

	if (s->config->root && stop->reason != STOP_SIGNAL)
		return root_status(s);
	switch (stop->reason) {
	case STOP_DEBUG_EXIT: return stop->code & 0xff;
	case STOP_SIGNAL: return EXITCODE_SIGNAL + stop->code;
	case STOP_PANIC:
		say(s->config, "the guest panicked");
		return EXITCODE_PANIC;
	case STOP_TRIPLE_FAULT:
		say(s->config, "the guest ended with a triple fault");
		return EXITCODE_TRIPLE_FAULT;
	case STOP_INTERNAL:
		say(s->config, "%s", stop->err.msg);
		return EXITCODE_INTERNAL;
	default: return EXITCODE_OK;
	}
}

static int session(struct config *config, int parent)
{
	struct session s = {
		.config = config,
		.hv = {.fd = -1},
		.signals = -1,
		.parent = parent,
		.pidfile = -1,
	};
	struct err e = {0};
	int ret;

	catch_fatal();
	vcpu_install_kick();
	stop_init(&s.stop);
	control_init(&s.control, &config->action, &s.stop, config->stopped);
	ret = session_open(&s, &e);
	if (!ret)
		ret = session_run(&s, &e);
	control_end(&s.control);
	session_close(&s);
	if (ret)
		say(config, "%s", e.msg);
	ret = ret ? EXITCODE_START : exit_status(&s);
	control_destroy(&s.control);
	stop_destroy(&s.stop);
	return ret;
}

int vmm_main(struct config *config)
{
	struct err e = {0};
	int parent = -1, status, ret;

	ret = config->daemonize ? daemon_split(&parent, &status, &e) : 0;
	if (ret > 0)
		return status;
	if (ret < 0) {
		say(config, "%s", e.msg);
		return EXITCODE_START;
	}
	return session(config, parent);
}
