/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is looked at in a program: its interpreter when it is a script, its
 * ELF headers, and what makes the loader ignore LD_PRELOAD.
 */
#include "cli/program.h"

#include <asm/prctl.h>
#include <cpuid.h>
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "include/lodge.h"

#define SHIM        "liblodge-shim.so"
#define MAX_SCRIPTS 4
#define MAX_PHDRS   64
#define CPUID_ROOM  256

static bool runs(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISREG(st.st_mode) && !access(path, X_OK);
}

int program_find(const char *name, char *path, struct err *e)
{
	const char *p = getenv("PATH");

	if (strlen(name) >= PATH_MAX)
		return err_set(e, -ENAMETOOLONG, "%.40s...: too long", name);
	if (strchr(name, '/')) {
		strcpy(path, name);
		if (access(path, F_OK))
			return err_set(e, -ENOENT, "%s: %s", name,
				       strerror(errno));
		if (!runs(path))
			return err_set(e, -EACCES, "%s is not a program", name);
		return 0;
	}
	for (p = p ? p : "/usr/bin:/bin"; *p;) {
		size_t n = strcspn(p, ":");

		snprintf(path, PATH_MAX, "%.*s/%s", n ? (int)n : 1, n ? p : ".",
			 name);
		if (runs(path))
			return 0;
		p += n + (p[n] == ':');
	}
	return err_set(e, -ENOENT, "%s is not in PATH", name);
}

/* ---- can something be loaded into it ---- */

static int check_privilege(int fd, const char *path, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st))
		return err_set(e, -errno, "%s: %s", path, strerror(errno));
	if (((st.st_mode & S_ISUID) && st.st_uid != getuid()) ||
	    ((st.st_mode & S_ISGID) && st.st_gid != getgid()))
		return err_set(e, -EPERM,
			       "%s is setuid or setgid: nothing can be loaded"
			       " into it",
			       path);
	if (getuid() && fgetxattr(fd, "security.capability", NULL, 0) > 0)
		return err_set(e, -EPERM,
			       "%s has file capabilities: nothing can be"
			       " loaded into it",
			       path);
	return 0;
}

/* Name of the ELF interpreter; "" for a static program. */
static int read_interpreter(int fd, const Elf64_Ehdr *h, char *out)
{
	Elf64_Phdr ph;

	out[0] = '\0';
	for (unsigned int i = 0; i < h->e_phnum && i < MAX_PHDRS; i++) {
		off_t at = (off_t)(h->e_phoff + i * sizeof(ph));

		if (pread(fd, &ph, sizeof(ph), at) != sizeof(ph))
			return -ENOEXEC;
		if (ph.p_type != PT_INTERP)
			continue;
		if (!ph.p_filesz || ph.p_filesz >= PATH_MAX ||
		    pread(fd, out, ph.p_filesz, (off_t)ph.p_offset) !=
			    (ssize_t)ph.p_filesz)
			return -ENOEXEC;
		out[ph.p_filesz] = '\0';
		return 0;
	}
	return 0;
}

static int check_elf(int fd, const Elf64_Ehdr *h, const char *path,
		     struct err *e)
{
	char interpreter[PATH_MAX + 1];
	int ret;

	if (h->e_ident[EI_CLASS] != ELFCLASS64 || h->e_machine != EM_X86_64)
		return err_set(e, -ENOEXEC, "%s is not an x86-64 program",
			       path);
	if (h->e_phentsize != sizeof(Elf64_Phdr))
		return err_set(e, -ENOEXEC, "%s is not a whole program", path);
	ret = read_interpreter(fd, h, interpreter);
	if (ret)
		return err_set(e, ret, "%s is not a whole program", path);
	if (!*interpreter)
		return err_set(e, -EOPNOTSUPP,
			       "%s is linked statically: nothing can be loaded"
			       " into it",
			       path);
	if (!strstr(interpreter, "/ld-linux"))
		return err_set(e, -EOPNOTSUPP,
			       "%s uses another C library than glibc (%s)",
			       path, interpreter);
	return check_privilege(fd, path, e);
}

/* The interpreter named in the first line. */
static int read_script(const char *line, char *out, struct err *e)
{
	size_t n;

	line += 2;
	line += strspn(line, " \t");
	n = strcspn(line, " \t\n");
	if (!n || n >= PATH_MAX)
		return err_set(e, -ENOEXEC, "the script names no interpreter");
	memcpy(out, line, n);
	out[n] = '\0';
	return 0;
}

int program_check(const char *path, struct err *e)
{
	union {
		Elf64_Ehdr elf;
		char line[PATH_MAX + 4];
	} head;
	char next[PATH_MAX];
	ssize_t n;
	int fd, ret;

	for (int i = 0; i < MAX_SCRIPTS; i++) {
		memset(&head, 0, sizeof(head));
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 && errno == EACCES)
			return 0; /* execve() can still take it */
		if (fd < 0)
			return err_set(e, -errno, "%s: %s", path,
				       strerror(errno));
		n = read(fd, &head, sizeof(head) - 1);
		if (n >= (ssize_t)sizeof(head.elf) &&
		    !memcmp(&head.elf, ELFMAG, SELFMAG)) {
			ret = check_elf(fd, &head.elf, path, e);
			close(fd);
			return ret;
		}
		close(fd);
		if (n < 4 || head.line[0] != '#' || head.line[1] != '!')
			break;
		ret = read_script(head.line, next, e);
		if (ret)
			return ret;
		path = next;
	}
	return err_set(e, -ENOEXEC, "%s is not a program", path);
}

/* ---- what goes with it ---- */

int program_find_shim(char *path, struct err *e)
{
	static const char *const places[] = {"", "../shim/"};
	char library[PATH_MAX];
	const char *slash;
	char found[PATH_MAX];
	Dl_info info;

	if (!dladdr((void *)(uintptr_t)lodge_open, &info) ||
	    !realpath(info.dli_fname, library))
		return err_set(e, -ENOENT, "cannot find liblodge's folder");
	slash = strrchr(library, '/');
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		snprintf(found, sizeof(found), "%.*s%s" SHIM,
			 (int)(slash - library) + 1, library, places[i]);
		if (realpath(found, path))
			return 0;
	}
	return err_set(e, -ENOENT, "%s is not beside %s", SHIM, library);
}

static const char *vendor_of(const struct kvm_cpuid2 *list)
{
	for (uint32_t i = 0; i < list->nent; i++)
		if (list->entries[i].function == 0)
			return list->entries[i].ebx == 0x756e6547 ? "intel"
								  : "amd";
	return "unknown";
}

/* What the library offers guests. */
static int ask_vendor(const char **vendor, struct err *e)
{
	struct kvm_cpuid2 *list = calloc(
		1, sizeof(*list) + CPUID_ROOM * sizeof(list->entries[0]));
	int fd = lodge_open(), ret = -ENOMEM;

	if (list && fd >= 0) {
		list->nent = CPUID_ROOM;
		ret = lodge_ioctl(fd, KVM_GET_SUPPORTED_CPUID,
				  (unsigned long)list);
	}
	if (fd < 0)
		ret = err_set(e, fd, "cannot open Lodge's own KVM: %s",
			      strerror(-fd));
	else if (ret)
		err_set(e, ret, "KVM_GET_SUPPORTED_CPUID: %s", strerror(-ret));
	else
		*vendor = vendor_of(list);
	if (fd >= 0)
		lodge_close(fd);
	free(list);
	return ret;
}

bool program_can_fault_cpuid(void)
{
	if (syscall(SYS_arch_prctl, ARCH_SET_CPUID, 0))
		return false;
	syscall(SYS_arch_prctl, ARCH_SET_CPUID, 1);
	return true;
}

/* As the shim does it: a byte of a page that we may only read. */
bool program_can_patch_cpuid(void)
{
	int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	char *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);
	bool can = false;

	if (page != MAP_FAILED && fd >= 0)
		can = pwrite(fd, "x", 1, (off_t)(uintptr_t)page) == 1 &&
		      *(volatile char *)page == 'x';
	if (page != MAP_FAILED)
		munmap(page, 4096);
	if (fd >= 0)
		close(fd);
	return can;
}

int program_set_vendor(const char *vendor, struct err *e)
{
	const char *offered;
	int ret;

	if (vendor)
		setenv("LODGE_VENDOR", vendor, 1);
	else
		unsetenv("LODGE_VENDOR");
	ret = ask_vendor(&offered, e);
	if (ret)
		return ret;
	setenv("LODGE_VENDOR", offered, 1);
	return 0;
}

bool program_other_vendor(void)
{
	const char *vendor = getenv("LODGE_VENDOR");
	unsigned int a, b, c, d;

	return vendor && __get_cpuid(0, &a, &b, &c, &d) &&
	       (b == signature_INTEL_ebx) != !strcmp(vendor, "intel");
}
