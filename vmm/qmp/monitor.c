/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions. Requests come on the event loop's thread and are answered there
 * at once; events come on any thread. Both only queue their text.
 */
#include "vmm/qmp/monitor.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "host/console.h"
#include "host/evloop.h"
#include "lib/mono.h"
#include "vmm/machine.h"
#include "vmm/qmp/hmp.h"
#include "vmm/qmp/evlimit.h"
#include "vmm/qmp/lent/passed.h"

#define BACKLOG (1U << 20) /* bytes unread before requests wait */

struct monitor {
	struct monitors *all;
	struct console *console;
	struct console_user user;
	bool control;
	bool pretty;
	bool negotiated; /* under all->lock */
	struct passed passed;
	/* ---- the loop's thread ---- */
	struct json_stream stream;
	struct hmp_line line;
};

struct monitors {
	struct qmp qmp;
	struct chardevs *ports;
	int timer; /* of limited events */
	struct evloop_watch *watch;
	pthread_mutex_t lock; /* events and who gets them */
	struct evlimit limit;
	unsigned n;
	struct monitor v[CHARCONF_MAX];
};

static void send(struct monitor *mon, struct json_object *v)
{
	char *text = json_print(v, mon->pretty, "\r\n");

	if (text)
		console_queue(mon->console, text, strlen(text));
	free(text);
	json_object_put(v);
}

/*
 * The machine stays until the answer is sent, so that what the command led
 * to is told after it. Before the negotiation there may be none yet.
 */
static void answer(struct monitor *mon, struct json_object *request)
{
	struct monitors *all = mon->all;
	bool locks = mon->negotiated, negotiated = locks;

	if (locks)
		pthread_mutex_lock(&all->qmp.control->lock);
	all->qmp.passed = &mon->passed;
	send(mon, qmp_answer(&all->qmp, request, &negotiated));
	if (locks)
		pthread_mutex_unlock(&all->qmp.control->lock);
	pthread_mutex_lock(&all->lock);
	mon->negotiated = negotiated;
	pthread_mutex_unlock(&all->lock);
}

static size_t control_receive(void *opaque, const uint8_t *buf, size_t n)
{
	struct monitor *mon = opaque;
	struct json_object *request;
	size_t done = 0;
	int ret;

	while (done < n && console_backlog(mon->console) < BACKLOG) {
		struct err e = {0};

		request = NULL;
		done += json_stream_feed(&mon->stream, (const char *)buf + done,
					 n - done, &request, &ret, &e);
		if (ret > 0)
			answer(mon, request);
		else if (ret < 0)
			send(mon, qmp_parse_failed(&e));
		json_object_put(request);
	}
	return done;
}

static void control_event_of(void *opaque, enum console_event ev)
{
	struct monitor *mon = opaque;

	pthread_mutex_lock(&mon->all->lock);
	mon->negotiated = false;
	pthread_mutex_unlock(&mon->all->lock);
	json_stream_free(&mon->stream);
	if (ev == CONSOLE_OPENED)
		send(mon, qmp_greeting());
}

static size_t people_receive(void *opaque, const uint8_t *buf, size_t n)
{
	struct monitor *mon = opaque;
	size_t i;

	mon->all->qmp.passed = &mon->passed;
	for (i = 0; i < n && console_backlog(mon->console) < BACKLOG; i++)
		hmp_type(&mon->line, &mon->all->qmp, mon->console,
			 (char)buf[i]);
	return i;
}

static void people_event(void *opaque, enum console_event ev)
{
	struct monitor *mon = opaque;

	/* Beside a port, a monitor speaks when it is asked to. */
	if (ev == CONSOLE_FOCUS || (ev == CONSOLE_OPENED && !mon->line.shared))
		hmp_greet(&mon->line, mon->console);
}

/* A monitor's own console takes no commands; mux leaves them to the port. */
static void no_command(void *opaque, enum console_command cmd)
{
}

/* ---- events; m->lock held ---- */

static void tell_all(struct monitors *m, struct json_object *event)
{
	unsigned i;

	for (i = 0; i < m->n; i++)
		if (m->v[i].control && m->v[i].negotiated)
			send(&m->v[i], json_object_get(event));
}

static void set_timer(struct monitors *m)
{
	uint64_t due = evlimit_due(&m->limit);
	struct itimerspec at = {0};

	if (due != EVLIMIT_NEVER) {
		at.it_value.tv_sec = (time_t)(due / NS_PER_SEC);
		at.it_value.tv_nsec = (long)(due % NS_PER_SEC);
	}
	timerfd_settime(m->timer, TFD_TIMER_ABSTIME, &at, NULL);
}

static void on_event(void *ctx, const char *name, struct json_object *data)
{
	struct monitors *m = ctx;
	struct json_object *event = qmp_event_text(name, data);

	pthread_mutex_lock(&m->lock);
	if (evlimit_pass(&m->limit, event, mono_ns()))
		tell_all(m, event);
	set_timer(m);
	pthread_mutex_unlock(&m->lock);
	json_object_put(event);
}

static void on_timer(void *opaque, int revents)
{
	struct monitors *m = opaque;
	struct json_object *event;
	uint64_t n;

	if (read(m->timer, &n, sizeof(n)) < 0)
		return;
	pthread_mutex_lock(&m->lock);
	while ((event = evlimit_next(&m->limit, mono_ns()))) {
		tell_all(m, event);
		json_object_put(event);
	}
	set_timer(m);
	pthread_mutex_unlock(&m->lock);
}

static int open_timer(struct monitors *m, struct evloop *loop, struct err *e)
{
	m->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (m->timer >= 0)
		m->watch = evloop_add(loop, m->timer, POLLIN, on_timer, m);
	return m->watch ? 0 : err_set(e, -ENOMEM, "cannot time events");
}

static void attach(struct monitors *m, const struct charconf_monitor *conf)
{
	struct monitor *mon = &m->v[m->n++];

	*mon = (struct monitor){
		.all = m,
		.console = chardevs_find(m->ports, conf->chardev),
		.control = conf->control,
		.pretty = conf->pretty,
		.user = {conf->control ? control_receive : people_receive,
			 no_command,
			 conf->control ? control_event_of : people_event, mon},
	};
	mon->passed.console = mon->console;
	mon->line.shared =
		m->ports->conf
			->port[charconf_find(m->ports->conf, conf->chardev)]
			.mux;
	console_attach(mon->console, CONSOLE_MONITOR, &mon->user);
}

struct monitors *monitors_open(const struct charconf *c, struct chardevs *d,
			       const struct qmp *qmp, struct err *e)
{
	struct monitors *m = calloc(1, sizeof(*m));
	unsigned i;

	if (!m) {
		err_set(e, -ENOMEM, "out of memory");
		return NULL;
	}
	m->qmp = *qmp;
	m->qmp.monitors = m;
	m->ports = d;
	pthread_mutex_init(&m->lock, NULL);
	if (open_timer(m, qmp->host->loop, e)) {
		monitors_close(m);
		return NULL;
	}
	qmp->control->ctx = m;
	qmp->control->event = on_event;
	for (i = 0; i < c->monitors; i++)
		attach(m, &c->monitor[i]);
	return m;
}

void monitors_close(struct monitors *m)
{
	unsigned i;

	if (!m)
		return;
	for (i = 0; i < m->n; i++) {
		console_attach(m->v[i].console, CONSOLE_MONITOR, NULL);
		json_stream_free(&m->v[i].stream);
		passed_close(&m->v[i].passed);
	}
	m->qmp.control->event = NULL;
	evloop_remove(m->watch);
	if (m->timer >= 0)
		close(m->timer);
	evlimit_free(&m->limit);
	pthread_mutex_destroy(&m->lock);
	free(m);
}

struct chardevs *monitors_ports(const struct monitors *m)
{
	return m->ports;
}
