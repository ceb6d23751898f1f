/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QMP under bad input: requests that make sense, mutated, or any text, in
 * pieces of any size, on a machine without a guest. Whatever comes, each answer
 * is one that a client can read, and a new session begins well.
 */
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/evloop.h"
#include "lib/check.h"
#include "lib/fuzz.h"
#include "vmm/hv.h"
#include "vmm/machine.h"
#include "vmm/qmp/command.h"
#include "vmm/qmp/hmp.h"
#include "vmm/qmp/monitor.h"
#include "vmm/virtio.h"

#define TEXT_MAX 4096

static const char *const requests[] = {
	"{\"execute\":\"qmp_capabilities\"}",
	"{\"execute\":\"qmp_capabilities\",\"arguments\":{\"enable\":[]}}",
	"{\"execute\":\"query-status\",\"id\":{\"a\":[1,2.5,null,\"\\u00e9\"]}"
	"}",
	"{\"execute\":\"query-commands\"}{\"execute\":\"query-qmp-schema\"}",
	"{\"execute\":\"query-cpus-fast\",\"arguments\":{}}",
	"{\"execute\":\"query-cpu-model-expansion\",\"arguments\":"
	"{\"type\":\"full\",\"model\":{\"name\":\"Conroe\","
	"\"props\":{\"avx\":false,\"model-id\":\"x\"}}}}",
	"{\"execute\":\"query-pci\"}\r\n{\"execute\":\"query-block\"}",
	"{\"execute\":\"stop\"}{\"execute\":\"system_powerdown\"}",
	"{\"execute\":\"device_add\",\"arguments\":{\"driver\":"
	"\"virtio-rng-pci\",\"id\":\"a\",\"addr\":\"4\"}}",
	"{\"execute\":\"device_del\",\"arguments\":{\"id\":\"a\"}}",
	"{\"execute\":\"x-query-virtio\"}",
	"{\"execute\":\"x-query-virtio-status\",\"arguments\":{\"path\":"
	"\"/machine/peripheral/a/virtio-backend\"}}",
	"{\"execute\":\"x-query-virtio-queue-element\",\"arguments\":{\"path\":"
	"\"/machine/peripheral/a/virtio-backend\",\"queue\":0,\"index\":1}}",
	"{\"execute\":\"qom-list\",\"arguments\":{\"path\":"
	"\"/machine/peripheral/a\"}}",
	"{\"execute\":\"qom-get\",\"arguments\":{\"path\":\"a\","
	"\"property\":\"vectors\"}}",
	"{\"execute\":\"qom-list-types\",\"arguments\":{\"implements\":"
	"\"device\",\"abstract\":true}}",
	"{\"execute\":\"device-list-properties\",\"arguments\":"
	"{\"typename\":\"virtio-net-pci\"}}",
	"{\"execute\":\"set_link\",\"arguments\":{\"name\":\"a\",\"up\":true}}",
	"{\"execute\":\"query-rx-filter\",\"arguments\":{\"name\":\"n\"}}",
	"{\"execute\":\"netdev_del\",\"arguments\":{\"id\":\"n\"}}",
	"{\"execute\":\"human-monitor-command\",\"arguments\":"
	"{\"command-line\":\"info pci\"}}",
	"{\"execute\":\"human-monitor-command\",\"arguments\":"
	"{\"command-line\":\"device_add virtio-rng-pci,id=b\"}}",
	"{\"execute\":\"screendump\",\"arguments\":{\"filename\":\"x\"}}",
	"[1,2,{\"a\":[[[]]]}] \"x\" 17 nonsense }",
	"{'execute':'query-name'}\xff{}",
};

static const char *const words[] = {
	"\"",
	"{",
	"}",
	"[",
	"]",
	":",
	",",
	"\\",
	"\\u0000",
	"null",
	"true",
	"1e999",
	"-1",
	"\"id\"",
	"\"arguments\"",
	"\"execute\"",
	"18446744073709551616",
	"\n",
	"\xff",
	"\\ud800",
	"virtio-net-pci",
	"/virtio-backend",
	"help",
	"info ",
};

struct fuzz {
	struct config config;
	struct stop stop;
	struct control control;
	struct cpu_def cpu;
	struct hv hv;
	struct machine_host host;
	struct machine *machine;
	struct chardevs ports;
	struct qmp qmp;
	unsigned long texts, answers;
};

static size_t insert(char *text, size_t len, size_t at, const char *what,
		     size_t n)
{
	if (len + n >= TEXT_MAX)
		return len;
	memmove(text + at + n, text + at, len - at);
	memcpy(text + at, what, n);
	return len + n;
}

static size_t mutate(char *text, size_t len)
{
	size_t at = fuzz_below((uint32_t)len + 1), n;
	const char *other;

	switch (fuzz_below(5)) {
	case 0:
		if (at < len)
			text[at] = (char)fuzz_below(256);
		return len;
	case 1:
		n = fuzz_below(8);
		n = MIN(n, len - at);
		memmove(text + at, text + at + n, len - at - n);
		return len - n;
	case 2:
		other = words[fuzz_below(ARRAY_SIZE(words))];
		return insert(text, len, at, other, strlen(other));
	case 3:
		other = requests[fuzz_below(ARRAY_SIZE(requests))];
		return insert(text, len, at, other, strlen(other));
	default:
		n = fuzz_below(40);
		while (n--)
			len = insert(text, len, at, &"[{\"a\":"[fuzz_below(2)],
				     1);
		return len;
	}
}

/* What would touch this host: files and networks by any name. */
static bool harmless(struct json_object *request)
{
	static const char *const not [] = {"netdev_add", "blockdev-add",
					   "chardev", "fsdev"};
	const char *text = json_object_to_json_string(request);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(not ); i++)
		if (strstr(text, not [i]))
			return false;
	return true;
}

static void check_answer(struct fuzz *f, struct json_object *answer)
{
	struct json_object *again, *v;
	char *text = json_print(answer, fuzz_below(2), "\r\n");

	ASSERT(text);
	again = json_tokener_parse(text);
	ASSERT(json_object_is_type(again, json_type_object));
	if (json_object_object_get_ex(again, "error", &v))
		ASSERT(json_get_str(v, "class") && json_get_str(v, "desc"));
	else
		ASSERT(json_object_object_get_ex(again, "return", &v));
	f->answers++;
	json_object_put(again);
	json_object_put(answer);
	free(text);
}

static void feed(struct fuzz *f, const char *text, size_t len, bool negotiated)
{
	struct json_stream s = {0};
	struct json_object *request;
	size_t at = 0, n;
	int ret;

	while (at < len) {
		struct err e = {0};

		request = NULL;
		n = fuzz_below(64) + 1;
		n = MIN(n, len - at);
		n = json_stream_feed(&s, text + at, n, &request, &ret, &e);
		at += n;
		f->texts += !!ret;
		if (ret < 0)
			check_answer(f, qmp_parse_failed(&e));
		else if (ret > 0 && harmless(request))
			check_answer(f,
				     qmp_answer(&f->qmp, request, &negotiated));
		json_object_put(request);
	}
	json_stream_free(&s);
}

static void round_of(struct fuzz *f)
{
	const char *first = requests[fuzz_below(ARRAY_SIZE(requests))];
	size_t len = strlen(first), n = fuzz_below(8);
	char text[TEXT_MAX];

	memcpy(text, first, len);
	while (n--)
		len = mutate(text, len);
	feed(f, text, len, fuzz_below(8));
	if (!fuzz_below(16)) {
		FILE *out = fopen("/dev/null", "w");
		char line[HMP_LINE];

		ASSERT(out);
		n = MIN(len, sizeof(line) - 1);
		memcpy(line, text, n);
		line[n] = '\0';
		if (!strstr(line, "netdev_add"))
			hmp_run(&f->qmp, line, out);
		fclose(out);
	}
}

static int no_ioctl(void *priv, int fd, unsigned long req, unsigned long arg)
{
	return -EINVAL;
}

static void no_intx(void *ctx, unsigned line, bool level)
{
}

static void no_msi(void *ctx, uint64_t address, uint32_t data)
{
}

static uint64_t no_read(void *ctx, uint64_t offset, unsigned size)
{
	return 0;
}

static void no_write(void *ctx, uint64_t offset, unsigned size, uint64_t val)
{
}

static void ejected(void *ctx, unsigned slot)
{
}

static void make_machine(struct fuzz *f)
{
	static const struct hv_ops ops = {.what = "nobody", .ioctl = no_ioctl};
	static const struct bus_ops cf9 = {no_read, no_write};
	const struct pci_board board = {
		.ecam = 0xe0000000,
		.ecam_size = 1 << 20,
		.cf9_ops = &cf9,
		.window = {{0xc0000000, 0xe0000000}, {0x1000, 0xa000}},
		.intx = no_intx,
		.msi = no_msi,
	};
	struct machine *m = calloc(1, sizeof(*m));

	ASSERT(m);
	f->hv = (struct hv){.ops = &ops, .fd = -1};
	f->host = (struct machine_host){
		.hv = &f->hv,
		.config = &f->config,
		.dev = &f->config.dev,
		.stop = &f->stop,
		.control = &f->control,
		.cpu = &f->cpu,
		.loop = evloop_create("test", NULL),
	};
	ASSERT(f->host.loop);
	m->hv = &f->hv;
	m->config = &f->config;
	m->stop = &f->stop;
	m->host = &f->host;
	m->dev = &f->config.dev;
	m->timer = -1;
	m->vcpus = calloc(1, sizeof(*m->vcpus));
	pthread_mutex_init(&m->lock, NULL);
	gate_init(&m->gate, &f->stop, true);
	ASSERT(!pci_init(&m->pci, &m->pio, &m->mmio, &board));
	ASSERT(!pcihp_init(&m->pcihp, &m->pio, ejected, m));
	f->machine = m;
}

static void free_machine(struct fuzz *f)
{
	struct machine *m = f->machine;

	virtio_destroy_all(m);
	devconf_exit(&f->config.dev);
	pci_exit(&m->pci);
	gate_destroy(&m->gate);
	control_end(&f->control);
	control_destroy(&f->control);
	stop_destroy(&f->stop);
	pthread_mutex_destroy(&m->lock);
	free(m->vcpus);
	free(m);
}

static struct fuzz *fuzz;

static void begin(void)
{
	static struct cpu_accel accel = {.kind = CPU_ACCEL_NONE};
	struct fuzz *f = fuzz = calloc(1, sizeof(*f));
	struct err e = {0};

	ASSERT(f);
	config_init(&f->config);
	f->config.kernel = "none";
	ASSERT(!config_serial(&f->config, "none", &e));
	ASSERT(!config_check(&f->config, &e));
	strcpy(f->config.cpu.cpu.name, "max");
	ASSERT(!cpu_def_resolve(&f->cpu, &f->config.cpu.cpu, &accel, &e));
	stop_init(&f->stop);
	make_machine(f);
	control_init(&f->control, &f->config.action, &f->stop, true);
	f->control.machine = f->machine;
	f->ports.conf = &f->config.chars;
	f->ports.loop = f->host.loop;
	f->qmp = (struct qmp){.control = &f->control,
			      .config = &f->config,
			      .host = &f->host,
			      .accel = &accel};
	f->qmp.monitors = monitors_open(&f->config.chars, &f->ports, &f->qmp,
					&e);
	ASSERT(f->qmp.monitors);
}

/* Any text as it is, or choices of what is made from requests. */
static void one(void)
{
	const uint8_t *text;
	size_t len;

	if (fuzz_below(2)) {
		round_of(fuzz);
		return;
	}
	text = fuzz_rest(&len);
	feed(fuzz, (const char *)text, len, true);
}

static void end(void)
{
	struct fuzz *f = fuzz;

	monitors_close(f->qmp.monitors);
	evloop_destroy(f->host.loop);
	free_machine(f);
	printf("%lu texts, %lu answers\n", f->texts, f->answers);
	free(f);
}

static const struct fuzz_target target = {one, begin, end};

FUZZ_TARGET(target)
