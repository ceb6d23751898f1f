/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one door to a KVM: the kernel's /dev/kvm or our library, behind five
 * functions. Nothing else in the control rooms knows which one serves.
 */
#ifndef VMM_HV_H
#define VMM_HV_H

#include "lib/err.h"

/* A KVM implementation. Every function returns -errno on failure. */
struct hv_ops {
	const char *name; /* as -accel spells it */
	const char *what; /* as a person is told */
	bool inside;      /* of this process: an exit is no system call */
	int (*open)(void *priv);
	int (*ioctl)(void *priv, int fd, unsigned long req, unsigned long arg);
	int (*mmap)(void *priv, int fd, size_t len, void **out);
	int (*munmap)(void *priv, int fd, void *p, size_t len);
	int (*close)(void *priv, int fd);
};

/* One opened KVM. */
struct hv {
	const struct hv_ops *ops;
	void *priv; /* the implementation's */
	int fd;     /* the system handle, -1 while closed */
};

/* The kernel's. */
extern const struct hv_ops hv_kernel;

/* Our library; NULL name when this build carries none. */
extern const struct hv_ops hv_lodge;

/* True when this build contains our library. */
bool hv_have_lodge(void);

/*
 * Open @ops and check that it speaks API version 12. On failure nothing is
 * left open.
 */
int hv_open(struct hv *hv, const struct hv_ops *ops, void *priv,
	    struct err *e) __must_check;

/* Close the system handle; harmless on a closed one. */
void hv_close(struct hv *hv);

/* Issue one request; the raw -errno comes back. */
int hv_ioctl(struct hv *hv, int fd, unsigned long req, unsigned long arg);

/* The same, with @arg a pointer, and a sentence naming @what on failure. */
int hv_call(struct hv *hv, int fd, unsigned long req, void *arg,
	    const char *what, struct err *e);

/* The same, with @arg an integer. */
int hv_calln(struct hv *hv, int fd, unsigned long req, unsigned long arg,
	     const char *what, struct err *e);

#define HV_CALL(hv, fd, req, arg, e) hv_call(hv, fd, req, arg, #req, e)
#define HV_CALLN(hv, fd, req, n, e)  hv_calln(hv, fd, req, n, #req, e)

/* Close a VM, vCPU or device handle; -1 is ignored. */
void hv_close_fd(struct hv *hv, int fd);

#endif
