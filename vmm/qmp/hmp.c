/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines into commands.
 */
#include "vmm/qmp/hmp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/console.h"
#include "lib/keyval.h"
#include "vmm/qmp/lent/chardev.h"
#include "vmm/qmp/lent/hostfwd.h"
#include "vmm/qmp/type.h"

#define PROMPT "(lodge) "

/* Words of a line and QMP's members they become. */
static const struct hmp_command {
	const char *name;
	const char *alias; /* "" for none */
	const char *qmp;
	/*
	 * One member for each word: "name:type". A size is in MiB unless
	 * it says otherwise. "driver*" takes the rest, as an option's value,
	 * as members of their own.
	 */
	const char *args;
	const char *help;
	/* Instead of @qmp: takes the rest of the line. */
	int (*option)(struct qmp *q, const char *text, struct err *e);
} commands[] = {
	{"stop", "s", "stop", "", "stop the guest"},
	{"cont", "c", "cont", "", "let it go on"},
	{"system_reset", "", "system_reset", "", "reset the machine"},
	{"system_powerdown", "", "system_powerdown", "",
	 "press the power button"},
	{"system_wakeup", "", "system_wakeup", "", "wake a sleeping guest"},
	{"device_add", "", "device_add", "driver*:str",
	 "plug a device in, as -device has it"},
	{"device_del", "", "device_del", "id:str",
	 "have the guest let go of one"},
	{"netdev_add", "", "netdev_add", "type*:str", "as -netdev has it"},
	{"netdev_del", "", "netdev_del", "id:str", "one that nobody uses"},
	{"set_link", "", "set_link", "name:str up:bool",
	 "plug a card's cable in or pull it"},
	{"object_add", "", "object-add", "qom-type*:str", "as -object has it"},
	{"object_del", "", "object-del", "id:str", "one that nobody uses"},
	{"balloon", "", "balloon", "value:size",
	 "have the guest do with so much memory, in MiB"},
	{"block_resize", "", "block_resize", "device:str size:size",
	 "another size for a disk, in MiB"},
	{"block_set_io_throttle", "", "block_set_io_throttle",
	 "device:str bps:int bps_rd:int bps_wr:int iops:int iops_rd:int "
	 "iops_wr:int",
	 "limits of a disk, 0: none"},
	{"hostfwd_add", "", NULL, "[netdev:str] rule:str",
	 "listen for the guest: tcp|udp:[ADDR]:PORT-[ADDR]:PORT, "
	 "unix:PATH-[ADDR]:PORT",
	 lent_hostfwd_add},
	{"hostfwd_remove", "", NULL, "[netdev:str] rule:str",
	 "no more: tcp|udp:[ADDR]:PORT, unix:PATH", lent_hostfwd_remove},
	{"chardev-add", "", NULL, "args:str",
	 "one more port, as -chardev has it", lent_chardev_add},
	{"chardev-remove", "", "chardev-remove", "id:str",
	 "close a port that nobody uses"},
	{"chardev-send-break", "", "chardev-send-break", "id:str",
	 "a break, as Ctrl-A b sends it"},
	{"getfd", "", "getfd", "fdname:str",
	 "name a descriptor that came over the monitor's socket"},
	{"closefd", "", "closefd", "fdname:str", "close one of those"},
	{"screendump", "", "screendump", "filename:str",
	 "refused: there is no display"},
	{"quit", "q", "quit", "", "end the run"},
};

static void send_text(struct console *c, const char *text)
{
	size_t n;

	/* A terminal that is raw wants both. */
	for (; *text; text += n + (text[n] == '\n')) {
		n = strcspn(text, "\n");
		console_queue(c, text, n);
		if (text[n])
			console_queue(c, "\r\n", 2);
	}
}

void hmp_greet(struct hmp_line *l, struct console *c)
{
	l->used = 0;
	send_text(c, "Lodge " LODGE_VERSION
		     " monitor - type 'help' for more information\n" PROMPT);
}

static void print_help(FILE *out)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(out, "%s%s%s %s -- %s\n", commands[i].name,
			commands[i].alias[0] ? "|" : "", commands[i].alias,
			commands[i].args, commands[i].help);
	fputs("info NAME -- show something; info alone lists what\n"
	      "help -- this text\n",
	      out);
}

static const struct hmp_command *find(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i].name, name) ||
		    (commands[i].alias[0] && !strcmp(commands[i].alias, name)))
			return &commands[i];
	return NULL;
}

/* The next word of *@line, in place. */
static char *word(char **line)
{
	char *p = *line + strspn(*line, " \t");
	size_t len = strcspn(p, " \t");

	*line = p + len + !!p[len];
	p[len] = '\0';
	return p;
}

static struct json_object *value_of(const char *type, const char *text,
				    struct err *e)
{
	uint64_t n;
	bool on;

	if (!strcmp(type, "bool"))
		return keyval_bool(text, &on, e) ? NULL
						 : json_object_new_boolean(on);
	if (!strcmp(type, "int") || !strcmp(type, "size"))
		return keyval_size(text, type[0] == 's' ? 1 << 20 : 1, &n, e)
			       ? NULL
			       : json_object_new_int64((int64_t)n);
	return json_object_new_string(text);
}

/* "virtio-rng-pci,id=x": the first is @first, the rest are as they say. */
static int add_option(struct json_object *args, const char *first,
		      const char *text, struct err *e)
{
	struct keyval kv;
	int ret;

	while ((ret = keyval_next(&text, &kv, e)) > 0) {
		json_put_str(args, kv.bare ? first : kv.key, kv.value);
		first = "help"; /* of a bare word that comes later */
	}
	return ret;
}

static int fill_args(const char *spec, char *line, struct json_object *args,
		     struct err *e)
{
	struct json_object *v;
	struct qmp_member m;
	char *text;
	size_t len;

	while (qmp_member_next(&spec, &m)) {
		text = word(&line);
		len = strlen(m.name);
		if (!*text && m.optional)
			return 0;
		if (!*text)
			return err_set(e, -EINVAL, "%s is missing", m.name);
		if (m.name[len - 1] == '*') {
			m.name[len - 1] = '\0';
			if (add_option(args, m.name, text, e))
				return e->code;
			continue;
		}
		v = value_of(m.type, text, e);
		if (!v)
			return e->code;
		json_object_object_add(args, m.name, v);
	}
	text = word(&line);
	return *text ? err_set(e, -EINVAL, "'%s' is one too many", text) : 0;
}

static void run_qmp(struct qmp *q, const struct hmp_command *c, char *line,
		    FILE *out)
{
	struct json_object *args = json_object_new_object(), *ret = NULL;
	struct err e = {0};

	if (fill_args(c->args, line, args, &e) ||
	    qmp_run(q, qmp_command_find(c->qmp), args, &ret, &e))
		fprintf(out, "Error: %s\n", e.msg);
	json_object_put(args);
	json_object_put(ret);
}

static void run_option(struct qmp *q, const struct hmp_command *c,
		       const char *text, FILE *out)
{
	struct err e = {0};

	if (c->option(q, text, &e))
		fprintf(out, "Error: %s\n", e.msg);
}

void hmp_run(struct qmp *q, const char *line, FILE *out)
{
	char copy[HMP_LINE], *rest = copy, *name;
	const struct hmp_command *c;

	snprintf(copy, sizeof(copy), "%s", line);
	name = word(&rest);
	c = find(name);
	if (!q->control->machine)
		fputs("the machine has ended\n", out);
	else if (c && c->option)
		run_option(q, c, rest + strspn(rest, " \t"), out);
	else if (c)
		run_qmp(q, c, rest, out);
	else if (!strcmp(name, "info"))
		hmp_info(q, word(&rest), out);
	else if (!strcmp(name, "help") || !strcmp(name, "?"))
		print_help(out);
	else if (*name)
		fprintf(out, "unknown command: '%s'\n", name);
}

static void run_line(struct hmp_line *l, struct qmp *q, struct console *c)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	l->text[l->used] = '\0';
	l->used = 0;
	send_text(c, "\n");
	if (!out)
		return;
	pthread_mutex_lock(&q->control->lock);
	hmp_run(q, l->text, out);
	pthread_mutex_unlock(&q->control->lock);
	if (!fclose(out))
		send_text(c, text);
	free(text);
	send_text(c, PROMPT);
}

/* True for a byte of an escape sequence, as arrow keys send them. */
static bool skips(struct hmp_line *l, char byte)
{
	if (byte == 27)
		l->escape = 1;
	else if (l->escape == 1)
		l->escape = byte == '[' || byte == 'O' ? 2 : 0;
	else if (l->escape == 2 && byte >= '@')
		l->escape = 0;
	else
		return l->escape;
	return true;
}

static void erase(struct hmp_line *l, struct console *c, size_t n)
{
	for (; n && l->used; n--, l->used--)
		send_text(c, "\b \b");
}

void hmp_type(struct hmp_line *l, struct qmp *q, struct console *c, char byte)
{
	bool after_cr = l->cr;

	l->cr = byte == '\r';
	if (skips(l, byte))
		return;
	switch (byte) {
	case '\n':
		if (!after_cr)
			run_line(l, q, c);
		return;
	case '\r': run_line(l, q, c); return;
	case 8:
	case 127: erase(l, c, 1); return;
	case 3: /* Ctrl-C */
	case 21: /* Ctrl-U */ erase(l, c, l->used); return;
	default: break;
	}
	if ((unsigned char)byte < 32 || l->used == HMP_LINE - 1)
		return;
	l->text[l->used++] = byte;
	console_queue(c, &byte, 1);
}
