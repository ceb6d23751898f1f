/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prototypes of every handler in kvm/ioctl.def. They are defined in the file
 * their prefix names.
 */
#ifndef KVM_HANDLER_H
#define KVM_HANDLER_H

#include "kvm/call.h"

#define IOCTL(scope, request, fn, lock, cap, ...) ioctl_fn fn;
#include "kvm/ioctl.def"
#undef IOCTL

#endif
