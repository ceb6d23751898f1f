/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `lodge test`: options, which tests on which targets, what is printed.
 */
#include <errno.h>
#include <fnmatch.h>
#include <getopt.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "suite/known.h"
#include "suite/outfile.h"
#include "suite/report.h"
#include "vmm/exitcode.h"

#define MAX_TARGETS 8
#define MAX_WORDS   64

struct options {
	struct suite_run run;
	struct suite_target target[MAX_TARGETS];
	size_t targets;
	const char *vmm[MAX_TARGETS];
	size_t vmms;
	const char *accel;
	const char *group[MAX_WORDS];
	size_t groups;
	bool all, list, merge, retried;
	const char *json; /* "": to standard output */
	const char *tap, *junit, *known_path;
	struct known known;
	unsigned int shard, shards; /* from 1; 0: none */
	size_t total;               /* tests of all shards */
	unsigned int done, count;   /* results */
	unsigned int unknown;       /* in the list of known failures */
	char **args;
	size_t nargs;
};

enum {
	OPT_ALL = 256,
	OPT_TIMEOUT,
	OPT_OVERALL,
	OPT_RETRIES,
	OPT_LOGS,
	OPT_DIR,
	OPT_ENV,
	OPT_ARCH,
	OPT_MACHINE,
	OPT_SHARD,
	OPT_MERGE,
	OPT_KNOWN,
	OPT_LIST,
	OPT_JSON,
	OPT_TAP,
	OPT_JUNIT,
	OPT_VMM,
	OPT_ACCEL,
	OPT_CHECK, /* these two only by the environment */
	OPT_MAX_SMP
};

static const struct option long_options[] = {
	{"vmm", required_argument, NULL, OPT_VMM},
	{"accel", required_argument, NULL, OPT_ACCEL},
	{"group", required_argument, NULL, 'g'},
	{"all", no_argument, NULL, OPT_ALL},
	{"jobs", required_argument, NULL, 'j'},
	{"timeout", required_argument, NULL, OPT_TIMEOUT},
	{"overall", required_argument, NULL, OPT_OVERALL},
	{"retries", required_argument, NULL, OPT_RETRIES},
	{"logs", required_argument, NULL, OPT_LOGS},
	{"dir", required_argument, NULL, OPT_DIR},
	{"env", required_argument, NULL, OPT_ENV},
	{"arch", required_argument, NULL, OPT_ARCH},
	{"machine", required_argument, NULL, OPT_MACHINE},
	{"shard", required_argument, NULL, OPT_SHARD},
	{"merge", no_argument, NULL, OPT_MERGE},
	{"known", required_argument, NULL, OPT_KNOWN},
	{"list", no_argument, NULL, OPT_LIST},
	{"json", optional_argument, NULL, OPT_JSON},
	{"tap", required_argument, NULL, OPT_TAP},
	{"junit", required_argument, NULL, OPT_JUNIT},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

static const char help[] =
	"usage: lodge test [OPTION]... UNITTESTS.CFG [NAME]...\n"
	"       lodge test --merge [OPTION]... RESULTS.JSON...\n"
	"\n"
	"Runs a suite in the format of kvm-unit-tests on one or more "
	"monitors.\n"
	"NAMEs are file name patterns; without, all tests but those of group\n"
	"'nodefault'.\n"
	"\n"
	"  --vmm VMM[:ACCEL]  lodge, qemu or kvmtool; again for more columns\n"
	"  --accel ACCEL      lodge, kvm or tcg, for those that name none\n"
	"  -g, --group GROUP  only tests of the group; may be repeated\n"
	"  --all              group 'nodefault' too\n"
	"  -j, --jobs N       tests at a time (as many as CPUs)\n"
	"  --timeout TIME     of a test that names none: 90, 90s, 2m; 0: none "
	"(90s)\n"
	"  --overall TIME     of the whole run (none)\n"
	"  --retries N        run again what failed, up to N times (0)\n"
	"  --logs DIR         a file per test and monitor (logs)\n"
	"  --dir DIR          of the tests' files (where UNITTESTS.CFG is)\n"
	"  --env FILE         environment handed to the tests as initrd\n"
	"  --arch ARCH        x86_64 or i386 (x86_64)\n"
	"  --machine TYPE     machine type (the monitor's own)\n"
	"  --shard K/N        every Nth test, from the Kth\n"
	"  --known FILE       failures that are expected: lines of TEST TARGET "
	"VERDICT\n"
	"                     [REASON]; one that is listed and passes is an "
	"error\n"
	"  --list             print the tests, with --json all they say\n"
	"  --json[=FILE]      results for programs and for --merge\n"
	"  --tap FILE         results as TAP\n"
	"  --junit FILE       results as JUnit's XML\n"
	"  --merge            print and write what several runs found\n"
	"\n"
	"Exit status: 0 all passed or were skipped, 1 some failed or none "
	"ran,\n"
	"2 usage, 4 a file or program is missing, 128+N ended by signal N.\n";

static int usage(const char *fmt, const char *what)
{
	fprintf(stderr, "lodge test: ");
	fprintf(stderr, fmt, what);
	fprintf(stderr, "; `lodge test --help` tells more\n");
	return EXITCODE_USAGE;
}

static int fail(const struct err *e)
{
	fprintf(stderr, "lodge test: %s\n", e->msg);
	return EXITCODE_START;
}

/* ---- options ---- */

static bool set_count(unsigned int *n, const char *text, unsigned int min)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || v < min || v > 4096)
		return false;
	*n = (unsigned int)v;
	return true;
}

static bool set_shard(struct options *o, const char *text)
{
	const char *slash = strchr(text, '/');
	char first[8];

	if (!slash || slash - text >= (ptrdiff_t)sizeof(first))
		return false;
	snprintf(first, sizeof(first), "%.*s", (int)(slash - text), text);
	return set_count(&o->shard, first, 1) &&
	       set_count(&o->shards, slash + 1, 1) && o->shard <= o->shards;
}

static bool set_duration(double *v, const char *text)
{
	*v = suite_duration(text);
	return *v >= 0;
}

static bool add_word(const char **list, size_t *n, size_t max, const char *word)
{
	if (*n == max)
		return false;
	list[(*n)++] = word;
	return true;
}

static bool set_arch(struct options *o, const char *arg)
{
	o->run.setup.arch = arg;
	return !strcmp(arg, "x86_64") || !strcmp(arg, "i386");
}

static bool set_max_smp(struct options *o, const char *text)
{
	unsigned int n;
	bool good = set_count(&n, text, 1);

	if (good)
		o->run.setup.max_smp = (int)n;
	return good;
}

/* False: the value is wrong. */
static bool set_option(struct options *o, int opt, const char *arg)
{
	struct suite_run *r = &o->run;

	switch (opt) {
	case OPT_VMM: return add_word(o->vmm, &o->vmms, MAX_TARGETS, arg);
	case 'g': return add_word(o->group, &o->groups, MAX_WORDS, arg);
	case 'j': return set_count(&r->jobs, arg, 1);
	case OPT_RETRIES:
		o->retried = true;
		return set_count(&r->retries, arg, 0);
	case OPT_TIMEOUT: return set_duration(&r->timeout, arg);
	case OPT_OVERALL: return set_duration(&r->overall, arg);
	case OPT_SHARD: return set_shard(o, arg);
	case OPT_ARCH: return set_arch(o, arg);
	case OPT_MAX_SMP: return set_max_smp(o, arg);
	case OPT_CHECK: r->setup.check = arg; break;
	case OPT_ACCEL: o->accel = arg; break;
	case OPT_ALL: o->all = true; break;
	case OPT_LOGS: r->logs = arg; break;
	case OPT_DIR: r->setup.dir = arg; break;
	case OPT_ENV: r->setup.env = arg; break;
	case OPT_MACHINE: r->setup.machine = arg; break;
	case OPT_MERGE: o->merge = true; break;
	case OPT_KNOWN: o->known_path = arg; break;
	case OPT_LIST: o->list = true; break;
	case OPT_JSON: o->json = arg ? arg : ""; break;
	case OPT_TAP: o->tap = arg; break;
	case OPT_JUNIT: o->junit = arg; break;
	}
	return true;
}

static const char *option_name(int opt)
{
	const struct option *l;

	for (l = long_options; l->name; l++)
		if (l->val == opt)
			return l->name;
	return "?";
}

/* Of an option that can be wrong. */
static const char *accepted(int opt)
{
	switch (opt) {
	case OPT_VMM: return "there are 8 already";
	case 'g': return "there are 64 already";
	case OPT_RETRIES: return "a number from 0 to 4096";
	case OPT_TIMEOUT:
	case OPT_OVERALL: return "90, 90s, 2m, 1h, 1d, or 0 for none";
	case OPT_SHARD: return "K/N, numbers from 1 to 4096, K up to N";
	case OPT_ARCH: return "x86_64 or i386";
	default: return "a number from 1 to 4096";
	}
}

static int set_targets(struct options *o)
{
	struct err e = {0};
	size_t i, k;

	if (!o->vmms)
		add_word(o->vmm, &o->vmms, MAX_TARGETS, "lodge");
	for (i = 0; i < o->vmms; i++) {
		if (suite_target_parse(&o->target[i], o->vmm[i], o->accel, &e))
			return usage("--vmm: %s", e.msg);
		for (k = 0; k < i; k++)
			if (!strcmp(o->target[k].name, o->target[i].name))
				return usage("--vmm: %s is there twice",
					     o->target[i].name);
	}
	o->targets = o->vmms;
	return 0;
}

/* What the environment says where no option does, as upstream has it. */
static int set_environment(struct options *o)
{
	static const struct {
		const char *name;
		int opt;
	} vars[] = {{"ACCEL", OPT_ACCEL},     {"MACHINE", OPT_MACHINE},
		    {"TIMEOUT", OPT_TIMEOUT}, {"KVM_UNIT_TESTS_ENV", OPT_ENV},
		    {"CHECK", OPT_CHECK},     {"MAX_SMP", OPT_MAX_SMP}};
	char text[256];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(vars); i++) {
		const char *value = getenv(vars[i].name);

		if (!value || !*value || set_option(o, vars[i].opt, value))
			continue;
		snprintf(text, sizeof(text), "$%s '%s': %s", vars[i].name,
			 value, accepted(vars[i].opt));
		return usage("%s", text);
	}
	return 0;
}

/* Options that say nothing there: 0, or the exit status. */
static int check_mix(const struct options *o)
{
	const struct {
		bool given;
		const char *name;
	} runs[] = {{o->shards, "--shard"},
		    {o->groups, "--group"},
		    {o->all, "--all"},
		    {o->list, "--list"},
		    {o->retried, "--retries"}},
	  lists[] = {{o->tap, "--tap"},
		     {o->junit, "--junit"},
		     {o->known_path, "--known"}};
	size_t i;

	for (i = 0; o->merge && i < ARRAY_SIZE(runs); i++)
		if (runs[i].given)
			return usage("--merge runs nothing: no %s",
				     runs[i].name);
	for (i = 0; o->list && i < ARRAY_SIZE(lists); i++)
		if (lists[i].given)
			return usage("--list has no results: no %s",
				     lists[i].name);
	return 0;
}

/* What getopt found no option in: 0 is never returned. */
static int bad_option(int opt, char **argv)
{
	char text[256];

	if (optopt && optopt < 256 && opt == '?')
		snprintf(text, sizeof(text), "'-%c' is unknown", optopt);
	else if (optopt)
		snprintf(text, sizeof(text), "--%s %s", option_name(optopt),
			 opt == ':' ? "lacks its value" : "takes no value");
	else
		snprintf(text, sizeof(text),
			 "'%s' is unknown or may be several options",
			 argv[optind - 1]);
	return usage("%s", text);
}

/* 0, or the exit status plus one. */
static int parse(struct options *o, int argc, char **argv)
{
	char text[256];
	int opt;

	opt = set_environment(o);
	if (opt)
		return opt + 1;
	optind = 0; /* argv[0] is the subcommand's name */
	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":g:j:h", long_options, NULL)) !=
	       -1) {
		if (opt == 'h') {
			fputs(help, stdout);
			return EXITCODE_OK + 1;
		}
		if (opt == '?' || opt == ':')
			return bad_option(opt, argv) + 1;
		if (set_option(o, opt, optarg))
			continue;
		snprintf(text, sizeof(text), "--%s '%s': %s", option_name(opt),
			 optarg, accepted(opt));
		return usage("%s", text) + 1;
	}
	o->args = argv + optind;
	o->nargs = (size_t)(argc - optind);
	if (!o->nargs)
		return usage("%s", o->merge ? "no file of results"
					    : "no UNITTESTS.CFG") +
		       1;
	opt = check_mix(o);
	if (!opt && !o->merge)
		opt = set_targets(o);
	return opt ? opt + 1 : 0;
}

/* ---- which tests ---- */

static bool named(const struct options *o, const char *name)
{
	size_t i;

	for (i = 1; i < o->nargs; i++)
		if (!fnmatch(o->args[i], name, 0))
			return true;
	return false;
}

static bool wanted(const struct options *o, const struct suite_test *t)
{
	size_t i;
	bool in = !o->groups;

	for (i = 0; i < o->groups; i++)
		in |= suite_has_word(t->groups, o->group[i]);
	if (!in || (o->nargs > 1 && !named(o, t->name)))
		return false;
	return o->all || o->groups || o->nargs > 1 ||
	       !suite_has_word(t->groups, "nodefault");
}

/* Names and groups that no test has. */
static void tell_unmatched(const struct options *o, const struct suite *s)
{
	size_t i, k;

	for (i = 1; i < o->nargs; i++) {
		for (k = 0; k < s->count; k++)
			if (!fnmatch(o->args[i], s->tests[k].name, 0))
				break;
		if (k == s->count)
			fprintf(stderr, "lodge test: no test is called '%s'\n",
				o->args[i]);
	}
	for (i = 0; i < o->groups; i++) {
		for (k = 0; k < s->count; k++)
			if (suite_has_word(s->tests[k].groups, o->group[i]))
				break;
		if (k == s->count)
			fprintf(stderr,
				"lodge test: no test is in group '%s'\n",
				o->group[i]);
	}
}

static size_t select_tests(struct options *o, const struct suite *s,
			   const struct suite_test **out)
{
	size_t i, n = 0, seen = 0;

	for (i = 0; i < s->count; i++) {
		if (!wanted(o, &s->tests[i]))
			continue;
		if (!o->shards || seen % o->shards == o->shard - 1)
			out[n++] = &s->tests[i];
		seen++;
	}
	o->total = seen;
	return n;
}

static int list(struct options *o, const struct suite_test **tests, size_t n)
{
	struct err e = {0};
	size_t i;

	o->run.target = o->target;
	o->run.targets = o->targets;
	if (o->json)
		return report_list_json(o->json, &o->run, tests, n, &e)
			       ? fail(&e)
			       : 0;
	for (i = 0; i < n; i++)
		printf("%s\t%s\t%s\n", tests[i]->name, tests[i]->file,
		       tests[i]->groups ? tests[i]->groups : "");
	return 0;
}

/* ---- what is printed ---- */

/* What is for people, where JSON does not have standard output for itself. */
static FILE *text_out(const struct options *o)
{
	return o->json && !*o->json ? stderr : stdout;
}

/* https://no-color.org */
static bool coloured(FILE *f)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(fileno(f)) && !(no && *no) &&
	       !(term && !strcmp(term, "dumb"));
}

static bool expected(const struct suite_result *r, void *arg)
{
	const struct options *o = arg;

	return known_is(&o->known, r);
}

static int digits(unsigned int n)
{
	return n < 10 ? 1 : 1 + digits(n / 10);
}

static void progress(const struct suite_result *r, void *arg)
{
	struct options *o = arg;
	struct suite_result shown = *r;
	FILE *f = text_out(arg);

	shown.known = expected(r, arg);
	o->done++;
	if (isatty(fileno(f)))
		fprintf(f, "%*u/%u ", digits(o->count), o->done, o->count);
	report_line(f, &shown, coloured(f));
	fflush(f);
}

static int write_with(const char *path, const struct suite_results *r,
		      void (*print)(FILE *f, const struct suite_results *r),
		      struct err *e)
{
	struct outfile o;
	int ret = outfile_open(&o, path, e);

	if (ret)
		return ret;
	print(o.f, r);
	return outfile_close(&o, e);
}

static int write_files(const struct options *o, const struct suite_results *r,
		       struct err *e)
{
	int ret = 0;

	if (o->json)
		ret = report_json(o->json, r, e);
	if (!ret && o->tap)
		ret = write_with(o->tap, r, report_tap, e);
	if (!ret && o->junit)
		ret = write_with(o->junit, r, report_junit, e);
	return ret;
}

/* Tables, files, summary; the exit status. */
static int conclude(const struct options *o, struct suite_results *r)
{
	FILE *f = text_out(o);
	struct suite_counts c;
	struct err e = {0};
	unsigned int stale = known_apply(&o->known, r, f);
	int ret;

	report_count(r, &c);
	if (o->merge)
		report_count_lost(r, &c);
	if (o->targets > 1 || o->merge)
		report_table(f, r, coloured(f));
	ret = write_files(o, r, &e);
	report_summary(f, &c);
	if (ret)
		return fail(&e);
	return c.failed || c.missing || stale || o->unknown ||
	       !(c.passed + c.skipped);
}

/* ---- the three things to do ---- */

static int merge(struct options *o)
{
	struct suite_results r = {NULL, 0};
	struct err e = {0};
	size_t i;
	int ret = 0;

	for (i = 0; i < o->nargs && !ret; i++)
		ret = report_merge(o->args[i], &r, &e);
	ret = ret ? fail(&e) : conclude(o, &r);
	report_free(&r);
	return ret;
}

static int run(struct options *o, const struct suite_test **tests, size_t n)
{
	size_t count = n * o->targets, i;
	struct suite_results r = {calloc(count + 1, sizeof(*r.v)), count};
	struct suite_job *jobs = calloc(count + 1, sizeof(*jobs));
	struct err e = {0};
	int ret;

	for (i = 0; jobs && r.v && i < count; i++) {
		jobs[i].test = tests[i / o->targets];
		jobs[i].target = &o->target[i % o->targets];
		jobs[i].result = &r.v[i];
		r.v[i].test = strdup(jobs[i].test->name);
		r.v[i].target = strdup(jobs[i].target->name);
		r.v[i].of = (unsigned int)o->total;
	}
	o->count = (unsigned int)count;
	o->run.progress = progress;
	o->run.expected = expected;
	o->run.arg = o;
	ret = suite_run_jobs(&o->run, jobs, count, &e);
	if (ret < 0) {
		ret = fail(&e);
	} else {
		int status = conclude(o, &r);

		ret = ret ? EXITCODE_SIGNAL + ret : status;
	}
	free(jobs);
	report_free(&r);
	return ret;
}

/* What would be noticed too late, or once a test. */
static int check_places(const struct options *o, struct err *e)
{
	const char *const files[] = {o->json, o->tap, o->junit};
	const struct suite_setup *s = &o->run.setup;
	size_t i;
	int ret = 0;

	for (i = 0; i < ARRAY_SIZE(files) && !ret; i++)
		if (files[i] && *files[i])
			ret = outfile_check(files[i], e);
	if (!ret && s->dir && access(s->dir, X_OK))
		ret = err_set(e, -errno, "%s: %s", s->dir, strerror(errno));
	if (!ret && s->env && access(s->env, R_OK))
		ret = err_set(e, -errno, "%s: %s", s->env, strerror(errno));
	for (i = 0; i < o->targets && !ret && !o->list && !o->merge; i++)
		ret = suite_target_find(&o->target[i], e);
	return ret;
}

static void warn(const char *text)
{
	fprintf(stderr, "lodge test: %s\n", text);
}

static int test_suite(struct options *o)
{
	const struct suite_test **tests;
	struct err e = {0};
	struct suite s;
	char *dir = strdup(o->args[0]);
	size_t n;
	int ret;

	if (!o->run.setup.dir)
		o->run.setup.dir = dirname(dir);
	if (suite_read(&s, o->args[0], warn, &e)) {
		free(dir);
		return fail(&e);
	}
	o->unknown = known_check(&o->known, &s, stderr);
	tell_unmatched(o, &s);
	tests = calloc(s.count + 1, sizeof(*tests));
	n = select_tests(o, &s, tests);
	ret = 0;
	if (o->list)
		ret = list(o, tests, n);
	else
		ret = run(o, tests, n);
	free(tests);
	free(dir);
	suite_free(&s);
	return ret;
}

int cmd_test(int argc, char **argv)
{
	static char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	struct options o = {
		.run = {.setup = {.lodge = self,
				  .arch = "x86_64",
				  .max_smp = cpus > 0 ? (int)cpus : 1},
			.logs = "logs",
			.jobs = cpus > 0 ? (unsigned int)cpus : 1,
			.timeout = 90},
	};
	struct err e = {0};
	int ret;

	if (n <= 0)
		return fail(&(struct err){.msg = "/proc/self/exe is missing"});
	/* getopt wants the name before the arguments: it is there */
	ret = parse(&o, argc + 1, argv - 1);
	if (ret)
		return ret - 1;
	if (check_places(&o, &e) ||
	    (o.known_path && known_read(&o.known, o.known_path, &e)))
		return fail(&e);
	ret = o.merge ? merge(&o) : test_suite(&o);
	known_free(&o.known);
	return ret;
}
