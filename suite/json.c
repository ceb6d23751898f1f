/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Results and listings as JSON, by json-c.
 */
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "suite/outfile.h"
#include "suite/report.h"
#include "suite/text.h"

#define STYLE (JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE)

/* json-c takes bytes as they are, JSON is UTF-8. */
static struct json_object *string(const char *text)
{
	char *copy = text ? strdup(text) : NULL;
	struct json_object *o = NULL;

	if (copy) {
		text_clean_utf8(copy);
		o = json_object_new_string(copy);
	}
	free(copy);
	return o;
}

static void put(struct json_object *o, const char *key, const char *text)
{
	json_object_object_add(o, key, string(text));
}

static struct json_object *result_json(const struct suite_result *r)
{
	struct json_object *o = json_object_new_object();

	put(o, "test", r->test);
	put(o, "target", r->target);
	put(o, "verdict", verdict_name(r->verdict));
	put(o, "reason", r->reason);
	put(o, "log", r->log);
	json_object_object_add(o, "seconds",
			       json_object_new_double(r->seconds));
	json_object_object_add(o, "tries", json_object_new_int((int)r->tries));
	json_object_object_add(o, "of", json_object_new_int((int)r->of));
	return o;
}

static int write_json(const char *path, struct json_object *a, struct err *e)
{
	const char *text = json_object_to_json_string_ext(a, STYLE);
	struct outfile o;
	int ret;

	if (!text)
		return err_set(e, -ENOMEM, "no memory");
	if (!*path)
		return puts(text) < 0 ? err_set(e, -EIO, "standard output: %s",
						strerror(errno))
				      : 0;
	ret = outfile_open(&o, path, e);
	if (ret)
		return ret;
	fprintf(o.f, "%s\n", text);
	return outfile_close(&o, e);
}

int report_json(const char *path, const struct suite_results *r, struct err *e)
{
	struct json_object *a = json_object_new_array();
	size_t i;
	int ret;

	for (i = 0; i < r->n; i++)
		json_object_array_add(a, result_json(&r->v[i]));
	ret = write_json(path, a, e);
	json_object_put(a);
	return ret;
}

/* ---- merging ---- */

static const char *text_of(struct json_object *o, const char *key)
{
	struct json_object *v;

	if (!json_object_object_get_ex(o, key, &v))
		return NULL;
	return json_object_get_string(v);
}

static double number_of(struct json_object *o, const char *key)
{
	struct json_object *v;

	return json_object_object_get_ex(o, key, &v) ? json_object_get_double(v)
						     : 0;
}

static unsigned int count_of(struct json_object *o, const char *key)
{
	double v = number_of(o, key);

	return v > 0 && v < 1e9 ? (unsigned int)v : 0;
}

static int verdict_of(const char *text)
{
	int v;

	for (v = 0; text && v < VERDICT_COUNT; v++)
		if (!strcmp(verdict_name((enum verdict)v), text))
			return v;
	return -1;
}

/*
 * Where the result of (@test, @target) is, or room for it behind the others
 * of the same test.
 */
static struct suite_result *slot(struct suite_results *r, const char *test,
				 const char *target)
{
	struct suite_result *v;
	size_t i, at = r->n;

	for (i = 0; i < r->n; i++) {
		if (strcmp(r->v[i].test, test))
			continue;
		at = i + 1;
		if (!strcmp(r->v[i].target, target))
			return &r->v[i];
	}
	v = realloc(r->v, (r->n + 1) * sizeof(*v));
	if (!v)
		return NULL;
	r->v = v;
	memmove(v + at + 1, v + at, (r->n - at) * sizeof(*v));
	r->n++;
	v[at] = (struct suite_result){.test = strdup(test),
				      .target = strdup(target)};
	if (!v[at].test || !v[at].target)
		return NULL;
	text_clean(v[at].test);
	text_clean(v[at].target);
	return &v[at];
}

static bool merge_one(struct suite_results *r, struct json_object *o)
{
	const char *test = text_of(o, "test"), *target = text_of(o, "target");
	const char *log = text_of(o, "log"), *reason = text_of(o, "reason");
	int verdict = verdict_of(text_of(o, "verdict"));
	struct suite_result *x;

	if (!test || !target || verdict < 0)
		return false;
	x = slot(r, test, target);
	if (!x)
		return false;
	x->of = count_of(o, "of");
	if (verdict == VERDICT_NONE && x->verdict != VERDICT_NONE)
		return true; /* another shard ran it */
	x->verdict = (enum verdict)verdict;
	snprintf(x->reason, sizeof(x->reason), "%s", reason ? reason : "");
	text_clean(x->reason);
	free(x->log);
	x->log = log ? strdup(log) : NULL;
	x->seconds = number_of(o, "seconds");
	x->tries = count_of(o, "tries");
	return true;
}

int report_merge(const char *path, struct suite_results *r, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct json_object *a = fd < 0 ? NULL : json_object_from_fd(fd);
	size_t i, n;
	int ret = 0;

	if (fd < 0)
		return err_set(e, -errno, "%s: %s", path, strerror(errno));
	close(fd);
	if (!a)
		return err_set(e, -EINVAL, "%s: is no JSON, or not all of it",
			       path);
	if (!json_object_is_type(a, json_type_array))
		ret = err_set(e, -EINVAL, "%s: not a file of results", path);
	n = ret ? 0 : json_object_array_length(a);
	for (i = 0; i < n && !ret; i++)
		if (!merge_one(r, json_object_array_get_idx(a, i)))
			ret = err_set(e, -EINVAL, "%s: entry %zu is no result",
				      path, i);
	json_object_put(a);
	return ret;
}

/* ---- listing ---- */

/* What a test leaves out has a default. */
static void put_resolved(struct json_object *o, const struct suite_run *run,
			 const struct suite_test *t)
{
	char smp[SUITE_SMP], timeout[32];
	double limit;
	struct err e = {0};

	if (!suite_smp(&run->setup, t, smp, &e))
		put(o, "smp", smp);
	limit = t->timeout && *t->timeout ? suite_duration(t->timeout)
					  : run->timeout;
	snprintf(timeout, sizeof(timeout), "%.10g", limit);
	if (limit >= 0)
		put(o, "timeout", timeout);
}

/* What would be run, or why nothing. */
static struct json_object *target_json(const struct suite_run *run,
				       const struct suite_target *target,
				       const struct suite_test *t)
{
	struct json_object *o = json_object_new_object(), *a;
	struct words w = {NULL, 0};
	char reason[256];
	struct err e = {0};
	size_t i;

	put(o, "target", target->name);
	if (suite_command(&run->setup, target, t, &w, reason, &e)) {
		put(o, "error", e.msg);
	} else if (*reason) {
		put(o, "skip", reason);
	} else {
		a = json_object_new_array();
		for (i = 0; i < w.n; i++)
			json_object_array_add(a, string(w.v[i]));
		json_object_object_add(o, "command", a);
	}
	words_free(&w);
	return o;
}

static struct json_object *test_json(const struct suite_run *run,
				     const struct suite_test *t)
{
	struct json_object *o = json_object_new_object();
	struct json_object *a = json_object_new_array();
	const struct suite_key *k;
	size_t i;

	put(o, "name", t->name);
	for (k = suite_keys; k->name; k++)
		if (strcmp(k->name, "extra_params")) /* has another name */
			put(o, k->name,
			    *(char *const *)((const char *)t + k->offset));
	put_resolved(o, run, t);
	for (i = 0; i < run->targets; i++)
		json_object_array_add(a, target_json(run, &run->target[i], t));
	json_object_object_add(o, "targets", a);
	json_object_object_add(o, "line", json_object_new_int(t->line));
	return o;
}

int report_list_json(const char *path, const struct suite_run *run,
		     const struct suite_test *const *tests, size_t n,
		     struct err *e)
{
	struct json_object *a = json_object_new_array();
	size_t i;
	int ret;

	for (i = 0; i < n; i++)
		json_object_array_add(a, test_json(run, tests[i]));
	ret = write_json(path, a, e);
	json_object_put(a);
	return ret;
}
