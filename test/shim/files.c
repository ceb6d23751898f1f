/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors and names.
 */
#include "test/shim/client.h"

#include <limits.h>
#include <linux/close_range.h>
#include <linux/falloc.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "include/uapi/kvm_new.h"

static void check_system(int fd, bool cloexec)
{
	int flags = fcntl(fd, F_GETFD);

	CHECK(fd >= 0 && flags >= 0);
	CHECK(!!(flags & FD_CLOEXEC) == cloexec);
	CHECK(ioctl(fd, KVM_GET_API_VERSION, 0) == KVM_API_VERSION);
	CHECK(!close(fd));
	FAILS(ioctl(fd, KVM_GET_API_VERSION, 0), EBADF);
}

void files_open(void)
{
	/* Known to be harmless, unknown to the compiler. */
	volatile int flags = O_RDWR;
	int dir = open("/dev", O_RDONLY | O_DIRECTORY);

	CHECK(dir >= 0);
	check_system(open("/dev/kvm", O_RDWR), false);
	check_system(open("/dev/kvm", flags), false); /* __open_2 */
	check_system(open("/dev/kvm", O_RDWR | O_CLOEXEC), true);
	check_system(open64("/dev/kvm", O_RDONLY | O_CLOEXEC), true);
	check_system(openat(dir, "kvm", O_RDWR), false);
	check_system(openat(dir, "/dev//./kvm", flags), false);
	check_system(openat64(AT_FDCWD, "/dev/kvm", O_RDWR), false);
	CHECK(!chdir("/dev"));
	check_system(open("kvm", O_RDWR), false);
	CHECK(!chdir("/"));
	check_system(open("dev/kvm", O_RDWR), false);
	FAILS(open("kvm", O_RDWR), ENOENT);
	FAILS(open("/dev/kvm", O_RDWR | O_CREAT | O_EXCL, 0600), EEXIST);
	FAILS(open("/dev/kvm", O_RDONLY | O_DIRECTORY), ENOTDIR);
	FAILS(ioctl(-1, KVM_GET_API_VERSION, 0), EBADF);
	FAILS(ioctl(dir, KVM_GET_API_VERSION, 0), ENOTTY);
	CHECK(!close(dir));
	FAILS(close(dir), EBADF);
}

void files_names(void)
{
	struct statx x;
	struct stat st;
	char buf[64];
	int fd;

	CHECK(!stat("/dev/kvm", &st));
	CHECK(S_ISCHR(st.st_mode) && st.st_rdev == makedev(10, 232));
	CHECK(!lstat("/dev/kvm", &st) && (st.st_mode & 0666) == 0666);
	CHECK(!fstatat(AT_FDCWD, "/dev/kvm", &st, 0) && S_ISCHR(st.st_mode));
	CHECK(!statx(AT_FDCWD, "/dev/kvm", 0, STATX_BASIC_STATS, &x));
	CHECK(x.stx_rdev_major == 10 && x.stx_rdev_minor == 232);
	CHECK(!access("/dev/kvm", R_OK | W_OK));
	FAILS(access("/dev/kvm", X_OK), EACCES);
	CHECK(!faccessat(AT_FDCWD, "/dev/kvm", R_OK | W_OK, AT_EACCESS));
	FAILS(readlink("/dev/kvm", buf, sizeof(buf)), EINVAL);
	CHECK(realpath("/dev/kvm", NULL));
	fd = open("/dev/kvm", O_RDWR);
	CHECK(fd >= 0 && !fstat(fd, &st) && S_ISCHR(st.st_mode));
	CHECK(!close(fd));
}

static bool exists(const char *path)
{
	return !access(path, F_OK);
}

void files_params(void)
{
	const char *path = "/sys/module/kvm/parameters/force_emulation_prefix";
	char text[16] = "";
	struct stat st;
	FILE *f;
	int fd;

	fd = open(path, O_RDONLY);
	CHECK(fd >= 0 && read(fd, text, sizeof(text)) == 2);
	CHECK(!strcmp(text, "0\n") && read(fd, text, sizeof(text)) == 0);
	CHECK(!close(fd));
	f = fopen("/sys/module/kvm/parameters/tdp_mmu", "re");
	CHECK(f && fgets(text, sizeof(text), f));
	CHECK(!strcmp(text, "Y\n") || !strcmp(text, "N\n"));
	fclose(f);
	CHECK(!stat(path, &st) && S_ISREG(st.st_mode));
	fd = open(path, O_RDONLY);
	CHECK(fd >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode));
	CHECK(st.st_size == 4096 && !(st.st_mode & 0222) && !close(fd));
	CHECK(!stat("/sys/module/kvm/parameters", &st) && S_ISDIR(st.st_mode));
	FAILS(open(path, O_RDWR), EACCES);
	FAILS(open("/sys/module/kvm/parameters/no_such", O_RDONLY), ENOENT);
	/* What the KVM's clock is made of. */
	f = fopen("/sys/devices/system/clocksource/clocksource0/"
		  "current_clocksource",
		  "r");
	CHECK(f && fgets(text, sizeof(text), f) && !strcmp(text, "tsc\n"));
	fclose(f);
	/* One vendor's module, with one of its own. */
	CHECK(exists("/sys/module/kvm_intel") != exists("/sys/module/kvm_amd"));
	CHECK(exists("/sys/module/kvm_intel/parameters/ept") !=
	      exists("/sys/module/kvm_amd/parameters/npt"));
}

void files_dup(void)
{
	struct machine m, other;
	struct kvm_regs regs;
	int fd, null, high;

	machine_open(&m);
	machine_code(&m, guest_out, sizeof(guest_out));
	fd = dup(m.vcpu);
	high = fcntl(m.vcpu, F_DUPFD_CLOEXEC, 1500);
	CHECK(fd >= 0 && high >= 1500);
	CHECK(!close(m.vcpu));
	FAILS(ioctl(m.vcpu, KVM_RUN, 0), EBADF);
	m.vcpu = fd;
	machine_expect_out(&m, 0x10);
	CHECK(!ioctl(high, KVM_GET_REGS, &regs));
	CHECK(!ioctl(high, KVM_RUN, 0));

	/* A number that means something else from now on. */
	machine_open(&other);
	machine_code(&other, guest_div, sizeof(guest_div));
	CHECK(!ioctl(other.vcpu, KVM_RUN, 0));
	CHECK(dup2(m.vcpu, other.vcpu) == other.vcpu);
	CHECK(!ioctl(other.vcpu, KVM_RUN, 0));
	CHECK(m.run->io.port == 0x10);
	null = open("/dev/null", O_RDWR);
	CHECK(dup3(null, other.vcpu, O_CLOEXEC) == other.vcpu);
	FAILS(ioctl(other.vcpu, KVM_RUN, 0), ENOTTY);
	CHECK(write(other.vcpu, "x", 1) == 1);
	machine_close(&other);
	CHECK(!close(null));
	CHECK(!close(high));
	machine_expect_out(&m, 0x10);
	machine_close(&m);
}

/* Threads of this process, by their folder. */
static int threads(void)
{
	struct stat st;

	CHECK(!stat("/proc/self/task", &st));
	return (int)st.st_nlink - 2;
}

/* Whether the library is in this process. */
static bool loaded(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	char line[PATH_MAX + 128];
	bool found = false;

	CHECK(f);
	while (fgets(line, sizeof(line), f))
		found |= strstr(line, "/liblodge.so.") != NULL;
	fclose(f);
	return found;
}

/*
 * A program that leaves /dev/kvm alone has the shim in it and no more, unless
 * CPUID is to be replaced in its code.
 */
void files_idle(void)
{
	const char *how = getenv("LODGE_CPUID");
	bool patch = how && !strcmp(how, "patch");
	struct machine m;
	struct stat st;
	int before;

	CHECK(client_descriptors() == 6); /* ".", "..", 0 to 2, the folder */
	CHECK(threads() == 1);
	CHECK(loaded() == patch);
	CHECK(!stat("/dev/kvm", &st) && !access("/dev/kvm", R_OK | W_OK));
	CHECK(threads() == 1);
	CHECK(loaded() == patch);
	before = open("/dev/null", O_RDWR);
	CHECK(before == 3);
	CHECK(!close(before));
	machine_open(&m);
	CHECK(loaded());
	machine_close(&m);
}

void files_close(void)
{
	int before, tasks;
	struct machine m;

	machine_open(&m);
	machine_close(&m);
	before = client_descriptors();
	tasks = threads();
	for (int i = 0; i < 20; i++) {
		machine_open(&m);
		machine_close(&m);
	}
	CHECK(client_descriptors() == before);
	CHECK(threads() == tasks);

	/* All at once, and what lies between. */
	machine_open(&m);
	CHECK(!close_range((unsigned int)m.kvm, ~0u, 0));
	FAILS(ioctl(m.vcpu, KVM_RUN, 0), EBADF);
	CHECK(open("/dev/null", O_RDWR) == m.kvm);
	FAILS(ioctl(m.kvm, KVM_GET_API_VERSION, 0), ENOTTY);
	closefrom(m.kvm);
	machine_open(&m);
	machine_code(&m, guest_out, sizeof(guest_out));
	CHECK(!close_range((unsigned int)m.kvm, ~0u, CLOSE_RANGE_CLOEXEC));
	machine_expect_out(&m, 0x10);
	closefrom(m.kvm);
	FAILS(ioctl(m.kvm, KVM_GET_API_VERSION, 0), EBADF);
}

void files_map(void)
{
	struct machine m;
	uint8_t *area;
	struct kvm_run *again;

	machine_open(&m);
	machine_code(&m, guest_out, sizeof(guest_out));
	area = mmap(NULL, 5 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		    0);
	CHECK(area != MAP_FAILED);
	again = mmap(area + 4096, m.run_size, PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_FIXED, m.vcpu, 0);
	CHECK((uint8_t *)again == area + 4096);
	machine_expect_out(&m, 0x10);
	CHECK(again->exit_reason == KVM_EXIT_IO && again->io.port == 0x10);
	CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, m.kvm, 0) == MAP_FAILED);
	CHECK(errno == ENODEV);
	/* A mapping outlives its descriptor. */
	CHECK(!close(m.vcpu));
	CHECK(again->io.port == 0x10);
	CHECK(!munmap(area, 5 * 4096) && !munmap(m.run, m.run_size));
	CHECK(!close(m.vm) && !close(m.kvm));
}

#define HOLE (FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE)

/* Guest memory of the kernel's own kind is mapped, never read or written. */
void files_memory(void)
{
	struct kvm_create_guest_memfd c = {
		.size = 8192,
		.flags = GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED,
	};
	struct machine m;
	char buf[8] = "", *p;
	int fd;

	machine_open(&m);
	fd = ioctl(m.vm, KVM_CREATE_GUEST_MEMFD, &c);
	CHECK(fd >= 0);
	FAILS(read(fd, buf, 1), EINVAL);
	FAILS(write(fd, buf, 1), EINVAL);
	FAILS(pread(fd, buf, 1, 0), EINVAL);
	FAILS(pwrite64(fd, buf, 1, 0), EINVAL);
	FAILS(syscall(SYS_pread64, fd, buf, 1, 0), EINVAL);
	p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(p != MAP_FAILED);
	FAILS(madvise(p, 4096, 25 /* MADV_COLLAPSE */), EINVAL);
	p[0] = p[4096] = 1;
	CHECK(!fallocate(fd, HOLE, 0, 4096));
	CHECK(p[0] == 0 && p[4096] == 1);
	CHECK(!fallocate(fd, HOLE, 8192, 4096));
	CHECK(!fallocate64(fd, FALLOC_FL_KEEP_SIZE, 0, 8192));
	FAILS(fallocate(fd, HOLE, 1, 4096), EINVAL);
	FAILS(fallocate(fd, HOLE, 0, 1), EINVAL);
	FAILS(fallocate(fd, FALLOC_FL_KEEP_SIZE, 8192, 4096), EINVAL);
	FAILS(fallocate(fd, 0, 0, 4096), EOPNOTSUPP);
	CHECK(!munmap(p, 8192) && !close(fd));
	/* The number is an ordinary one again. */
	CHECK(open("/dev/zero", O_RDONLY) == fd);
	CHECK(read(fd, buf, 1) == 1 && !close(fd));
	machine_close(&m);
}

/* The same by number. */
void files_raw(void)
{
	long kvm = syscall(SYS_openat, AT_FDCWD, "/dev/kvm", O_RDWR, 0), vm;
	long vcpu, size;
	void *p;

	CHECK(kvm >= 0);
	CHECK(syscall(SYS_ioctl, kvm, KVM_GET_API_VERSION, 0) == 12);
	FAILS(syscall(SYS_ioctl, kvm, KVM_GET_API_VERSION, 1), EINVAL);
	vm = syscall(SYS_ioctl, kvm, KVM_CREATE_VM, 0);
	FAILS(syscall(SYS_ioctl, vm, KVM_RUN, 0), ENOTTY);
	vcpu = syscall(SYS_ioctl, vm, KVM_CREATE_VCPU, 0);
	CHECK(vcpu >= 0);
	size = syscall(SYS_ioctl, kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	p = (void *)syscall(SYS_mmap, 0, size, PROT_READ, MAP_SHARED, vcpu, 0);
	CHECK(p != MAP_FAILED);
	CHECK(!munmap(p, (size_t)size));
	CHECK(!syscall(SYS_close, vcpu) && !syscall(SYS_close, vm));
	FAILS(syscall(SYS_close, vm), EBADF);
	CHECK(!syscall(SYS_close, kvm));
	FAILS(syscall(SYS_close, 12345), EBADF);
	CHECK(syscall(SYS_getpid) == getpid());
}
