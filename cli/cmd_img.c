/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `lodge img`: make, copy and describe images of disks. Names of options are
 * those of qemu-img.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/bar.h"
#include "cli/cli.h"
#include "host/block/image.h"
#include "lib/keyval.h"
#include "vmm/exitcode.h"

static const char help[] =
	"usage: lodge img create [-f FORMAT] [-o preallocation=HOW] FILE SIZE\n"
	"       lodge img convert [-f FORMAT] [-O FORMAT]\n"
	"                         [-o preallocation=HOW] IMAGE FILE\n"
	"       lodge img info [-f FORMAT] IMAGE\n\n"
	"Makes an empty image of a disk, copies one into another format, or\n"
	"says what one is. A FILE that is there is overwritten, unless some\n"
	"machine has it open. IMAGE is what -drive file= takes.\n\n"
	"  -f FORMAT              raw or qcow2: of the new image (raw), or of\n"
	"                         IMAGE (what it looks like)\n"
	"  -O FORMAT              of the copy (raw)\n"
	"  -o preallocation=HOW   off: space is taken when it is written "
	"(off);\n"
	"                         falloc: reserved (raw only); full: written\n"
	"  SIZE                   bytes, or a number with K, M, G, T\n\n"
	"On a terminal a bar shows how far long work has come.\n\n"
	"Exit status: 0; 2 the command line is wrong, 4 an image does not "
	"do.\n";

struct request {
	const char *format;     /* -f */
	const char *out_format; /* -O */
	enum image_prealloc prealloc;
	int words;
	const char *word[2];
};

static int usage(const char *text, const char *what)
{
	fprintf(stderr,
		"lodge: img: %s%s; `lodge img --help` lists the options\n",
		text, what);
	return EXITCODE_USAGE;
}

static bool parse_prealloc(struct request *r, const char *text)
{
	static const char *const how[] = {
		[IMAGE_PREALLOC_OFF] = "preallocation=off",
		[IMAGE_PREALLOC_FALLOC] = "preallocation=falloc",
		[IMAGE_PREALLOC_FULL] = "preallocation=full",
	};

	for (size_t i = 0; i < ARRAY_SIZE(how); i++) {
		if (strcmp(how[i], text))
			continue;
		r->prealloc = (enum image_prealloc)i;
		return true;
	}
	return false;
}

static int parse_option(struct request *r, char option, const char *value)
{
	switch (option) {
	case 'f': r->format = value; return 0;
	case 'O': r->out_format = value; return 0;
	default:
		return parse_prealloc(r, value)
			       ? 0
			       : usage("preallocation= is off, falloc or full, "
				       "not ",
				       value);
	}
}

/* @options: the letters that are taken; @words: how many words are due. */
static int parse(struct request *r, int argc, char **argv, const char *options,
		 int words)
{
	int i, status;

	for (i = 0; i < argc; i++) {
		const char *o = argv[i];

		if (o[0] != '-') {
			if (r->words == words)
				return usage("too many words: ", o);
			r->word[r->words++] = o;
			continue;
		}
		if (!o[1] || o[2] || !strchr(options, o[1]))
			return usage("unknown option ", o);
		if (i + 1 == argc)
			return usage("a value is missing after ", o);
		status = parse_option(r, o[1], argv[++i]);
		if (status)
			return status;
	}
	return r->words == words ? 0 : usage("a word is missing", "");
}

static int done(int ret, const struct err *e)
{
	if (!ret)
		return EXITCODE_OK;
	fprintf(stderr, "lodge: img: %s\n", e->msg);
	return EXITCODE_START;
}

static int img_create(int argc, char **argv)
{
	struct request r = {.format = "raw"};
	struct image_new to;
	struct err e = {0};
	struct bar bar;
	int ret = parse(&r, argc, argv, "fo", 2);

	if (ret)
		return ret;
	to = (struct image_new){
		.path = r.word[0],
		.format = r.format,
		.prealloc = r.prealloc,
	};
	if (keyval_size(r.word[1], 1, &to.size, &e))
		return usage("not a size: ", r.word[1]);
	bar_init(&bar, "allocating");
	ret = image_create(&to, &bar.progress, &e);
	bar_end(&bar);
	return done(ret, &e);
}

static int img_convert(int argc, char **argv)
{
	struct request r = {.out_format = "raw"};
	struct image_new to;
	struct err e = {0};
	struct bar bar;
	int ret = parse(&r, argc, argv, "fOo", 2);

	if (ret)
		return ret;
	to = (struct image_new){
		.path = r.word[1],
		.format = r.out_format,
		.prealloc = r.prealloc,
	};
	bar_init(&bar, "copying");
	ret = image_convert(r.word[0], r.format, &to, &bar.progress, &e);
	bar_end(&bar);
	return done(ret, &e);
}

static int img_info(int argc, char **argv)
{
	struct request r = {.words = 0};
	static struct image_info info;
	struct err e = {0};
	int ret = parse(&r, argc, argv, "f", 1);

	if (ret)
		return ret;
	ret = image_describe(r.word[0], r.format, &info, &e);
	if (ret)
		return done(ret, &e);
	printf("image: %s\nfile format: %s\nvirtual size: %llu bytes\n",
	       r.word[0], info.format, (unsigned long long)info.size);
	if (info.file[0])
		printf("disk size: %llu bytes\n",
		       (unsigned long long)info.allocated);
	if (info.backing[0])
		printf("backing file: %s\n", info.backing);
	return EXITCODE_OK;
}

int cmd_img(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*main)(int argc, char **argv);
	} verbs[] = {
		{"create", img_create},
		{"convert", img_convert},
		{"info", img_info},
	};

	if (!argc)
		return usage("create, convert or info is to be given", "");
	if (asks_help(argc, argv)) {
		fputs(help, stdout);
		return EXITCODE_OK;
	}
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		if (!strcmp(verbs[i].name, argv[0]))
			return verbs[i].main(argc - 1, argv + 1);
	return usage("no such command: ", argv[0]);
}
