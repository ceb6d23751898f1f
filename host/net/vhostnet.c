/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhost-net. A kernel that knows 128 feature bits is asked for all of them; an
 * older one takes the request for one of a ring and refuses it in one way or
 * another, so that any error means the 64 bits of old.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/vhost.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "host/net/vhost.h"

#ifndef VHOST_GET_FEATURES_ARRAY
#define VHOST_GET_FEATURES_ARRAY _IOR(VHOST_VIRTIO, 0x83, uint64_t)
#define VHOST_SET_FEATURES_ARRAY _IOW(VHOST_VIRTIO, 0x83, uint64_t)
#endif

struct vhost_net {
	struct vhost_sys sys;
	unsigned pairs;
	uint64_t offered[2];
	bool wide; /* the kernel has the array */
	bool running;
	int fd[NET_QUEUES];
};

struct feature_array {
	uint64_t count;
	uint64_t word[2];
};

static int kernel_open(void *ctx)
{
	int fd = open("/dev/vhost-net", O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int kernel_ioctl(void *ctx, int fd, unsigned long request, void *arg)
{
	return ioctl(fd, request, arg) < 0 ? -errno : 0;
}

static void kernel_close(void *ctx, int fd)
{
	close(fd);
}

const struct vhost_sys vhost_sys_kernel = {
	kernel_open,
	kernel_ioctl,
	kernel_close,
	NULL,
};

static int call(struct vhost_net *v, unsigned pair, unsigned long request,
		void *arg)
{
	return v->sys.ioctl(v->sys.ctx, v->fd[pair], request, arg);
}

static int get_features(struct vhost_net *v)
{
	struct feature_array f = {.count = 2};

	v->wide = !call(v, 0, VHOST_GET_FEATURES_ARRAY, &f);
	if (v->wide) {
		memcpy(v->offered, f.word, sizeof(f.word));
		return 0;
	}
	v->offered[1] = 0;
	return call(v, 0, VHOST_GET_FEATURES, &v->offered[0]);
}

static int set_features(struct vhost_net *v, unsigned pair,
			const uint64_t want[2])
{
	struct feature_array f = {
		.count = 2,
		.word = {want[0] & v->offered[0], want[1] & v->offered[1]},
	};

	if (v->wide)
		return call(v, pair, VHOST_SET_FEATURES_ARRAY, &f);
	return call(v, pair, VHOST_SET_FEATURES, &f.word[0]);
}

/* Descriptor @pair, of our own or @given. */
static int take_fd(struct vhost_net *v, const int *given, unsigned pair)
{
	if (!given)
		return v->sys.open(v->sys.ctx);
	if (fcntl(given[pair], F_SETFD, FD_CLOEXEC))
		return -errno;
	return given[pair];
}

struct vhost_net *vhost_net_open(const struct vhost_sys *sys, const int *given,
				 unsigned pairs, struct err *e)
{
	struct vhost_net *v = calloc(1, sizeof(*v));
	int ret = 0;

	if (!v) {
		err_set(e, -ENOMEM, "out of memory");
		return NULL;
	}
	v->sys = *sys;
	while (!ret && v->pairs < pairs) {
		ret = take_fd(v, given, v->pairs);
		if (ret < 0)
			break;
		v->fd[v->pairs++] = ret;
		ret = call(v, v->pairs - 1, VHOST_SET_OWNER, NULL);
	}
	if (!ret)
		ret = get_features(v);
	if (!ret)
		return v;
	err_set(e, ret, "vhost=on: cannot use %s: %s",
		given ? "vhostfd=" : "/dev/vhost-net", strerror(-ret));
	if (given)
		v->pairs = 0;
	vhost_net_close(v);
	return NULL;
}

void vhost_net_close(struct vhost_net *v)
{
	if (!v)
		return;
	vhost_net_stop(v);
	while (v->pairs)
		v->sys.close(v->sys.ctx, v->fd[--v->pairs]);
	free(v);
}

void vhost_net_features(const struct vhost_net *v, uint64_t features[2])
{
	memcpy(features, v->offered, sizeof(v->offered));
}

static int set_memory(struct vhost_net *v, unsigned pair,
		      const struct vhost_setup *s)
{
	struct {
		struct vhost_memory head;
		struct vhost_memory_region region[VHOST_REGIONS];
	} m = {.head.nregions = s->regions};
	unsigned i;

	for (i = 0; i < s->regions; i++)
		m.region[i] = (struct vhost_memory_region){
			.guest_phys_addr = s->region[i].gpa,
			.memory_size = s->region[i].size,
			.userspace_addr = (uintptr_t)s->region[i].hva,
		};
	return call(v, pair, VHOST_SET_MEM_TABLE, &m);
}

static int set_ring(struct vhost_net *v, unsigned pair, unsigned index,
		    const struct vhost_ring *r)
{
	struct vhost_vring_state num = {index, r->size};
	struct vhost_vring_state base = {index, r->base};
	struct vhost_vring_addr addr = {
		.index = index,
		.desc_user_addr = (uintptr_t)r->desc,
		.avail_user_addr = (uintptr_t)r->driver,
		.used_user_addr = (uintptr_t)r->device,
	};
	struct vhost_vring_file kick = {index, r->kick},
				bell = {index, r->call};
	int ret = call(v, pair, VHOST_SET_VRING_NUM, &num);

	if (!ret)
		ret = call(v, pair, VHOST_SET_VRING_BASE, &base);
	if (!ret)
		ret = call(v, pair, VHOST_SET_VRING_ADDR, &addr);
	if (!ret)
		ret = call(v, pair, VHOST_SET_VRING_KICK, &kick);
	if (!ret)
		ret = call(v, pair, VHOST_SET_VRING_CALL, &bell);
	return ret;
}

static int set_backend(struct vhost_net *v, unsigned pair, int fd)
{
	struct vhost_vring_file file = {.fd = fd};
	int ret = 0;

	for (file.index = 0; !ret && file.index < 2; file.index++)
		ret = call(v, pair, VHOST_NET_SET_BACKEND, &file);
	return ret;
}

static int start_pair(struct vhost_net *v, unsigned pair,
		      const struct vhost_setup *s, int tap)
{
	unsigned i;
	int ret = set_features(v, pair, s->features);

	if (!ret)
		ret = set_memory(v, pair, s);
	for (i = 0; !ret && i < 2; i++)
		ret = set_ring(v, pair, i, &s->ring[2 * pair + i]);
	return ret ? ret : set_backend(v, pair, tap);
}

int vhost_net_start(struct vhost_net *v, const struct vhost_setup *s,
		    const int *tap)
{
	unsigned i;
	int ret = 0;

	/* Bits above 64 that an old kernel cannot be told of. */
	if (!v->wide && s->features[1] & v->offered[1])
		return -ENOTSUP;
	for (i = 0; !ret && i < v->pairs && 2 * i + 1 < s->rings; i++)
		if (s->ring[2 * i].ready && s->ring[2 * i + 1].ready)
			ret = start_pair(v, i, s, tap[i]);
	v->running = true;
	if (ret)
		vhost_net_stop(v);
	return ret;
}

void vhost_net_stop(struct vhost_net *v)
{
	unsigned i;

	for (i = 0; v->running && i < v->pairs; i++)
		set_backend(v, i, -1);
	v->running = false;
}
