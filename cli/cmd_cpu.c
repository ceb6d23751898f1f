/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `lodge cpu`: what CPUs there are and what guests would see of them, without
 * starting one. A table of verbs; each gets the options and what else stood
 * on the line.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/cpu_source.h"
#include "vmm/cpu/baseline.h"
#include "vmm/cpu/text.h"
#include "vmm/exitcode.h"

#define MAX_WORDS 64

struct options {
	struct cpu_source_options source;
	bool json;
	const char *batch;
	const char *word[MAX_WORDS];
	unsigned words;
};

static int complain(const char *verb, const struct err *e)
{
	fprintf(stderr, "lodge: cpu %s: %s\n", verb, e->msg);
	return EXITCODE_USAGE;
}

/* ---- verbs ---- */

static void list_version(const struct cpu_model *m, unsigned v)
{
	char name[64];

	snprintf(name, sizeof(name), "%s-v%u", m->name, v);
	printf("%-28s %-14s %s%s\n", name, m->vendor,
	       model_cache(m, v) ? "[own caches] " : "", model_id(m, v));
	if (m->version[v - 1].alias)
		printf("%-28s %-14s is %s\n", m->version[v - 1].alias,
		       m->vendor, name);
}

void cpu_list_models(const struct machtype *machine)
{
	const struct cpu_model *m;
	unsigned i, v, n;

	for (i = 0; (m = model_get(i)); i++) {
		n = model_versions(m);
		printf("%-28s %-14s is %s-v%u with machine %s\n", m->name,
		       m->vendor, m->name, machine->latest ? n : 1,
		       machine->name);
		for (v = 1; v <= n; v++)
			list_version(m, v);
	}
	printf("%-28s %-14s nothing at all, to add features to\n"
	       "%-28s %-14s all that the KVM supports\n"
	       "%-28s %-14s the same, and only with a KVM\n",
	       "base", "", "max", "", "host", "");
}

void cpu_list_machines(void)
{
	struct machtype m;
	const char *alias;
	unsigned i;

	for (i = 0; machtype_get(i, &m, &alias); i++)
		printf("%-16s%s%s\n", m.name, alias ? "also called " : "",
		       alias ? alias : "");
}

static int verb_list(const struct options *o, struct err *e)
{
	struct machtype machine;
	int ret = machtype_find(o->source.machine, &machine, e);

	if (!ret)
		cpu_list_models(&machine);
	return ret;
}

/* What was asked for and the KVM lacks; all zeros for a file. */
static void show_missing(const struct cpu_def *def)
{
	char names[1000];

	feature_list(def->missing, names, sizeof(names));
	if (names[0])
		printf("not to be had here: %s\n", names);
}

static int verb_show(const struct options *o, struct err *e)
{
	struct cpu_source s;
	int ret = cpu_source_open(&s, o->word[0], &o->source, e);

	if (ret)
		return ret;
	if (o->json) {
		text_json(stdout, o->word[0], &s.answers);
	} else {
		printf("%s", s.title);
		show_missing(&s.def);
		text_show(stdout, &s.answers);
	}
	cpu_source_close(&s);
	return 0;
}

static int verb_diff(const struct options *o, struct err *e)
{
	const char *names[2] = {o->word[0], o->word[1]};
	struct cpu_source x, y;
	int ret = cpu_source_open(&x, names[0], &o->source, e);

	if (ret)
		return ret;
	ret = cpu_source_open(&y, names[1], &o->source, e);
	if (!ret) {
		if (!text_diff(stdout, names, &x.answers, &y.answers))
			puts("no difference");
		cpu_source_close(&y);
	}
	cpu_source_close(&x);
	return ret;
}

static int verb_decode(const struct options *o, struct err *e)
{
	struct cpu_source s;
	int ret = cpu_source_open_file(&s, o->word[0], e);

	if (ret)
		return ret;
	if (o->json)
		text_json(stdout, o->word[0], &s.answers);
	else
		text_show(stdout, &s.answers);
	cpu_source_close(&s);
	return 0;
}

/* One line of a batch. */
static void dump_line(const char *line)
{
	struct cpu_source_options o;
	char text[2048];
	struct cpu_source s;
	struct err e = {0};

	cpu_source_defaults(&o);
	if (cpu_source_parse(&o, line, text, sizeof(text), &e) ||
	    cpu_source_open(&s, o.cpu, &o, &e)) {
		printf("== %s refused: %s\n", line, e.msg);
		return;
	}
	printf("== %s ok\n", line);
	text_dump(stdout, &s.answers);
	cpu_source_close(&s);
}

static int dump_batch(const char *path, struct err *e)
{
	FILE *f = strcmp(path, "-") ? fopen(path, "r") : stdin;
	char *line = NULL;
	size_t size = 0;

	if (!f)
		return err_set(e, -errno, "%s: %s", path, strerror(errno));
	while (getline(&line, &size, f) > 0) {
		line[strcspn(line, "\n")] = '\0';
		if (line[0])
			dump_line(line);
	}
	free(line);
	if (f != stdin)
		fclose(f);
	return 0;
}

static int verb_dump(const struct options *o, struct err *e)
{
	struct cpu_source_options source = o->source;
	struct cpu_source s;
	int ret;

	source.host_asks = false;

	if (o->batch)
		return dump_batch(o->batch, e);
	if (!o->source.cpu)
		return err_set(e, -EINVAL, "-cpu or --batch is required");
	ret = cpu_source_open(&s, source.cpu, &source, e);
	if (ret)
		return ret;
	text_dump(stdout, &s.answers);
	cpu_source_close(&s);
	return 0;
}

/* Keep in @words what this one has, too; *vendor stays while all agree. */
static int meet(const char *word, const struct options *o, uint32_t *words,
		char vendor[13], struct err *e)
{
	struct cpu_source s;
	struct view v;
	unsigned w;
	int ret = cpu_source_open(&s, word, &o->source, e);

	if (ret)
		return ret;
	view_read(&v, &s.answers);
	cpu_source_close(&s);
	for (w = 0; w < CPUID_MODEL_WORDS; w++)
		words[w] &= v.words[w];
	if (!vendor[0])
		memcpy(vendor, v.vendor, sizeof(v.vendor));
	else if (strcmp(vendor, v.vendor))
		strcpy(vendor, "?");
	return 0;
}

static void print_features(char sign, const uint32_t *words)
{
	char names[3000];
	char *p;

	feature_list(words, names, sizeof(names));
	for (p = strtok(names, " "); p; p = strtok(NULL, " "))
		printf(",%c%s", sign, p);
}

static int verb_baseline(const struct options *o, struct err *e)
{
	uint32_t words[CPUID_MODEL_WORDS];
	char vendor[13] = "";
	struct baseline b;
	unsigned i;
	int ret = 0;

	memset(words, 0xff, sizeof(words));
	for (i = 0; !ret && i < o->words; i++)
		ret = meet(o->word[i], o, words, vendor, e);
	if (!ret)
		ret = baseline_find(&b, words,
				    strcmp(vendor, "?") ? vendor : NULL, e);
	if (ret)
		return ret;
	printf("%s", b.model);
	print_features('-', b.less);
	print_features('+', b.more);
	putchar('\n');
	return 0;
}

static const struct {
	const char *name;
	const char *args;
	const char *help;
	unsigned least, most; /* words beside options */
	int (*run)(const struct options *o, struct err *e);
} verbs[] = {
	{"list", "", "the models, their versions and other names", 0, 0,
	 verb_list},
	{"show", "MODEL[,PROP]...", "features, caches and topology", 1, 1,
	 verb_show},
	{"diff", "A B", "what differs between two models or dumps", 2, 2,
	 verb_diff},
	{"decode", "FILE", "explain a raw dump (`cpuid -r`, or cpu dump)", 1, 1,
	 verb_decode},
	{"dump", "-cpu MODEL", "raw answers: CPU leaf sub-leaf EAX EBX ECX EDX",
	 0, 0, verb_dump},
	{"baseline", "A...", "the richest model that runs on all of these", 1,
	 MAX_WORDS, verb_baseline},
};

/* ---- the line ---- */

static void print_help(void)
{
	size_t i;

	puts("usage: lodge cpu VERB [OPTION]... [WORD]...\n");
	for (i = 0; i < ARRAY_SIZE(verbs); i++)
		printf("  %-9s %-16s %s\n", verbs[i].name, verbs[i].args,
		       verbs[i].help);
	puts("\nA MODEL is a name of `lodge cpu list` and properties, as in\n"
	     "EPYC-v4,-svm,l3-cache=off@pc-q35-9.0; @MACHINE may be left out.\n"
	     "Where A stands, host or the file of a raw dump may, too.\n\n"
	     "  -machine M[,PROP]...   machine type (pc)\n"
	     "  -smp N[,PROP]...       topology (1)\n"
	     "  -accel A               show what A leaves of it: lodge, kvm,\n"
	     "                         tcg (QEMU's engine), none (none)\n"
	     "  --json                 for programs (show, decode)\n"
	     "  --batch FILE           dump what each line of FILE says");
}

static int take_option(struct options *o, const char *name, const char *value,
		       struct err *e)
{
	int ret;

	if (!strcmp(name, "json")) {
		o->json = true;
		return 0;
	}
	if (!value)
		return err_set(e, -EINVAL, "-%s needs a value", name);
	if (!strcmp(name, "batch")) {
		o->batch = value;
		return 1;
	}
	ret = cpu_source_option(&o->source, name, value, e);
	return ret ? ret : 1;
}

static int parse(struct options *o, int argc, char **argv, struct err *e)
{
	const char *name;
	int i, ret;

	for (i = 0; i < argc; i++) {
		name = argv[i];
		if (name[0] != '-' || !name[1]) {
			if (o->words == MAX_WORDS)
				return err_set(e, -E2BIG, "too many words");
			o->word[o->words++] = name;
			continue;
		}
		name += name[1] == '-' ? 2 : 1;
		ret = take_option(o, name, i + 1 < argc ? argv[i + 1] : NULL,
				  e);
		if (ret < 0)
			return ret;
		i += ret;
	}
	return 0;
}

static bool wants_help(int argc, char **argv)
{
	int i;

	for (i = 0; i < argc; i++)
		if (!strcmp(argv[i], "-h") || !strcmp(argv[i], "-help") ||
		    !strcmp(argv[i], "--help"))
			return true;
	return !argc;
}

int cmd_cpu(int argc, char **argv)
{
	struct options o = {0};
	struct err e = {0};
	size_t i;

	if (wants_help(argc, argv)) {
		print_help();
		return EXITCODE_OK;
	}
	for (i = 0; i < ARRAY_SIZE(verbs); i++)
		if (!strcmp(verbs[i].name, argv[0]))
			break;
	if (i == ARRAY_SIZE(verbs)) {
		fprintf(stderr,
			"lodge: cpu: '%s' is not a verb; `lodge cpu --help` "
			"lists them\n",
			argv[0]);
		return EXITCODE_USAGE;
	}
	cpu_source_defaults(&o.source);
	o.source.host_asks = true;
	if (parse(&o, argc - 1, argv + 1, &e))
		return complain(verbs[i].name, &e);
	if (o.words < verbs[i].least || o.words > verbs[i].most) {
		err_set(&e, -EINVAL, "what is wanted is: %s", verbs[i].args);
		return complain(verbs[i].name, &e);
	}
	if (verbs[i].run(&o, &e))
		return complain(verbs[i].name, &e);
	return EXITCODE_OK;
}
