/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two spellings of a port: keys behind -chardev, and a word with a colon.
 */
#include "vmm/run/charconf.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/keyval.h"

static const char *const kinds[] = {
	[CHARCONF_STDIO] = "stdio",   [CHARCONF_NULL] = "null",
	[CHARCONF_FILE] = "file",     [CHARCONF_PTY] = "pty",
	[CHARCONF_SOCKET] = "socket",
};

#define ANY    BIT(31)
#define OF(k)  BIT(CHARCONF_##k)
#define AT(f)  offsetof(struct charconf_port, f)
#define TXT(f) AT(f), sizeof(((struct charconf_port *)0)->f)

/* Keys and whose they are; size 0: a bool. */
static const struct {
	const char *name;
	unsigned of; /* bits of kinds */
	size_t offset, size;
} keys[] = {
	{"id", ANY, TXT(id)},
	{"mux", ANY, AT(mux), 0},
	{"path", OF(FILE) | OF(SOCKET), TXT(path)},
	{"host", OF(SOCKET), TXT(host)},
	{"port", OF(SOCKET), TXT(port)},
	{"fd", OF(SOCKET), TXT(fd)},
	{"server", OF(SOCKET), AT(server), 0},
	{"wait", OF(SOCKET), AT(wait), 0},
	{"nodelay", OF(SOCKET), AT(nodelay), 0},
	{"delay", OF(SOCKET), AT(nodelay), 0},
	{"reconnect", OF(SOCKET), TXT(reconnect)},
	{"reconnect-ms", OF(SOCKET), TXT(reconnect_ms)},
	{"append", OF(FILE), AT(append), 0},
	{"signal", OF(STDIO), AT(signal), 0},
};

static bool belongs(unsigned of, enum charconf_kind kind)
{
	return of == ANY || of & BIT(kind);
}

static void print_help(void)
{
	unsigned kind;
	size_t i;

	for (kind = 0; kind < ARRAY_SIZE(kinds); kind++) {
		printf("%s:", kinds[kind]);
		for (i = 0; i < ARRAY_SIZE(keys); i++)
			if (belongs(keys[i].of, kind))
				printf(" %s=%s", keys[i].name,
				       keys[i].size ? "TEXT" : "on|off");
		puts("");
	}
}

static int copy(char *to, size_t size, const char *text, struct err *e)
{
	if (strlen(text) >= size)
		return err_set(e, -EINVAL, "'%s' is too long", text);
	strcpy(to, text);
	return 0;
}

/* "server", "nowait": on and off without a value. */
static void spell_out(struct keyval *kv)
{
	bool off = !strncmp(kv->value, "no", 2) && strcmp(kv->value, "nodelay");

	if (!kv->bare)
		return;
	memmove(kv->key, kv->value + 2 * off, strlen(kv->value + 2 * off) + 1);
	strcpy(kv->value, off ? "off" : "on");
	kv->bare = false;
}

static int set_key(struct charconf_port *p, struct keyval *kv, struct err *e)
{
	char *to;
	size_t i;
	int ret;

	spell_out(kv);
	for (i = 0; i < ARRAY_SIZE(keys); i++)
		if (!strcmp(keys[i].name, kv->key) &&
		    belongs(keys[i].of, p->kind))
			break;
	if (i == ARRAY_SIZE(keys))
		return err_set(e, -EINVAL, "%s has no '%s' (help lists them)",
			       kinds[p->kind], kv->key);
	to = (char *)p + keys[i].offset;
	if (keys[i].size)
		return copy(to, keys[i].size, kv->value, e);
	ret = keyval_bool(kv->value, (bool *)to, e);
	if (!ret && !strcmp(kv->key, "delay"))
		p->nodelay = !p->nodelay;
	return ret ? err_wrap(e, "%s", kv->key) : 0;
}

/* A row that counts from finish() on; NULL when all are taken. */
static struct charconf_port *begin(struct charconf *c, enum charconf_kind kind,
				   struct err *e)
{
	struct charconf_port *p = &c->port[c->ports];

	if (c->ports == CHARCONF_MAX) {
		err_set(e, -ENOSPC, "more than %d ports", CHARCONF_MAX);
		return NULL;
	}
	*p = (struct charconf_port){
		.kind = kind,
		.wait = true,
		.signal = true,
	};
	return p;
}

static int check_socket(const struct charconf_port *p, struct err *e)
{
	unsigned places = !!p->path[0] + !!p->port[0] + !!p->fd[0];
	uint64_t n;

	if (!places)
		return err_set(e, -EINVAL, "path=, port= or fd= is missing");
	if (places > 1)
		return err_set(e, -EINVAL,
			       "path=, port= and fd= exclude another");
	return p->fd[0] ? keyval_number(p->fd, 0, INT32_MAX, &n, e) : 0;
}

static int finish(struct charconf *c, struct charconf_port *p, struct err *e)
{
	int ret;

	if (!p->id[0])
		return err_set(e, -EINVAL, "id= is missing");
	if (charconf_find(c, p->id) >= 0)
		return err_set(e, -EINVAL, "a second '%s'", p->id);
	if (p->kind == CHARCONF_FILE && !p->path[0])
		return err_set(e, -EINVAL, "path= is missing");
	ret = p->kind == CHARCONF_SOCKET ? check_socket(p, e) : 0;
	c->ports += !ret;
	return ret;
}

const char *charconf_kind_name(unsigned kind)
{
	return kind < ARRAY_SIZE(kinds) ? kinds[kind] : NULL;
}

const char *charconf_key(unsigned i, bool *is_bool)
{
	if (i >= ARRAY_SIZE(keys))
		return NULL;
	*is_bool = !keys[i].size;
	return keys[i].name;
}

int charconf_find(const struct charconf *c, const char *id)
{
	unsigned i;

	for (i = 0; i < c->ports; i++)
		if (!strcmp(c->port[i].id, id))
			return (int)i;
	return -ENOENT;
}

int charconf_chardev(struct charconf *c, const char *arg, struct err *e)
{
	struct charconf_port *p;
	struct keyval kv;
	unsigned kind;
	int ret = keyval_next(&arg, &kv, e);

	if (ret <= 0)
		return ret ? ret : err_set(e, -EINVAL, "no kind given");
	if (kv.bare && !strcmp(kv.value, "help")) {
		print_help();
		return 1;
	}
	if (!kv.bare && strcmp(kv.key, "backend"))
		return err_set(e, -EINVAL, "no kind given");
	for (kind = 0; kind < ARRAY_SIZE(kinds); kind++)
		if (!strcmp(kv.value, kinds[kind]))
			break;
	if (kind == ARRAY_SIZE(kinds))
		return err_set(e, -EINVAL,
			       "'%s' is not one of stdio, null, file, pty, "
			       "socket",
			       kv.value);
	p = begin(c, kind, e);
	if (!p)
		return -ENOSPC;
	while ((ret = keyval_next(&arg, &kv, e)) > 0) {
		if (kv.bare && !strcmp(kv.value, "help")) {
			print_help();
			return 1;
		}
		ret = set_key(p, &kv, e);
		if (ret)
			return ret;
	}
	return ret ? ret : finish(c, p, e);
}

static int add_monitor(struct charconf *c, const char *chardev, bool control,
		       bool pretty, struct err *e)
{
	struct charconf_monitor *m = &c->monitor[c->monitors];

	if (c->monitors == CHARCONF_MAX)
		return err_set(e, -ENOSPC, "more than %d monitors",
			       CHARCONF_MAX);
	*m = (struct charconf_monitor){.control = control, .pretty = pretty};
	c->monitors++;
	return copy(m->chardev, sizeof(m->chardev), chardev, e);
}

static int set_mode(bool *control, const char *mode, struct err *e)
{
	*control = !strcmp(mode, "control");
	if (*control || !strcmp(mode, "readline"))
		return 0;
	return err_set(e, -EINVAL, "mode '%s' is not one of control, readline",
		       mode);
}

int charconf_mon(struct charconf *c, const char *arg, struct err *e)
{
	char chardev[CHARCONF_NAME] = "", id[CHARCONF_NAME];
	bool control = false, pretty = false;
	struct keyval kv;
	int ret;

	while ((ret = keyval_next(&arg, &kv, e)) > 0) {
		if (kv.bare || !strcmp(kv.key, "chardev"))
			ret = copy(chardev, sizeof(chardev), kv.value, e);
		else if (!strcmp(kv.key, "mode"))
			ret = set_mode(&control, kv.value, e);
		else if (!strcmp(kv.key, "pretty"))
			ret = keyval_bool(kv.value, &pretty, e);
		else if (!strcmp(kv.key, "id")) /* nobody can ask for it */
			ret = copy(id, sizeof(id), kv.value, e);
		else
			ret = err_set(e, -EINVAL,
				      "'%s' is not one of chardev, mode, "
				      "pretty, id",
				      kv.key);
		if (ret)
			return ret;
	}
	if (!ret && !chardev[0])
		return err_set(e, -EINVAL, "chardev= is missing");
	return ret ? ret : add_monitor(c, chardev, control, pretty, e);
}

/* HOST:PORT or PATH, and keys behind it. */
static int short_socket(struct charconf_port *p, const char *arg, bool tcp,
			struct err *e)
{
	struct keyval kv;
	char *colon;
	int ret = keyval_next(&arg, &kv, e);

	if (ret <= 0)
		return ret ? ret : err_set(e, -EINVAL, "no address given");
	colon = strrchr(kv.value, ':');
	if (!kv.bare || (tcp && !colon))
		return err_set(e, -EINVAL, "'%s' is not %s", kv.value,
			       tcp ? "HOST:PORT" : "a path");
	if (tcp)
		*colon++ = '\0';
	ret = tcp ? copy(p->port, sizeof(p->port), colon, e)
		  : copy(p->path, sizeof(p->path), kv.value, e);
	if (!ret && tcp)
		ret = copy(p->host, sizeof(p->host), kv.value, e);
	while (!ret && (ret = keyval_next(&arg, &kv, e)) > 0)
		ret = set_key(p, &kv, e);
	return ret;
}

static int short_form(struct charconf_port *p, const char *arg, struct err *e)
{
	unsigned kind;

	for (kind = 0; kind < ARRAY_SIZE(kinds); kind++)
		if (!strcmp(arg, kinds[kind]) && kind != CHARCONF_FILE &&
		    kind != CHARCONF_SOCKET) {
			p->kind = kind;
			return 0;
		}
	if (!strncmp(arg, "file:", 5) && arg[5]) {
		p->kind = CHARCONF_FILE;
		return copy(p->path, sizeof(p->path), arg + 5, e);
	}
	p->kind = CHARCONF_SOCKET;
	if (!strncmp(arg, "unix:", 5))
		return short_socket(p, arg + 5, false, e);
	if (!strncmp(arg, "tcp:", 4))
		return short_socket(p, arg + 4, true, e);
	return err_set(e, -EINVAL,
		       "'%s' is not one of stdio, mon:stdio, null, none, pty, "
		       "file:PATH, unix:PATH[,server=on][,wait=off], "
		       "tcp:HOST:PORT[,server=on][,wait=off], chardev:ID",
		       arg);
}

int charconf_short(struct charconf *c, const char *arg, const char *id,
		   char *name, struct err *e)
{
	bool mux = !strncmp(arg, "mon:", 4);
	struct charconf_port *p;
	int ret;

	name[0] = '\0';
	if (!strcmp(arg, "none"))
		return 0;
	if (!strncmp(arg, "chardev:", 8) && arg[8])
		return copy(name, CHARCONF_NAME, arg + 8, e);
	p = begin(c, CHARCONF_NULL, e);
	if (!p)
		return -ENOSPC;
	ret = short_form(p, arg + 4 * mux, e);
	if (!ret)
		ret = copy(p->id, sizeof(p->id), id, e);
	if (!ret)
		ret = finish(c, p, e);
	if (ret)
		return ret;
	p->mux = mux;
	strcpy(name, p->id);
	return mux ? add_monitor(c, p->id, false, false, e) : 0;
}

int charconf_monitor(struct charconf *c, const char *arg, bool control,
		     bool pretty, struct err *e)
{
	char name[CHARCONF_NAME], id[32];
	int ret;

	snprintf(id, sizeof(id), "compat_monitor%u", c->monitors);
	ret = charconf_short(c, arg, id, name, e);
	if (ret || !name[0])
		return ret;
	return add_monitor(c, name, control, pretty, e);
}

static int use(struct charconf *c, const char *option, const char *name,
	       bool monitor, struct err *e)
{
	int n = charconf_find(c, name);
	struct charconf_port *p = n < 0 ? NULL : &c->port[n];
	bool *mine, other;

	if (!p)
		return err_set(e, -EINVAL, "-%s: there is no chardev '%s'",
			       option, name);
	mine = monitor ? &p->has_monitor : &p->has_port;
	other = monitor ? p->has_port : p->has_monitor;
	if (*mine || (other && !p->mux))
		return err_set(e, -EBUSY, "-%s: chardev '%s' is used already%s",
			       option, name,
			       *mine ? "" : " (mux=on shares it)");
	*mine = true;
	return 0;
}

void charconf_release(struct charconf *c)
{
	unsigned i;

	for (i = 0; i < c->ports; i++)
		c->port[i].has_port = c->port[i].has_monitor = c->port[i].lent =
			false;
}

int charconf_use(struct charconf *c, const char *option, const char *name,
		 struct err *e)
{
	return name[0] ? use(c, option, name, false, e) : 0;
}

int charconf_check(struct charconf *c, struct err *e)
{
	unsigned i, terminals = 0;
	int ret = 0;

	for (i = 0; !ret && i < c->monitors; i++)
		ret = use(c, "mon", c->monitor[i].chardev, true, e);
	for (i = 0; i < c->ports; i++)
		terminals += c->port[i].kind == CHARCONF_STDIO;
	if (!ret && terminals > 1)
		return err_set(e, -EINVAL,
			       "only one of -serial, -debugcon, -monitor, -qmp "
			       "and -chardev can use this terminal");
	return ret;
}

const struct charconf_port *charconf_lend(struct charconf *c, const char *id,
					  struct err *e)
{
	int n = charconf_find(c, id);
	struct charconf_port *p = n < 0 ? NULL : &c->port[n];

	if (!p)
		err_set(e, -EINVAL, "there is no chardev '%s'", id);
	else if (p->has_port || p->has_monitor)
		err_set(e, -EBUSY, "chardev '%s' is used already", id);
	else if (p->kind != CHARCONF_SOCKET || !p->path[0])
		err_set(e, -EINVAL,
			"chardev '%s' is not a socket with path=", id);
	else if (p->server && (p->reconnect[0] || p->reconnect_ms[0]))
		err_set(e, -EINVAL,
			"chardev '%s': only a client can connect once more",
			id);
	else {
		p->has_port = p->lent = true;
		return p;
	}
	return NULL;
}

int charconf_check_lent(const struct charconf *c, struct err *e)
{
	const struct charconf_port *p;
	unsigned i;

	for (i = 0; i < c->ports; i++) {
		p = &c->port[i];
		if (!p->lent && (p->reconnect[0] || p->reconnect_ms[0]))
			return err_set(e, -ENOTSUP,
				       "-chardev: '%s': reconnect= is offered "
				       "for -netdev vhost-user only",
				       p->id);
	}
	return 0;
}
