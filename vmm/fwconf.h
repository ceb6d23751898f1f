/* SPDX-License-Identifier: Apache-2.0 */
/*
 * -fw_cfg: what an operator hands to the guest by name.
 */
#ifndef VMM_FWCONF_H
#define VMM_FWCONF_H

#include "dev/fwcfg.h"
#include "host/file.h"
#include "lib/err.h"
#include "lib/keyval.h"

#define FWCONF_MAX 32

struct fwconf_item {
	char name[FWCFG_NAME];
	char value[KEYVAL_MAX];
	bool is_file; /* value is a path */
};

struct fwconf {
	unsigned count;
	struct fwconf_item item[FWCONF_MAX];
};

/* Their bytes: read once, lent to one machine after the other. */
struct fwdata {
	unsigned count;
	const struct fwconf *conf;
	struct file_data data[FWCONF_MAX];
};

/* One option's value: "[name=]NAME,file=PATH" or "[name=]NAME,string=TEXT". */
int fwconf_parse(struct fwconf *c, const char *arg, struct err *e);

int fwdata_read(struct fwdata *d, const struct fwconf *c,
		struct err *e) __must_check;
void fwdata_free(struct fwdata *d);

#endif
