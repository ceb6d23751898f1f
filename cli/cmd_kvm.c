/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `lodge kvm`: replace this process by a program that finds Lodge's KVM at
 * /dev/kvm. The shim does it; this says where it is, and refuses programs
 * into which nothing can be loaded, since they would not see it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/program.h"
#include "lib/util.h"
#include "vmm/exitcode.h"

struct request {
	const char *vendor;
	const char *trace;
	const char *cpuid;
	char **argv;
};

static const char help[] =
	"usage: lodge kvm [--vendor intel|amd] [--cpuid HOW] [--trace FILE]"
	" [--]\n"
	"                 PROGRAM [ARGUMENT]...\n\n"
	"Runs a program that uses /dev/kvm on Lodge's own KVM, with whatever\n"
	"it starts in turn. The program is not changed; it has to be linked\n"
	"dynamically and must not be setuid.\n\n"
	"  --vendor V     the processor the program and its guests are to see\n"
	"                 (the host's)\n"
	"  --cpuid HOW    how CPUID of the program is answered: fault, the "
	"host\n"
	"                 makes it fault; patch, it is replaced in the code; "
	"off,\n"
	"                 by the processor (the first that this host can)\n"
	"  --trace FILE   write a line for each request there\n\n"
	"Exit status: the program's; 2 the command line is wrong, 4 the\n"
	"program cannot be run.\n";

static int usage(const char *text, const char *what)
{
	fprintf(stderr,
		"lodge: kvm: %s%s; `lodge kvm --help` lists the options\n",
		text, what);
	return EXITCODE_USAGE;
}

static int parse(struct request *r, int argc, char **argv)
{
	const struct {
		const char *name;
		const char **value;
	} options[] = {
		{"--vendor", &r->vendor},
		{"--trace", &r->trace},
		{"--cpuid", &r->cpuid},
	};
	const char *o;
	size_t n;
	int i = 0;

	while (i < argc && argv[i][0] == '-') {
		o = argv[i++];
		if (!strcmp(o, "--"))
			break;
		for (n = 0; n < ARRAY_SIZE(options); n++)
			if (!strcmp(o, options[n].name))
				break;
		if (n == ARRAY_SIZE(options))
			return usage("unknown option ", o);
		if (i == argc)
			return usage("a value is missing after ", o);
		*options[n].value = argv[i++];
	}
	if (r->vendor && strcmp(r->vendor, "intel") && strcmp(r->vendor, "amd"))
		return usage("--vendor is intel or amd, not ", r->vendor);
	if (r->cpuid && strcmp(r->cpuid, "fault") &&
	    strcmp(r->cpuid, "patch") && strcmp(r->cpuid, "off"))
		return usage("--cpuid is fault, patch or off, not ", r->cpuid);
	if (i == argc)
		return usage("no program is given", "");
	r->argv = argv + i;
	return 0;
}

/* Start the file anew and give children a name that a chdir() leaves. */
static int set_trace(const char *path, struct err *e)
{
	char full[PATH_MAX];
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

	if (fd < 0 || !realpath(path, full))
		return err_set(e, -errno, "--trace %s: %s", path,
			       strerror(errno));
	close(fd);
	setenv("LODGE_TRACE", full, 1);
	return 0;
}

static int set_preload(const char *shim, struct err *e)
{
	const char *had = getenv("LD_PRELOAD");
	char *value;

	if (strpbrk(shim, " :"))
		return err_set(e, -EINVAL,
			       "no program can preload '%s': there"
			       " is a space or a colon in it",
			       shim);
	if (asprintf(&value, "%s%s%s", shim, had && *had ? ":" : "",
		     had ? had : "") < 0)
		return err_set(e, -ENOMEM, "out of memory");
	setenv("LD_PRELOAD", value, 1);
	free(value);
	return 0;
}

/*
 * What cannot be is said here, where somebody reads it. A program must not
 * see another vendor than its guests do.
 */
static int set_cpuid(const struct request *r, struct err *e)
{
	const char *how = r->cpuid ? r->cpuid : getenv("LODGE_CPUID");
	bool fault = program_can_fault_cpuid();
	bool patch = program_can_patch_cpuid();

	if (!how || !*how)
		how = fault ? "fault" : patch ? "patch" : "off";
	if (!strcmp(how, "fault") && !fault)
		return err_set(e, -EOPNOTSUPP,
			       "--cpuid fault: this host cannot make CPUID"
			       " fault; patch replaces it in the code");
	if (!strcmp(how, "patch") && !patch)
		return err_set(e, -EOPNOTSUPP,
			       "--cpuid patch: /proc/self/mem does not let"
			       " CPUID be replaced in the code");
	if (!strcmp(how, "off") && program_other_vendor())
		return err_set(e, -EOPNOTSUPP,
			       "--vendor %s: the program would see the host's"
			       " instead, as CPUID is answered by the"
			       " processor",
			       r->vendor);
	setenv("LODGE_CPUID", how, 1);
	return 0;
}

static int prepare(const struct request *r, char *program, struct err *e)
{
	char shim[PATH_MAX];
	int ret;

	ret = program_find(r->argv[0], program, e);
	if (!ret)
		ret = program_check(program, e);
	if (!ret)
		ret = program_find_shim(shim, e);
	if (!ret)
		ret = program_set_vendor(r->vendor, e);
	if (!ret)
		ret = set_cpuid(r, e);
	if (!ret && r->trace)
		ret = set_trace(r->trace, e);
	if (!ret)
		ret = set_preload(shim, e);
	return ret;
}

int cmd_kvm(int argc, char **argv)
{
	struct request r = {0};
	char program[PATH_MAX];
	struct err e = {0};
	int status;

	if (asks_help(argc, argv)) {
		fputs(help, stdout);
		return EXITCODE_OK;
	}
	status = parse(&r, argc, argv);
	if (status)
		return status;
	if (!prepare(&r, program, &e)) {
		execv(program, r.argv);
		err_set(&e, -errno, "%s: %s", program, strerror(errno));
	}
	fprintf(stderr, "lodge: kvm: %s\n", e.msg);
	return EXITCODE_START;
}
