/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first program of a guest of `lodge run --root`: mounts the host's root
 * file system with a layer of memory over it, runs the command there, passes
 * its input, output and signals, and reports its end. Linked statically, and
 * part of the lodge program.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/root/pump.h"
#include "vmm/root/spec.h"

#define PORT_TRIES 1000 /* of 10 ms */
#define OPTIONS                                                   \
	"trans=virtio,version=9p2000.L,msize=512000,cache=loose," \
	"access=any"

static struct pump pump = {.control = -1};

/* There is no way on; the host says why, and ends the guest. */
static void __attribute__((noreturn, format(printf, 1, 2)))
give_up(const char *fmt, ...)
{
	char text[256];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = snprintf(text, sizeof(text), "failed ");
	n += vsnprintf(text + n, sizeof(text) - (size_t)n - 1, fmt, ap);
	va_end(ap);
	text[n < (int)sizeof(text) - 1 ? n : (int)sizeof(text) - 2] = '\n';
	text[n + 1 < (int)sizeof(text) ? n + 1 : (int)sizeof(text) - 1] = '\0';
	fputs(text, stderr);
	if (pump.control < 0)
		reboot(RB_POWER_OFF);
	dprintf(pump.control, "%s", text);
	for (;;)
		pause();
}

static void need(int ret, const char *what)
{
	if (ret < 0)
		give_up("%s: %s", what, strerror(errno));
}

static void mount_at(const char *what, const char *where, const char *type,
		     unsigned long flags, const char *options)
{
	mkdir(where, 0755);
	if (mount(what, where, type, flags, options))
		give_up("mount %s at %s: %s", type, where, strerror(errno));
}

/* ---- drivers and ports ---- */

static void load(const char *name)
{
	static const char *const ends[] = {".ko", ".ko.xz", ".ko.zst",
					   ".ko.gz"};
	char path[128];
	size_t i;
	int fd;

	for (i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		snprintf(path, sizeof(path), ROOT_MODULES "/%s%s", name,
			 ends[i]);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		/* 4: the kernel unpacks it. */
		if (syscall(SYS_finit_module, fd, "", i ? 4 : 0) &&
		    errno != EEXIST)
			fprintf(stderr, "lodge: %s: %s\n", path,
				strerror(errno));
		close(fd);
		return;
	}
}

static void load_modules(void)
{
	static const char *const names[] = {ROOT_MODULE_LIST};
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		load(names[i]);
}

static bool has_device(unsigned id)
{
	static const char bus[] = "/sys/bus/virtio/devices";
	DIR *dir = opendir(bus);
	struct dirent *at;
	bool found = false;
	char path[300];
	unsigned is;
	FILE *f;

	while (dir && !found && (at = readdir(dir))) {
		snprintf(path, sizeof(path), "%s/%s/device", bus, at->d_name);
		f = fopen(path, "r");
		if (!f)
			continue;
		found = fscanf(f, "%x", &is) == 1 && is == id;
		fclose(f);
	}
	if (dir)
		closedir(dir);
	return found;
}

static void load_drivers(void)
{
#define DRIVER(id, ...) {id, {__VA_ARGS__}},
	static const struct {
		unsigned id;
		const char *names[5];
	} drivers[] = {ROOT_DRIVERS(DRIVER)};
#undef DRIVER
	size_t i, k;

	for (i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++)
		if (has_device(drivers[i].id))
			for (k = 0; drivers[i].names[k]; k++)
				load(drivers[i].names[k]);
}

static int open_named(const char *device, const char *name, const char *want)
{
	char path[300], text[64] = "";
	int fd;

	snprintf(path, sizeof(path), "/sys/class/virtio-ports/%s/name", device);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (read(fd, text, sizeof(text) - 1) < 0)
		text[0] = '\0';
	close(fd);
	text[strcspn(text, "\n")] = '\0';
	if (strcmp(text, want))
		return -1;
	snprintf(path, sizeof(path), "/dev/%s", device);
	return open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
}

static int find_port(const char *name)
{
	struct dirent *d;
	DIR *dir = opendir("/sys/class/virtio-ports");
	int fd = -1;

	while (dir && fd < 0 && (d = readdir(dir)))
		if (d->d_name[0] != '.')
			fd = open_named(d->d_name, name, name);
	if (dir)
		closedir(dir);
	return fd;
}

static int await_port(const char *name)
{
	unsigned i;
	int fd;

	for (i = 0; i < PORT_TRIES; i++) {
		fd = find_port(name);
		if (fd >= 0)
			return fd;
		usleep(i < 100 ? 1000 : 10000);
	}
	give_up("there is no port %s", name);
}

/* ---- the file system ---- */

static void mount_root(void)
{
	mkdir("/lower", 0755);
	if (mount(ROOT_TAG, "/lower", "9p", MS_RDONLY, OPTIONS))
		give_up("mount 9p: %s (the kernel needs 9p over virtio, built "
			"in or as modules)",
			strerror(errno));
	mount_at("tmpfs", "/over", "tmpfs", 0, "mode=755");
	need(mkdir("/over/up", 0755), "/over/up");
	need(mkdir("/over/work", 0755), "/over/work");
	mkdir("/new", 0755);
	if (mount("overlay", "/new", "overlay", 0,
		  "lowerdir=/lower,upperdir=/over/up,workdir=/over/work"))
		give_up("mount overlay: %s (the kernel needs overlayfs)",
			strerror(errno));
	mount_at("proc", "/new/proc", "proc", 0, NULL);
	mount_at("sysfs", "/new/sys", "sysfs", 0, NULL);
	mount_at("devtmpfs", "/new/dev", "devtmpfs", 0, NULL);
	mount_at("devpts", "/new/dev/pts", "devpts", 0,
		 "ptmxmode=666,mode=620,gid=5");
	mount_at("tmpfs", "/new/dev/shm", "tmpfs", 0, "mode=1777");
	mount_at("tmpfs", "/new/run", "tmpfs", 0, "mode=755");
	need(chroot("/new"), "chroot");
	need(chdir("/"), "/");
	if (symlink("/proc/self/fd", "/dev/fd") ||
	    symlink("/proc/self/fd/0", "/dev/stdin") ||
	    symlink("/proc/self/fd/1", "/dev/stdout") ||
	    symlink("/proc/self/fd/2", "/dev/stderr"))
		fprintf(stderr, "lodge: /dev: %s\n", strerror(errno));
}

static void start_loopback(void)
{
	struct ifreq r = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd >= 0)
		ioctl(fd, SIOCSIFFLAGS, &r);
	close(fd);
}

/* ---- the command ---- */

struct spec {
	char *text;
	const char *cwd, *host, *size;
	char **argv, **envp;
};

static char *next_word(char **at, const char *end)
{
	char *word = *at;

	if (word >= end)
		give_up(ROOT_SPEC " is cut short");
	*at += strlen(word) + 1;
	return word;
}

static void read_spec(struct spec *s)
{
	int fd = open(ROOT_SPEC, O_RDONLY | O_CLOEXEC), words, i;
	char *at, *end;
	ssize_t n;

	s->text = calloc(1, ROOT_SPEC_MAX + 1);
	n = fd < 0 || !s->text ? -1 : read(fd, s->text, ROOT_SPEC_MAX);
	if (n <= 0)
		give_up(ROOT_SPEC ": %s", strerror(errno));
	close(fd);
	at = s->text;
	end = at + n;
	s->cwd = next_word(&at, end);
	s->host = next_word(&at, end);
	s->size = next_word(&at, end);
	words = atoi(next_word(&at, end));
	s->argv = calloc((size_t)words + 1, sizeof(char *));
	for (i = 0; s->argv && i < words; i++)
		s->argv[i] = next_word(&at, end);
	s->envp = calloc((size_t)(end - at) + 1, sizeof(char *));
	for (i = 0; s->envp && at < end; i++)
		s->envp[i] = next_word(&at, end);
	if (!s->argv || !s->envp)
		give_up("out of memory");
}

static void __attribute__((noreturn)) run_command(const struct spec *s)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (chdir(s->cwd))
		dprintf(2, "lodge: %s: %s\n", s->cwd, strerror(errno));
	environ = s->envp;
	execvp(s->argv[0], s->argv);
	dprintf(2, "lodge: %s: %s\n", s->argv[0], strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

static void fork_command(const struct spec *s)
{
	pump.child = fork();
	need(pump.child, "fork");
	if (pump.child)
		return;
	pump_become_child(&pump);
	run_command(s);
}

int main(void)
{
	struct spec spec;

	mount_at("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	if (!freopen("/dev/console", "w", stderr))
		freopen("/dev/null", "w", stderr);
	mount_at("proc", "/proc", "proc", 0, NULL);
	mount_at("sysfs", "/sys", "sysfs", 0, NULL);
	load_modules();
	load_drivers();
	pump.control = await_port(ROOT_CONTROL);
	pump.in = await_port(ROOT_STDIN);
	pump.out = await_port(ROOT_STDOUT);
	pump.err = await_port(ROOT_STDERR);
	read_spec(&spec);
	mount_root();
	start_loopback();
	if (sethostname(spec.host, strlen(spec.host)))
		fprintf(stderr, "lodge: hostname: %s\n", strerror(errno));
	need(pump_open(&pump, spec.size), "pipes");
	fork_command(&spec);
	pump_run(&pump);
	for (;;)
		pause();
}
