/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two KVMs a guest can run on. The kernel's is reached by system calls,
 * ours by include/lodge.h. Negative answers are the only failures; what a
 * positive answer means is the caller's to check.
 */
#include "vmm/hv.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#ifdef HAVE_LODGE
#include "include/lodge.h"
#endif

static int kernel_open(void *priv)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int kernel_ioctl(void *priv, int fd, unsigned long req,
			unsigned long arg)
{
	int ret = ioctl(fd, req, arg);

	return ret < 0 ? -errno : ret;
}

static int kernel_mmap(void *priv, int fd, size_t len, void **out)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		return -errno;
	*out = p;
	return 0;
}

static int kernel_munmap(void *priv, int fd, void *p, size_t len)
{
	return munmap(p, len) ? -errno : 0;
}

static int kernel_close(void *priv, int fd)
{
	return close(fd) ? -errno : 0;
}

const struct hv_ops hv_kernel = {
	.name = "kvm",
	.what = "the kernel's /dev/kvm",
	.open = kernel_open,
	.ioctl = kernel_ioctl,
	.mmap = kernel_mmap,
	.munmap = kernel_munmap,
	.close = kernel_close,
};

#ifdef HAVE_LODGE
static int ours_open(void *priv)
{
	return lodge_open();
}

static int ours_ioctl(void *priv, int fd, unsigned long req, unsigned long arg)
{
	return lodge_ioctl(fd, req, arg);
}

static int ours_mmap(void *priv, int fd, size_t len, void **out)
{
	return lodge_mmap(fd, len, PROT_READ | PROT_WRITE, MAP_SHARED, 0, out);
}

static int ours_munmap(void *priv, int fd, void *p, size_t len)
{
	return lodge_munmap(fd, p, len);
}

static int ours_close(void *priv, int fd)
{
	return lodge_close(fd);
}
#else
static int ours_open(void *priv)
{
	return -ENOSYS;
}

#define ours_ioctl  kernel_ioctl
#define ours_mmap   kernel_mmap
#define ours_munmap kernel_munmap
#define ours_close  kernel_close
#endif

const struct hv_ops hv_lodge = {
	.name = "lodge",
	.what = "Lodge's own KVM",
	.inside = true,
	.open = ours_open,
	.ioctl = ours_ioctl,
	.mmap = ours_mmap,
	.munmap = ours_munmap,
	.close = ours_close,
};

bool hv_have_lodge(void)
{
#ifdef HAVE_LODGE
	return true;
#else
	return false;
#endif
}

int hv_open(struct hv *hv, const struct hv_ops *ops, void *priv, struct err *e)
{
	int ret;

	hv->ops = ops;
	hv->priv = priv;
	hv->fd = -1;
	ret = ops->open(priv);
	if (ret < 0)
		return err_set(e, ret, "cannot open %s: %s", ops->what,
			       strerror(-ret));
	hv->fd = ret;
	ret = hv_ioctl(hv, hv->fd, KVM_GET_API_VERSION, 0);
	if (ret == KVM_API_VERSION)
		return 0;
	hv_close(hv);
	if (ret < 0)
		return err_set(e, ret, "%s fails KVM_GET_API_VERSION: %s",
			       ops->what, strerror(-ret));
	return err_set(e, -EPROTO, "%s speaks KVM API version %d, not %d",
		       ops->what, ret, KVM_API_VERSION);
}

void hv_close(struct hv *hv)
{
	if (hv->fd >= 0)
		hv->ops->close(hv->priv, hv->fd);
	hv->fd = -1;
}

int hv_ioctl(struct hv *hv, int fd, unsigned long req, unsigned long arg)
{
	return hv->ops->ioctl(hv->priv, fd, req, arg);
}

int hv_calln(struct hv *hv, int fd, unsigned long req, unsigned long arg,
	     const char *what, struct err *e)
{
	int ret = hv_ioctl(hv, fd, req, arg);

	if (ret < 0)
		return err_set(e, ret, "%s fails %s: %s", hv->ops->what, what,
			       strerror(-ret));
	return ret;
}

int hv_call(struct hv *hv, int fd, unsigned long req, void *arg,
	    const char *what, struct err *e)
{
	return hv_calln(hv, fd, req, (unsigned long)arg, what, e);
}

void hv_close_fd(struct hv *hv, int fd)
{
	if (fd >= 0)
		hv->ops->close(hv->priv, fd);
}
