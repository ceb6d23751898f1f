/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Children are waited for with the signals that matter blocked: SIGCHLD and
 * the operator's come from sigtimedwait(), which is also the clock for time
 * limits. A child that outlives its limit gets SIGTERM, a second later
 * SIGKILL, and with it whatever it started.
 */
#include "suite/job.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "suite/text.h"

#define GRACE   1.0        /* seconds between SIGTERM and SIGKILL */
#define LOG_MAX (1u << 20) /* bytes of a log that are searched */

struct child {
	struct suite_job *job; /* NULL: free */
	pid_t pid;
	double start, limit; /* limit 0: none */
	bool ended;          /* SIGTERM was sent */
	char base[4096], log[4096 + 8], errors[4096 + 8];
};

struct pool {
	const struct suite_run *run;
	struct child *children;
	double start;
	int signal; /* of the operator */
	bool stopping;
	struct err *e;
};

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

double suite_duration(const char *text)
{
	char *end;
	double v = strtod(text, &end);

	if (end == text || !(v >= 0))
		return -1;
	switch (*end) {
	case 'd': v *= 24; __attribute__((fallthrough));
	case 'h': v *= 60; __attribute__((fallthrough));
	case 'm': v *= 60; __attribute__((fallthrough));
	case 's': end++; break;
	default: break;
	}
	return *end || v > 1e8 ? -1 : v;
}

/* ---- one child ---- */

static char *read_file(const char *path)
{
	char *text = calloc(1, LOG_MAX + 1);
	FILE *f = fopen(path, "re");
	struct stat st;
	size_t n;

	if (text && f) {
		/* the end is what tells */
		if (!fstat(fileno(f), &st) && st.st_size > (off_t)LOG_MAX)
			fseek(f, -(long)LOG_MAX, SEEK_END);
		n = fread(text, 1, LOG_MAX, f);
		for (char *p = text; p < text + n; p++)
			if (!*p)
				*p = ' ';
	}
	if (f)
		fclose(f);
	return text;
}

/* Bytes of a name that are themselves in a file's; others are %XX. */
static bool stays(char c)
{
	return isalnum((unsigned char)c) || (c & 0x80) ||
	       (c && strchr("._+,=@#~-", c));
}

/* Different tests have different names, however long and odd theirs are. */
void suite_log_name(char *out, const char *test, const char *target)
{
	char *start = out;
	uint64_t hash = 0xcbf29ce484222325ULL; /* FNV-1a */
	bool cut = false;
	const char *p;

	for (p = test; *p; p++) {
		unsigned char c = (unsigned char)*p;

		hash = (hash ^ c) * 0x100000001b3ULL;
		cut |= out - start > NAME_MAX - 80;
		if (!cut)
			out += sprintf(out, stays(*p) ? "%c" : "%%%02X", c);
	}
	if (cut)
		out += sprintf(out, "~%016" PRIx64, hash);
	*out++ = '.';
	for (p = target; *p; p++)
		*out++ = *p == ':' ? '-' : *p;
	*out = 0;
}

static void log_paths(const struct suite_run *run, struct child *c)
{
	const struct suite_job *j = c->job;
	char name[SUITE_LOG_NAME];

	suite_log_name(name, j->test->name, j->target->name);
	snprintf(c->base, sizeof(c->base), "%s/%s", run->logs, name);
	snprintf(c->log, sizeof(c->log), "%s.log", c->base);
	snprintf(c->errors, sizeof(c->errors), "%s.err", c->base);
}

/* A log of an earlier try, or none. */
static void try_path(const struct child *c, unsigned int try, char *out,
		     size_t size)
{
	snprintf(out, size, "%s.try%u.log", c->base, try);
}

/* What failed before stays readable; of an earlier run nothing does. */
static void keep_log(const struct child *c, unsigned int tries)
{
	char path[sizeof(c->base) + 24];
	unsigned int i;

	if (tries) {
		try_path(c, tries, path, sizeof(path));
		rename(c->log, path);
		return;
	}
	for (i = 1; i; i++) {
		try_path(c, i, path, sizeof(path));
		if (unlink(path))
			break;
	}
}

static int open_log(const char *path)
{
	return open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
}

static void exec_child(const struct words *w, pid_t parent, int out, int errors)
{
	int null = open("/dev/null", O_RDONLY);
	sigset_t none;
	size_t i;

	/* no test outlives a runner that was killed */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
	setpgid(0, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	dup2(null, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	dup2(errors, STDERR_FILENO);
	for (i = 0; i < w->n; i++)
		dprintf(STDOUT_FILENO, "%s%s", i ? " " : "# ", w->v[i]);
	dprintf(STDOUT_FILENO, "\n");
	execvp(w->v[0], w->v);
	dprintf(STDERR_FILENO, "%s: %s\n", w->v[0], strerror(errno));
	_exit(127);
}

static int spawn(struct pool *p, struct child *c, const struct words *w)
{
	pid_t parent = getpid();
	int out, errors;

	log_paths(p->run, c);
	keep_log(c, c->job->result->tries);
	out = open_log(c->log);
	errors = open_log(c->errors);
	c->pid = out < 0 || errors < 0 ? -1 : fork();
	if (!c->pid)
		exec_child(w, parent, out, errors);
	if (c->pid > 0)
		setpgid(c->pid, c->pid); /* whoever is first */
	else
		err_set(p->e, -errno, "%s: %s", c->log, strerror(errno));
	if (out >= 0)
		close(out);
	if (errors >= 0)
		close(errors);
	return c->pid > 0 ? 0 : p->e->code;
}

static int find_limit(const struct suite_run *run, const struct suite_test *t,
		      double *limit, struct err *e)
{
	*limit = run->timeout;
	if (!t->timeout || !*t->timeout)
		return 0;
	*limit = suite_duration(t->timeout);
	if (*limit >= 0)
		return 0;
	return err_set(e, -EINVAL,
		       "[%s]: timeout is 90, 90s, 2m, 1h or 1d, "
		       "not '%s'",
		       t->name, t->timeout);
}

/* 0 started, 1 the result is there already, -errno. */
static int start(struct pool *p, struct child *c, struct suite_job *j)
{
	struct words w = {NULL, 0};
	struct suite_result *r = j->result;
	struct err e = {0};
	int ret;

	c->job = j;
	ret = suite_command(&p->run->setup, j->target, j->test, &w, r->reason,
			    &e);
	if (!ret)
		ret = find_limit(p->run, j->test, &c->limit, &e);
	if (ret == -EINVAL) { /* this test's fault, not the run's */
		r->verdict = VERDICT_FAIL;
		snprintf(r->reason, sizeof(r->reason), "%.250s", e.msg);
		text_clean(r->reason);
		ret = 1;
	} else if (ret < 0) {
		err_set(p->e, ret, "%s", e.msg);
	} else if (!ret && *r->reason) {
		r->verdict = VERDICT_SKIP;
		text_clean(r->reason);
		ret = 1;
	} else if (!ret) {
		ret = spawn(p, c, &w);
	}
	words_free(&w);
	c->start = now();
	c->ended = false;
	r->tries++;
	if (ret)
		c->job = NULL;
	return ret;
}

/* The log gets what was on standard error behind it. */
static void join_logs(const struct child *c, const char *errors)
{
	FILE *f = fopen(c->log, "ae");

	if (f && *errors)
		fprintf(f, "\n# standard error:\n%s", errors);
	if (f)
		fclose(f);
	unlink(c->errors);
}

static void finish(struct pool *p, struct child *c, int status)
{
	struct suite_job *j = c->job;
	struct suite_result *r = j->result;
	char *out = read_file(c->log), *errors = read_file(c->errors);
	struct suite_end end = {
		.status = status,
		.timed_out = c->ended && !p->stopping,
		.out = out ? out : "",
		.errors = errors ? errors : "",
	};

	r->seconds = now() - c->start;
	r->verdict = suite_judge(j->target, j->test, &end, r->reason);
	if (r->verdict == VERDICT_TIMEOUT)
		snprintf(r->reason, sizeof(r->reason), "after %.0f s",
			 r->seconds);
	if (p->stopping && c->ended) {
		r->verdict = VERDICT_NONE;
		snprintf(r->reason, sizeof(r->reason), "ended after %.0f s",
			 r->seconds);
	}
	join_logs(c, end.errors);
	if (!r->log)
		r->log = strdup(c->log);
	free(out);
	free(errors);
	kill(-c->pid, SIGKILL); /* what it left behind */
	c->job = NULL;
}

/* ---- all of them ---- */

static void end_child(struct child *c, int sig)
{
	kill(-c->pid, sig);
	c->ended = true;
}

static void check_limits(struct pool *p)
{
	double t = now(), overall = p->run->overall;
	unsigned int i;

	if (overall > 0 && t - p->start > overall && !p->stopping) {
		p->stopping = true;
		p->signal = SIGALRM;
	}
	for (i = 0; i < p->run->jobs; i++) {
		struct child *c = &p->children[i];

		if (!c->job)
			continue;
		if (!c->ended && (p->stopping ||
				  (c->limit > 0 && t - c->start > c->limit))) {
			end_child(c, SIGTERM);
			c->limit = t - c->start;
		} else if (c->ended && t - c->start > c->limit + GRACE) {
			end_child(c, SIGKILL);
		}
	}
}

static void wait_some(struct pool *p, const sigset_t *set)
{
	struct timespec ts = {.tv_nsec = 100000000};
	int sig = sigtimedwait(set, NULL, &ts);

	if (sig > 0 && sig != SIGCHLD) {
		p->signal = sig;
		p->stopping = true;
	}
	check_limits(p);
}

/* True if the job is to run again. */
static bool again(const struct pool *p, const struct suite_result *r)
{
	const struct suite_run *run = p->run;

	if (run->expected && run->expected(r, run->arg))
		return false;
	return verdict_failed(r->verdict) && !p->stopping &&
	       r->tries <= run->retries;
}

static int restart(struct pool *p, struct child *c, struct suite_job *j)
{
	int ret = start(p, c, j);

	return ret < 0 ? ret : 0;
}

static int reap(struct pool *p)
{
	unsigned int i;
	int status, ret = 0;

	for (i = 0; i < p->run->jobs && !ret; i++) {
		struct child *c = &p->children[i];
		struct suite_job *j = c->job;

		if (!j || waitpid(c->pid, &status, WNOHANG) != c->pid)
			continue;
		finish(p, c, status);
		if (again(p, j->result))
			ret = restart(p, c, j);
		else if (j->result->verdict != VERDICT_NONE)
			p->run->progress(j->result, p->run->arg);
	}
	return ret;
}

static unsigned int busy(const struct pool *p)
{
	unsigned int i, n = 0;

	for (i = 0; i < p->run->jobs; i++)
		n += p->children[i].job != NULL;
	return n;
}

static struct child *free_child(struct pool *p)
{
	unsigned int i;

	for (i = 0; i < p->run->jobs; i++)
		if (!p->children[i].job)
			return &p->children[i];
	return NULL;
}

static int run_all(struct pool *p, struct suite_job *jobs, size_t n,
		   const sigset_t *set)
{
	size_t next = 0;
	int ret = 0;

	while (!ret && ((next < n && !p->stopping) || busy(p))) {
		struct child *c = free_child(p);

		if (c && next < n && !p->stopping) {
			ret = start(p, c, &jobs[next++]);
			if (ret != 1)
				continue;
			p->run->progress(jobs[next - 1].result, p->run->arg);
			ret = 0;
			continue;
		}
		ret = reap(p);
		if (!ret && !free_child(p))
			wait_some(p, set);
		else if (!ret && (next == n || p->stopping) && busy(p))
			wait_some(p, set);
	}
	for (unsigned int i = 0; ret && i < p->run->jobs; i++) {
		if (!p->children[i].job)
			continue;
		end_child(&p->children[i], SIGKILL); /* nothing goes on */
	}
	return ret;
}

/* Children that are not ours by birth: their parents are gone. */
static bool end_orphans(void)
{
	char path[64];
	bool any = false;
	int pid;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
	f = fopen(path, "re");
	while (f && fscanf(f, "%d", &pid) == 1) {
		kill(pid, SIGKILL);
		any |= waitpid(pid, NULL, 0) == pid;
	}
	if (f)
		fclose(f);
	return any;
}

int suite_run_jobs(const struct suite_run *run, struct suite_job *jobs,
		   size_t n, struct err *e)
{
	struct pool p = {.run = run, .start = now(), .e = e};
	sigset_t set, old;
	int ret;

	if (mkdir(run->logs, 0777) && errno != EEXIST)
		return err_set(e, -errno, "%s: %s", run->logs, strerror(errno));
	p.children = calloc(run->jobs, sizeof(*p.children));
	if (!p.children)
		return err_set(e, -ENOMEM, "no memory");
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, &old);
	/* what leaves its process group comes to us when its parent ends */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	ret = run_all(&p, jobs, n, &set);
	while (end_orphans())
		;
	prctl(PR_SET_CHILD_SUBREAPER, 0);
	sigprocmask(SIG_SETMASK, &old, NULL);
	free(p.children);
	return ret ? ret : p.signal;
}
