/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine of a command, out of parts that anybody can have: a 9p device,
 * a serial one with four ports, an initial RAM disk. A thread waits for the
 * guest's report.
 */
#include "vmm/root/root.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/pipeport.h"
#include "host/tty.h"
#include "vmm/config.h"
#include "vmm/root/spec.h"
#include "vmm/stop.h"

#define RAM_SIZE (1ULL << 30)
#define APPEND                                              \
	"console=ttyS0 quiet panic=-1 random.trust_cpu=on " \
	"rdinit=/init"
#define PATIENCE 3 /* signals in a row are the command's */

enum { PORT_IN, PORT_OUT, PORT_ERR, PORT_CONTROL, PORTS };

static const char *const port_name[PORTS] = {
	ROOT_STDIN,
	ROOT_STDOUT,
	ROOT_STDERR,
	ROOT_CONTROL,
};

/* A backend of its own kind, owned by the list. */
struct root_port {
	struct backend base;
	struct root *root;
	struct pipeport *pipe;
	int in, out;
};

struct root {
	char kernel[PATH_MAX];
	char initrd[32];
	int initrd_fd;
	char *append;
	bool terminal;
	int control[2]; /* [0]: the port's, [1]: ours */
	struct root_port *port[PORTS];
	struct stop *stop; /* atomic */
	pthread_t thread;
	bool running;
	bool ready;  /* there is a command to send signals to; atomic */
	int signals; /* passed on, the evloop's thread only */
	char complaint[200];
};

/* ---- the spec ---- */

static void put_word(FILE *f, const char *word)
{
	fwrite(word, strlen(word) + 1, 1, f);
}

/* Where we are, as the guest sees it. */
static void put_cwd(FILE *f, const char *top)
{
	char cwd[PATH_MAX], real[PATH_MAX];
	size_t len;

	if (!getcwd(cwd, sizeof(cwd)) || !realpath(top, real)) {
		put_word(f, "/");
		return;
	}
	len = strcmp(real, "/") ? strlen(real) : 0;
	if (strncmp(cwd, real, len) || (cwd[len] && cwd[len] != '/'))
		put_word(f, "/");
	else
		put_word(f, cwd[len] ? cwd + len : "/");
}

/* All of ours: the command is to find what it would find here. */
static void put_environment(FILE *f)
{
	char **at;

	for (at = environ; *at; at++)
		put_word(f, *at);
	if (!getenv("PATH"))
		put_word(f, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:"
			    "/usr/bin:/sbin:/bin");
}

static void put_size(FILE *f, const struct root *r)
{
	struct winsize w;

	if (r->terminal && !ioctl(STDOUT_FILENO, TIOCGWINSZ, &w))
		fprintf(f, "%u %u", w.ws_row, w.ws_col);
	else if (r->terminal)
		fputs("24 80", f);
	fputc(0, f);
}

static void put_spec(FILE *f, const struct root *r, const struct config *c)
{
	char host[HOST_NAME_MAX + 1] = "guest";
	unsigned words = 0;

	put_cwd(f, c->root_path);
	if (gethostname(host, sizeof(host) - 1))
		strcpy(host, "guest");
	put_word(f, host);
	put_size(f, r);
	while (c->command[words])
		words++;
	fprintf(f, "%u%c", words, 0);
	for (words = 0; c->command[words]; words++)
		put_word(f, c->command[words]);
	put_environment(f);
}

static int make_image(struct root *r, struct config *c, struct err *e)
{
	struct root_spec spec = {.kernel = c->kernel};
	char *text = NULL;
	FILE *f = open_memstream(&text, &spec.size);

	if (!f)
		return err_set(e, -ENOMEM, "out of memory");
	put_spec(f, r, c);
	if (fclose(f))
		return err_set(e, -ENOMEM, "out of memory");
	spec.text = text;
	if (spec.size >= ROOT_SPEC_MAX)
		err_set(e, -E2BIG,
			"the command and its environment are longer "
			"than %u bytes",
			ROOT_SPEC_MAX);
	else
		r->initrd_fd = root_image(&spec, e);
	free(text);
	if (e->code)
		return e->code;
	snprintf(r->initrd, sizeof(r->initrd), "/proc/self/fd/%d",
		 r->initrd_fd);
	c->initrd = r->initrd;
	return 0;
}

/* ---- its devices ---- */

/* Ctrl-A x. */
static void leave(void *opaque)
{
	const struct root_port *p = opaque;
	struct stop *stop = __atomic_load_n(&p->root->stop, __ATOMIC_ACQUIRE);

	if (stop)
		stop_request(stop, STOP_QUIT, 0);
}

static int port_open(struct backend *base, struct err *e)
{
	struct root_port *p = (struct root_port *)base;
	bool keys = p->root->terminal && p->in == STDIN_FILENO;

	p->pipe = pipeport_open(p->in, p->out, keys ? leave : NULL, p, e);
	base->object = p->pipe ? pipeport_end(p->pipe) : NULL;
	return p->pipe ? 0 : e->code;
}

static void port_close(struct backend *base)
{
	struct root_port *p = (struct root_port *)base;

	pipeport_close(p->pipe);
	p->pipe = NULL;
}

static const struct backend_class port_class = {
	LINK_CHARDEV,
	"port",
	port_open,
	port_close,
};

static int add_port(struct root *r, struct devconf *c, unsigned n,
		    struct err *e)
{
	const int fds[PORTS][2] = {
		{STDIN_FILENO, -1},
		{-1, STDOUT_FILENO},
		{-1, STDERR_FILENO},
		{r->control[0], r->control[0]},
	};
	struct root_port *p = calloc(1, sizeof(*p));
	char arg[200];
	int ret;

	if (!p)
		return err_set(e, -ENOMEM, "out of memory");
	p->base.class = &port_class;
	p->root = r;
	p->in = fds[n][0];
	p->out = fds[n][1];
	strcpy(p->base.id, port_name[n]);
	ret = backend_add(&c->backends, &p->base, e);
	if (ret) {
		free(p);
		return ret;
	}
	r->port[n] = p;
	snprintf(arg, sizeof(arg),
		 "virtserialport,chardev=%s,name=%s,bus=lodge.serial",
		 port_name[n], port_name[n]);
	return devconf_device(c, arg, e);
}

/* Option values have their commas twice. */
static void quote(char *to, size_t size, const char *text)
{
	size_t n = 0;

	for (; *text && n + 2 < size; text++) {
		to[n++] = *text;
		if (*text == ',')
			to[n++] = ',';
	}
	to[n] = '\0';
}

static int add_devices(struct root *r, struct config *c, struct err *e)
{
	char path[PROP_PATH], arg[PROP_PATH + 100];
	unsigned i;
	int ret;

	quote(path, sizeof(path), c->root_path);
	snprintf(arg, sizeof(arg),
		 "local,id=%s,path=%s,security_model=none,readonly=on,"
		 "mount_tag=%s",
		 ROOT_TAG, path, ROOT_TAG);
	ret = devconf_virtfs(&c->dev, arg, e);
	if (!ret)
		ret = devconf_device(&c->dev, "virtio-serial,id=lodge.serial",
				     e);
	for (i = 0; !ret && i < PORTS; i++)
		ret = add_port(r, &c->dev, i, e);
	return ret;
}

/* ---- its kernel ---- */

/* Without its decompressor a kernel is there in half the time. */
static int find_kernel(struct root *r, struct config *c, struct err *e)
{
	static const char *const names[] = {"vmlinux", "vmlinuz"};
	const char *base = getenv("LODGE_CACHE"), *home = getenv("HOME");

	if (c->kernel)
		return 0;
	base = base ? base : getenv("XDG_CACHE_HOME");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (base)
			snprintf(r->kernel, sizeof(r->kernel),
				 "%s/lodge/generic/%s", base, names[i]);
		else
			snprintf(r->kernel, sizeof(r->kernel),
				 "%s/.cache/lodge/generic/%s", home ? home : "",
				 names[i]);
		if (access(r->kernel, R_OK))
			continue;
		c->kernel = r->kernel;
		return 0;
	}
	return err_set(e, -ENOENT,
		       "-kernel is required: there is no %s (`tools/guest "
		       "--print-modules generic` fetches one)",
		       r->kernel);
}

static int set_append(struct root *r, struct config *c, struct err *e)
{
	if (asprintf(&r->append, "%s %s", APPEND, c->append ? c->append : "") <
	    0) {
		r->append = NULL;
		return err_set(e, -ENOMEM, "out of memory");
	}
	c->append = r->append;
	return 0;
}

int root_configure(struct config *c, struct err *e)
{
	struct root *r = calloc(1, sizeof(*r));
	int ret;

	if (!r)
		return err_set(e, -ENOMEM, "out of memory");
	c->root = r;
	r->initrd_fd = r->control[0] = r->control[1] = -1;
	r->terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
	if (!c->command || !c->command[0])
		return err_set(e, -EINVAL, "--root needs a command after --");
	if (c->initrd)
		return err_set(e, -EINVAL, "--root makes its own -initrd");
	if (!c->pci)
		return err_set(e, -EINVAL, "--root needs a machine with PCI");
	if (c->daemonize)
		return err_set(e, -EINVAL,
			       "--root does not go with -daemonize");
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, r->control))
		return err_set(e, -errno, "no socket is left");
	if (!c->ram_given)
		c->ram_size = RAM_SIZE;
	c->action.reboot_ends = true;
	ret = c->serial_given ? 0 : config_serial(c, "null", e);
	if (!ret)
		ret = find_kernel(r, c, e);
	if (!ret)
		ret = set_append(r, c, e);
	if (!ret)
		ret = make_image(r, c, e);
	return ret ? ret : add_devices(r, c, e);
}

void root_free(struct root *r)
{
	if (!r)
		return;
	if (r->initrd_fd >= 0)
		close(r->initrd_fd);
	if (r->control[0] >= 0)
		close(r->control[0]);
	if (r->control[1] >= 0)
		close(r->control[1]);
	free(r->append);
	free(r);
}

/* ---- while it runs ---- */

/* The guest's own words: nothing in them may move a terminal's cursor. */
static void complain(struct root *r, const char *text)
{
	size_t n = 0;

	for (; *text && n + 1 < sizeof(r->complaint); text++)
		r->complaint[n++] = *text >= ' ' && *text < 0x7f ? *text : '?';
	r->complaint[n] = '\0';
}

static void hear(struct root *r, const char *line)
{
	unsigned long long out, err;
	int status;

	if (!strcmp(line, "ready"))
		__atomic_store_n(&r->ready, true, __ATOMIC_RELEASE);
	if (sscanf(line, "exit %d %llu %llu", &status, &out, &err) == 3) {
		pipeport_drain(r->port[PORT_OUT]->pipe, out);
		pipeport_drain(r->port[PORT_ERR]->pipe, err);
		stop_request(r->stop, STOP_COMMAND, status & 0xff);
	} else if (!strncmp(line, "failed ", 7)) {
		complain(r, line + 7);
		stop_request(r->stop, STOP_COMMAND, ROOT_FAILED);
	}
}

static void *root_thread(void *arg)
{
	struct root *r = arg;
	char line[300];
	size_t at = 0;

	/* A guest may write nonsense: a line too long ends where it must. */
	while (read(r->control[1], line + at, 1) == 1) {
		if (line[at] != '\n' && at + 1 < sizeof(line)) {
			at++;
			continue;
		}
		line[at] = '\0';
		at = 0;
		hear(r, line);
	}
	return NULL;
}

int root_start(struct root *r, struct stop *stop, struct tty *tty,
	       struct err *e)
{
	int ret;

	if (!r)
		return 0;
	__atomic_store_n(&r->stop, stop, __ATOMIC_RELEASE);
	if (r->terminal) {
		ret = tty_raw(tty, STDIN_FILENO, false, e);
		if (ret)
			return ret;
	}
	if (pthread_create(&r->thread, NULL, root_thread, r))
		return err_set(e, -EAGAIN, "cannot start a thread");
	pthread_setname_np(r->thread, "root");
	r->running = true;
	return 0;
}

void root_stop(struct root *r)
{
	if (!r || !r->running)
		return;
	port_hangup(r->port[PORT_OUT]->base.object, true);
	port_hangup(r->port[PORT_ERR]->base.object, true);
	shutdown(r->control[1], SHUT_RDWR);
	pthread_join(r->thread, NULL);
	__atomic_store_n(&r->stop, NULL, __ATOMIC_RELEASE);
	r->running = false;
}

bool root_signal(struct root *r, int sig)
{
	struct winsize w;
	char text[64];
	int n;

	if (!r || !__atomic_load_n(&r->ready, __ATOMIC_ACQUIRE))
		return false;
	if (sig != SIGWINCH && ++r->signals > PATIENCE)
		return false;
	n = snprintf(text, sizeof(text), "signal %d\n", sig);
	if (sig == SIGWINCH) {
		if (!r->terminal || ioctl(STDOUT_FILENO, TIOCGWINSZ, &w))
			return true;
		n = snprintf(text, sizeof(text), "size %u %u\n", w.ws_row,
			     w.ws_col);
	}
	return send(r->control[1], text, (size_t)n,
		    MSG_DONTWAIT | MSG_NOSIGNAL) == n;
}

const char *root_complaint(const struct root *r)
{
	return r ? r->complaint : "";
}
