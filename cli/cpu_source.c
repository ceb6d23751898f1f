/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Models are resolved without a KVM unless one is named; the model host asks
 * for one by itself.
 */
#include "cli/cpu_source.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/accel.h"
#include "vmm/cpu/request.h"
#include "vmm/cpu/table.h"

#define VENDOR_LETTERS 12

void cpu_source_defaults(struct cpu_source_options *o)
{
	*o = (struct cpu_source_options){.machine = "pc", .accel = "none"};
}

int cpu_source_option(struct cpu_source_options *o, const char *name,
		      const char *value, struct err *e)
{
	if (!strcmp(name, "cpu"))
		o->cpu = value;
	else if (!strcmp(name, "machine") || !strcmp(name, "M"))
		o->machine = value;
	else if (!strcmp(name, "smp"))
		o->smp = value;
	else if (!strcmp(name, "accel"))
		o->accel = value;
	else
		return err_set(e, -EINVAL, "there is no option -%s", name);
	return 0;
}

/* ---- lines of a batch ---- */

/* Does another option begin at @p? */
static bool at_option(const char *p)
{
	static const char *const names[] = {" -cpu ", " -machine ", " -smp ",
					    " -accel ", " -M "};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (!strncmp(p, names[i], strlen(names[i])) ||
		    (p[0] == ' ' && p[1] == '-' &&
		     !strncmp(p + 2, names[i] + 1, strlen(names[i]) - 1)))
			return true;
	return false;
}

/* A vendor's 12 letters may end with spaces; others' do not count. */
static size_t trimmed(const char *value, size_t len)
{
	const char *vendor = strstr(value, "vendor=");
	size_t least = 0;

	if (vendor && !strchr(vendor, ','))
		least = (size_t)(vendor - value) + 7 + VENDOR_LETTERS;
	while (len > least && value[len - 1] == ' ')
		len--;
	return len;
}

static const char *bare_value(const char *p, char *out)
{
	char *start = out;

	while (*p && !at_option(p))
		*out++ = *p++;
	*out = '\0';
	start[trimmed(start, (size_t)(out - start))] = '\0';
	return p;
}

/* As a shell reads a word. */
static const char *quoted_value(const char *p, char *out)
{
	char quote = 0;

	for (; *p && (quote || *p != ' '); p++) {
		if (*p == quote)
			quote = 0;
		else if (!quote && (*p == '\'' || *p == '"'))
			quote = *p;
		else if (*p == '\\' && quote != '\'' && p[1])
			*out++ = *++p;
		else
			*out++ = *p;
	}
	*out = '\0';
	return p;
}

int cpu_source_parse(struct cpu_source_options *o, const char *line, char *buf,
		     size_t size, struct err *e)
{
	bool quotes = strpbrk(line, "'\"\\");
	char name[16];
	size_t n;
	int ret;

	if (strlen(line) + 8 > size)
		return err_set(e, -EINVAL, "the line is too long");
	while (*(line += strspn(line, " "))) {
		n = strcspn(line, " ");
		if (line[0] != '-' || n >= sizeof(name) || !line[n])
			return err_set(e, -EINVAL, "'%.40s' is no option",
				       line);
		memcpy(name, line, n);
		name[n] = '\0';
		line += n + 1;
		line = quotes ? quoted_value(line, buf) : bare_value(line, buf);
		ret = cpu_source_option(o, name + 1 + (name[1] == '-'), buf, e);
		if (ret)
			return ret;
		buf += strlen(buf) + 1;
	}
	return o->cpu ? 0 : err_set(e, -EINVAL, "-cpu is required");
}

/* ---- opening ---- */

static int open_kvm(struct cpu_source *s, const char *name, struct err *e)
{
	struct config_accels accels = {{ACCEL_LODGE}, 1};
	char why[600];
	int ret;

	if (!strcmp(name, "kvm"))
		accels.list[0] = ACCEL_KVM;
	else if (!strcmp(name, "auto"))
		accels.n = 0;
	else if (strcmp(name, "lodge"))
		return err_set(e, -EINVAL,
			       "-accel: '%s' is not one of none, tcg, lodge, "
			       "kvm, auto",
			       name);
	ret = accel_open(&s->hv, &accels, why, sizeof(why), e);
	return ret ? err_wrap(e, "-accel") : table_ask(&s->accel, &s->hv, e);
}

static int open_accel(struct cpu_source *s, const char *name, struct err *e)
{
	s->accel.kind = CPU_ACCEL_NONE;
	if (!strcmp(name, "none"))
		return 0;
	if (strcmp(name, "tcg"))
		return open_kvm(s, name, e);
	s->accel.kind = CPU_ACCEL_TCG;
	memcpy(s->accel.words, cpu_tcg_words, sizeof(s->accel.words));
	return 0;
}

static int resolve(struct cpu_source *s, const char *cpu, const char *machine,
		   const struct cpu_source_options *o, struct err *e)
{
	struct request r;
	int ret;

	request_init(&r, "max", "pc");
	ret = request_cpu(&r, cpu, e);
	if (!ret)
		ret = request_machine(&r, machine, e);
	if (ret)
		return ret;
	if (o->smp)
		ret = request_smp(&r, o->smp, e);
	if (!ret)
		ret = request_finish(&r, e);
	if (!ret)
		ret = cpu_def_resolve(&s->def, &r.cpu, &s->accel, e);
	if (ret)
		return ret;
	snprintf(s->title, sizeof(s->title), "%.160s on %s\n", cpu,
		 r.cpu.machine.name);
	return 0;
}

static void reset(struct cpu_source *s)
{
	memset(s, 0, sizeof(*s));
	s->hv.fd = -1;
}

static int open_model(struct cpu_source *s, const char *what,
		      const struct cpu_source_options *o, struct err *e)
{
	const char *at = strchr(what, '@');
	const char *accel = o->accel;
	char cpu[1024];
	int ret;

	if (o->host_asks && !strcmp(accel, "none") &&
	    !strncmp(what, "host", 4) && (!what[4] || strchr(",@", what[4])))
		accel = "lodge";

	snprintf(cpu, sizeof(cpu), "%.*s",
		 at ? (int)(at - what) : (int)strlen(what), what);
	reset(s);
	ret = open_accel(s, accel, e);
	if (!ret)
		ret = resolve(s, cpu, at ? at + 1 : o->machine, o, e);
	if (ret) {
		cpu_source_close(s);
		return ret;
	}
	s->answers = answers_of_def(&s->def);
	return 0;
}

int cpu_source_open_file(struct cpu_source *s, const char *path, struct err *e)
{
	FILE *f = strcmp(path, "-") ? fopen(path, "r") : stdin;
	int ret;

	reset(s);
	if (!f)
		return err_set(e, -errno, "%s: %s", path, strerror(errno));
	ret = answers_read(&s->file, f, path, e);
	if (f != stdin)
		fclose(f);
	if (!ret)
		s->answers = answers_of_file(&s->file);
	return ret;
}

/* The name before properties and machine. */
static bool is_model(const char *what)
{
	char name[64];

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(what, ",@"), what);
	return !cpu_def_check_name(name, NULL);
}

int cpu_source_open(struct cpu_source *s, const char *what,
		    const struct cpu_source_options *o, struct err *e)
{
	FILE *f;

	if (!is_model(what)) {
		f = fopen(what, "r");
		if (f) {
			fclose(f);
			return cpu_source_open_file(s, what, e);
		}
	}
	return open_model(s, what, o, e);
}

void cpu_source_close(struct cpu_source *s)
{
	table_drop(&s->accel);
	hv_close(&s->hv);
	answers_file_drop(&s->file);
}
