/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc/cpuinfo of the processor the client is to see: with the flag scripts
 * and management tools look for before they look at /dev/kvm, vmx or svm, and
 * with another vendor's name and without what only the host's has, where it
 * passes for that vendor.
 */
#include "shim/shim.h"

#include <errno.h>
#include <string.h>

#include "x86/persona.h"

struct copy {
	FILE *to;
	const struct persona *p;
	bool other; /* than the host's own */
};

/* Whether @name is the field of @line; what follows ": " then. */
static const char *field(const char *line, const char *name)
{
	size_t n = strlen(name);

	if (strncmp(line, name, n))
		return NULL;
	line += n + strspn(line + n, "\t");
	return *line == ':' ? line + 1 + (line[1] == ' ') : NULL;
}

static bool is_listed(const char *list, const char *word, size_t n)
{
	char text[64];

	if (n + 3 > sizeof(text))
		return false;
	snprintf(text, sizeof(text), " %.*s ", (int)n, word);
	return strstr(list, text) != NULL;
}

static void copy_flags(const struct copy *c, const char *line, const char *at)
{
	const char *own = c->p->amd ? "svm" : "vmx";
	bool found = false;
	size_t n;

	fprintf(c->to, "%.*s", (int)(at - line), line);
	while (*(at += strspn(at, " ")) && *at != '\n') {
		n = strcspn(at, " \n");
		if (n == 3 && !memcmp(at, own, 3))
			found = true;
		if (!c->other || !is_listed(c->p->hides, at, n))
			fprintf(c->to, "%.*s ", (int)n, at);
		at += n;
	}
	fprintf(c->to, "%s\n", found ? "" : own);
}

/* True when the line has been written in another form. */
static bool copy_identity(struct copy *c, const char *line)
{
	const struct persona *p = c->p;
	const char *at = field(line, "vendor_id");
	char text[48];

	if (at)
		c->other = strncmp(at, p->vendor, strlen(p->vendor)) != 0;
	if (!c->other)
		return false;
	if (at)
		snprintf(text, sizeof(text), "%s", p->vendor);
	else if ((at = field(line, "cpu family")))
		snprintf(text, sizeof(text), "%u", p->family);
	else if ((at = field(line, "model name")))
		snprintf(text, sizeof(text), "%s", p->brand);
	else if ((at = field(line, "model")))
		snprintf(text, sizeof(text), "%u", p->model);
	else if ((at = field(line, "stepping")))
		snprintf(text, sizeof(text), "%u", p->stepping);
	else
		return false;
	fprintf(c->to, "%.*s%s\n", (int)(at - line), line, text);
	return true;
}

static int copy_all(FILE *to, FILE *from)
{
	struct copy c = {.to = to, .p = param_persona()};
	char *line = NULL;
	size_t room = 0;
	const char *at;

	while (getline(&line, &room, from) > 0) {
		at = field(line, "flags");
		if (at)
			copy_flags(&c, line, at);
		else if (!copy_identity(&c, line))
			fputs(line, to);
	}
	free(line);
	return ferror(from) || fflush(to) ? -EIO : 0;
}

/* Through a stream of its own on the file. */
static int fill(int fd, FILE *from)
{
	int own = real()->fcntl(fd, F_DUPFD_CLOEXEC, 0), ret;
	FILE *to;

	if (own < 0)
		return -errno;
	to = fdopen(own, "w");
	if (!to) {
		real()->close(own);
		return -ENOMEM;
	}
	ret = copy_all(to, from);
	if (fclose(to) || lseek(fd, 0, SEEK_SET))
		ret = -EIO;
	return ret;
}

int cpuinfo_open(int flags)
{
	FILE *f = real()->fopen("/proc/cpuinfo", "re");
	int fd, ret;

	if (!f)
		return -errno;
	fd = memfd_create("cpuinfo", flags & O_CLOEXEC ? MFD_CLOEXEC : 0);
	ret = fd < 0 ? -ENOMEM : fill(fd, f);
	fclose(f);
	if (!ret)
		return fd;
	if (fd >= 0)
		real()->close(fd);
	return ret;
}
