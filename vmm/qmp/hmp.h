/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The monitor for people: a line is a command. Most are QMP's with their
 * arguments in a row; info prints what QMP's queries answer.
 */
#ifndef VMM_QMP_HMP_H
#define VMM_QMP_HMP_H

#include <stdio.h>

#include "vmm/qmp/command.h"

#define HMP_LINE 1024

struct console;

/* A line being typed. */
struct hmp_line {
	char text[HMP_LINE];
	size_t used;
	bool shared;     /* with a port, behind Ctrl-A c */
	bool cr;         /* the last byte ended a line */
	unsigned escape; /* inside a terminal's escape sequence */
};

void hmp_greet(struct hmp_line *l, struct console *c);

/* One byte typed; a line's end runs it. */
void hmp_type(struct hmp_line *l, struct qmp *q, struct console *c, char byte);

/* Run @line and print what it says; the control's lock is held. */
void hmp_run(struct qmp *q, const char *line, FILE *out);

/* What QMP does not answer; inspect.c. */
void inspect_registers(struct qmp *q, FILE *out);
void inspect_memory(struct qmp *q, FILE *out);
void inspect_network(struct qmp *q, FILE *out);

/* `info @name`, or a list of what there is; info.c. */
void hmp_info(struct qmp *q, const char *name, FILE *out);

#endif
