/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An initial RAM disk in memory: our first program, the spec, and of the
 * kernel's drivers those that its root file system needs. They are looked for
 * in a folder beside the kernel and in /lib/modules. Document: Linux,
 * "initramfs buffer format".
 */
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/root/root.h"
#include "vmm/root/spec.h"

/* The linker's names for the program. */
extern const char _binary_vmm_root_lodge_root_init_start[];
extern const char _binary_vmm_root_lodge_root_init_end[];

#define VERSION_AT   0x20e /* offset, from 0x200, of the kernel's version */
#define VERSION_BASE 0x200

static void pad(FILE *f)
{
	while (ftell(f) % 4)
		fputc(0, f);
}

static void entry(FILE *f, const char *name, unsigned mode, const void *data,
		  size_t size)
{
	fprintf(f,
		"070701%08x%08x%08x%08x%08x%08x%08zx%08x%08x%08x%08x%08zx%08x",
		0, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, strlen(name) + 1, 0);
	fwrite(name, strlen(name) + 1, 1, f);
	pad(f);
	if (size)
		fwrite(data, size, 1, f);
	pad(f);
}

/* A driver; one that cannot be read is left out. */
static void add_file(FILE *f, const char *path, const char *name)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *p;

	if (fd < 0)
		return;
	if (!fstat(fd, &st) && st.st_size > 0) {
		p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd,
			 0);
		if (p != MAP_FAILED) {
			entry(f, name, S_IFREG | 0644, p, (size_t)st.st_size);
			munmap(p, (size_t)st.st_size);
		}
	}
	close(fd);
}

/* "9p.ko" or "9p.ko.xz" is wanted; "_" and "-" are the same. */
static bool wanted(const char *file)
{
#define FILES(id, ...) , __VA_ARGS__
	static const char *const names[] = {
		ROOT_MODULE_LIST ROOT_DRIVERS(FILES)};
#undef FILES
	size_t i, k;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		for (k = 0; names[i][k]; k++)
			if (file[k] != names[i][k] &&
			    !(names[i][k] == '_' && file[k] == '-'))
				break;
		if (!names[i][k] && !strncmp(file + k, ".ko", 3))
			return true;
	}
	return false;
}

static void add_modules(FILE *f, const char *folder)
{
	char *const roots[] = {(char *)(uintptr_t)folder, NULL};
	FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_NOSTAT, NULL);
	char name[NAME_MAX + 16], *c;
	FTSENT *at;

	while (tree && (at = fts_read(tree))) {
		if (at->fts_info != FTS_F && at->fts_info != FTS_NSOK)
			continue;
		if (!wanted(at->fts_name))
			continue;
		snprintf(name, sizeof(name), "%s/%s", &ROOT_MODULES[1],
			 at->fts_name);
		for (c = name; *c; c++)
			*c = *c == '-' ? '_' : *c;
		add_file(f, at->fts_path, name);
	}
	if (tree)
		fts_close(tree);
}

/* Of a bzImage; "" for others. */
static void kernel_version(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint16_t at = 0;
	ssize_t n = -1;

	if (fd >= 0 && pread(fd, &at, 2, VERSION_AT) == 2 && at)
		n = pread(fd, buf, size - 1, VERSION_BASE + at);
	if (fd >= 0)
		close(fd);
	buf[n > 0 ? n : 0] = '\0';
	buf[strcspn(buf, " \n")] = '\0';
	if (strchr(buf, '/'))
		buf[0] = '\0';
}

static void find_modules(FILE *f, const char *kernel)
{
	char path[PATH_MAX + 64], version[128], copy[PATH_MAX];

	snprintf(copy, sizeof(copy), "%s", kernel);
	snprintf(path, sizeof(path), "%s/modules", dirname(copy));
	if (!access(path, F_OK)) {
		add_modules(f, path);
		return;
	}
	kernel_version(kernel, version, sizeof(version));
	snprintf(path, sizeof(path), "/lib/modules/%s/kernel", version);
	if (version[0])
		add_modules(f, path);
}

int root_image(const struct root_spec *s, struct err *e)
{
	const char *init = _binary_vmm_root_lodge_root_init_start;
	size_t size = (size_t)(_binary_vmm_root_lodge_root_init_end - init);
	int fd = memfd_create("initrd", MFD_CLOEXEC), copy;
	FILE *f;
	bool bad;

	copy = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
	f = copy < 0 ? NULL : fdopen(copy, "w");
	if (!f) {
		err_set(e, -errno, "no memory for a RAM disk: %s",
			strerror(errno));
		if (copy >= 0)
			close(copy);
		if (fd >= 0)
			close(fd);
		return e->code;
	}
	entry(f, "dev", S_IFDIR | 0755, NULL, 0);
	entry(f, &ROOT_MODULES[1], S_IFDIR | 0755, NULL, 0);
	entry(f, "init", S_IFREG | 0755, init, size);
	entry(f, &ROOT_SPEC[1], S_IFREG | 0644, s->text, s->size);
	find_modules(f, s->kernel);
	entry(f, "TRAILER!!!", 0, NULL, 0);
	bad = ferror(f);
	if (fclose(f) || bad) {
		close(fd);
		return err_set(e, -ENOMEM, "no memory for a RAM disk");
	}
	return fd;
}
