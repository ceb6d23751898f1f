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
#include "vmm/machine.h"
#include "vmm/stop.h"

static struct tty main_tty;

struct session {
	struct config *config;
	struct stop stop;
	struct hv hv;
	struct cpu_accel accel;
	struct cpu_def cpu;
	struct evloop *loop;
	struct console *serial;
	struct console *debugcon;
	struct fwdata fw;
	int signals; /* signalfd */
};

/* One line for the operator, with the guest's name when it has one. */
static void say(const struct config *c, const char *fmt, ...) __printf(2, 3);

static void say(const struct config *c, const char *fmt, ...)
{
	va_list ap;

	fputs("lodge: ", stderr);
	if (c->name)
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
	else
		stop_request(&s->stop, STOP_SIGNAL, (int)info.ssi_signo);
}

/* Signals that end the session, but those it was started to ignore. */
static int catch_signals(struct session *s, struct err *e)
{
	static const int ours[] = {SIGINT, SIGTERM, SIGHUP, SIGCONT};
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

static int open_port(struct session *s, const struct config_chardev *port,
		     const char *option, struct console **out, struct err *e)
{
	*out = NULL;
	switch (port->kind) {
	case CHAR_NONE: return 0;
	case CHAR_NULL: *out = console_open_null(e); break;
	case CHAR_FILE: *out = console_open_file(port->path, e); break;
	case CHAR_STDIO:
	case CHAR_MON_STDIO:
		*out = console_open_stdio(s->loop, &main_tty, STDIN_FILENO,
					  STDOUT_FILENO,
					  port->kind == CHAR_MON_STDIO, e);
		break;
	}
	return *out ? 0 : err_wrap(e, "%s", option);
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

static int session_open(struct session *s, struct err *e)
{
	char why[sizeof(e->msg) + 128];
	const struct config *c = s->config;
	int ret;

	ret = accel_open(&s->hv, c->accel, why, sizeof(why), e);
	if (ret)
		return err_wrap(e, "-accel");
	if (why[0])
		say(c, "%s", why);
	ret = resolve_cpu(s, e);
	if (ret)
		return err_wrap(e, "-cpu");
	s->loop = evloop_create(e);
	if (!s->loop)
		return e->code;
	ret = catch_signals(s, e);
	if (!ret)
		ret = open_port(s, &c->serial, "-serial", &s->serial, e);
	if (!ret)
		ret = open_port(s, &c->debugcon, "-debugcon", &s->debugcon, e);
	if (!ret)
		ret = backends_open(&s->config->dev.backends, e);
	if (!ret)
		ret = fwdata_read(&s->fw, &c->fw, e);
	return ret;
}

static void session_close(struct session *s)
{
	tty_restore(&main_tty);
	console_close(s->serial);
	console_close(s->debugcon);
	backends_close(&s->config->dev.backends);
	fwdata_free(&s->fw);
	evloop_destroy(s->loop);
	table_drop(&s->accel);
	if (s->signals >= 0)
		close(s->signals);
	hv_close(&s->hv);
}

static bool reboots(struct session *s)
{
	return !s->config->no_reboot && stop_rearm(&s->stop);
}

static int session_run(struct session *s, struct err *e)
{
	const struct machine_host host = {
		.hv = &s->hv,
		.config = s->config,
		.dev = &s->config->dev,
		.loop = s->loop,
		.serial = s->serial,
		.debugcon = s->debugcon,
		.stop = &s->stop,
		.cpu = &s->cpu,
		.fw = &s->fw,
	};
	int ret;

	do {
		ret = machine_run(&host, e);
	} while (!ret && reboots(s));
	return ret;
}

/* Nobody else is running any more. */
static int exit_status(const struct session *s)
{
	const struct stop *stop = &s->stop;

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

int vmm_main(struct config *config)
{
	struct session s = {
		.config = config,
		.hv = {.fd = -1},
		.signals = -1,
	};
	struct err e = {0};
	int ret;

	catch_fatal();
	vcpu_install_kick();
	stop_init(&s.stop);
	ret = session_open(&s, &e);
	if (!ret)
		ret = session_run(&s, &e);
	session_close(&s);
	if (ret)
		say(config, "%s", e.msg);
	ret = ret ? EXITCODE_START : exit_status(&s);
	stop_destroy(&s.stop);
	return ret;
}
