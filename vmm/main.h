/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `lodge run`, once its options are parsed.
 */
#ifndef VMM_MAIN_H
#define VMM_MAIN_H

#include "vmm/config.h"
#include "vmm/exitcode.h"

/*
 * Run the machine that @config describes until it or the operator ends it,
 * through as many resets as it takes. Failures are reported on stderr, one
 * line each; the terminal is as it was. Returns the exit status. Once per
 * process: signals are taken over.
 */
int vmm_main(struct config *config) __must_check;

#endif
