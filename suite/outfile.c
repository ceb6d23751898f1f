/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Beside the file and then in its place.
 */
#include "suite/outfile.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int fail(const char *path, struct err *e)
{
	return err_set(e, -errno, "%s: %s", path, strerror(errno));
}

static bool in_place(const char *path)
{
	struct stat st;

	return !lstat(path, &st) && !S_ISREG(st.st_mode);
}

int outfile_open(struct outfile *o, const char *path, struct err *e)
{
	*o = (struct outfile){.path = path};
	if (!in_place(path) && asprintf(&o->temp, "%s.new", path) < 0)
		return err_set(e, -ENOMEM, "no memory");
	o->f = fopen(o->temp ? o->temp : path, "we");
	if (o->f)
		return 0;
	fail(path, e);
	free(o->temp);
	return e->code;
}

int outfile_close(struct outfile *o, struct err *e)
{
	int ret = 0;

	if (ferror(o->f))
		ret = err_set(e, -EIO, "%s: cannot be written", o->path);
	if (fclose(o->f) && !ret)
		ret = fail(o->path, e);
	if (!ret && o->temp && rename(o->temp, o->path))
		ret = fail(o->path, e);
	if (ret && o->temp)
		unlink(o->temp);
	free(o->temp);
	return ret;
}

int outfile_check(const char *path, struct err *e)
{
	struct outfile o;
	int ret;

	if (in_place(path)) /* opening a pipe may wait for its reader */
		return access(path, W_OK) ? fail(path, e) : 0;
	ret = outfile_open(&o, path, e);
	if (ret)
		return ret;
	fclose(o.f);
	unlink(o.temp);
	free(o.temp);
	return 0;
}
