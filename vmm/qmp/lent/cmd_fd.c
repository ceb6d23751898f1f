/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors that come over the monitor's socket: by name, for what is added
 * next, and in sets, for what is opened by path.
 */
#include <ctype.h>
#include <errno.h>
#include <unistd.h>

#include "host/fdset.h"
#include "vmm/qmp/command.h"
#include "vmm/qmp/lent/passed.h"

static int getfd(struct qmp *q, struct json_object *args,
		 struct json_object **ret, struct err *e)
{
	const char *name = json_get_str(args, "fdname");
	int fd = passed_take(q->passed, e);

	if (fd < 0)
		return fd;
	if (isdigit((unsigned char)name[0])) {
		close(fd);
		return err_set(e, -EINVAL,
			       "Parameter 'fdname' expects a name not starting "
			       "with a digit");
	}
	return passed_keep(q->passed, name, fd, e);
}

static int closefd(struct qmp *q, struct json_object *args,
		   struct json_object **ret, struct err *e)
{
	return passed_drop(q->passed, json_get_str(args, "fdname"), e);
}

static int add_fd(struct qmp *q, struct json_object *args,
		  struct json_object **ret, struct err *e)
{
	int64_t set = json_get_int(args, "fdset-id", FDSET_ANY);
	int fd = passed_take(q->passed, e);

	if (fd < 0)
		return fd;
	if (json_object_object_get(args, "fdset-id") && set < 0)
		set = -EINVAL;
	else
		set = fdset_add(set, fd, json_get_str(args, "opaque"));
	if (set < 0) {
		close(fd);
		return set == -EINVAL
			       ? err_set(e, -EINVAL,
					 "Parameter 'fdset-id' expects a "
					 "non-negative value")
			       : err_set(e, (int)set, "out of memory");
	}
	*ret = json_object_new_object();
	json_put_int(*ret, "fdset-id", (uint64_t)set);
	json_put_int(*ret, "fd", (uint64_t)fd);
	return 0;
}

static int remove_fd(struct qmp *q, struct json_object *args,
		     struct json_object **ret, struct err *e)
{
	int64_t set = json_get_int(args, "fdset-id", 0);
	int64_t fd = json_get_int(args, "fd", FDSET_ANY);
	bool one = json_object_object_get(args, "fd");

	if (!(one && (fd < 0 || fd > INT32_MAX)) && !fdset_remove(set, (int)fd))
		return 0;
	return one ? err_set(e, -ENOENT,
			     "File descriptor named 'fdset-id:%lld, fd:%lld' "
			     "not found",
			     (long long)set, (long long)fd)
		   : err_set(e, -ENOENT,
			     "File descriptor named 'fdset-id:%lld' not found",
			     (long long)set);
}

struct listing {
	struct json_object *sets, *fds; /* of the last one */
};

static void list_one(void *ctx, int64_t set, int fd, const char *opaque)
{
	struct listing *l = ctx;
	struct json_object *o;

	if (fd < 0) {
		o = json_add_object(l->sets);
		json_put_int(o, "fdset-id", (uint64_t)set);
		l->fds = json_put_array(o, "fds");
		return;
	}
	o = json_add_object(l->fds);
	json_put_int(o, "fd", (uint64_t)fd);
	if (opaque)
		json_put_str(o, "opaque", opaque);
}

static int query_fdsets(struct qmp *q, struct json_object *args,
			struct json_object **ret, struct err *e)
{
	struct listing l = {.sets = json_object_new_array()};

	fdset_walk(list_one, &l);
	*ret = l.sets;
	return 0;
}

const struct qmp_command qmp_fd_commands[] = {
	{"getfd", "fdname:str", false, "",
	 "name a descriptor that comes with this, by SCM_RIGHTS", getfd},
	{"closefd", "fdname:str", false, "", "close one that has a name",
	 closefd},
	{"add-fd", "fdset-id?:int opaque?:str", false, "AddfdInfo",
	 "put a descriptor that comes with this into a set: /dev/fdset/N",
	 add_fd},
	{"remove-fd", "fdset-id:int fd?:int", false, "",
	 "close one of a set, or all that nobody has open", remove_fd},
	{"query-fdsets", "", false, "[FdsetInfo]", "sets of descriptors",
	 query_fdsets},
	{0},
};
