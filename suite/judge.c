/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verdicts. With isa-debug-exit a status is twice the value the test wrote,
 * plus one: 1 is a pass, 3 a failure, 155 a skip (77), 255 an abort (127).
 * kvmtool has no such device: there the last line "EXIT: STATUS=N", with the
 * same N, tells.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "suite/text.h"
#include "suite/vmm.h"
#include "suite/vmmdef.h"

/* "SUMMARY: ..." of the last lines. */
static void copy_summary(const char *out, char *reason)
{
	static const char tag[] = "SUMMARY: ";
	const char *p, *last = NULL;

	for (p = out; (p = strstr(p, tag)); p += sizeof(tag) - 1)
		if (p == out || p[-1] == '\n')
			last = p + sizeof(tag) - 1;
	if (last)
		snprintf(reason, REASON, "%.*s",
			 (int)MIN(strcspn(last, "\r\n"), 200ul), last);
}

/* The first line on standard error that is no warning. */
static bool copy_error(const char *errors, char *reason)
{
	const char *p = errors;

	while (*p) {
		int n = (int)strcspn(p, "\n");
		char line[200];

		snprintf(line, sizeof(line), "%.*s", n, p);
		if (n && !strcasestr(line, "warning")) {
			snprintf(reason, REASON, "%s", line);
			return true;
		}
		p += n + (p[n] == '\n');
	}
	return false;
}

/* QEMU ends with status 0 on some signals, but says so. */
static int told_signal(const char *errors)
{
	static const char tag[] = "terminating on signal ";
	const char *p = strstr(errors, tag);
	int sig = p ? atoi(p + sizeof(tag) - 1) : 0;

	return sig > 0 && sigabbrev_np(sig) ? sig : 0;
}

static enum verdict by_signal(int sig, char *reason)
{
	snprintf(reason, REASON, "SIG%s", sigabbrev_np(sig));
	return VERDICT_SIGNAL;
}

/* By what the test wrote to the debug port. */
static enum verdict by_value(int value, char *reason)
{
	switch (value) {
	case 0: return VERDICT_PASS;
	case 77: return VERDICT_SKIP;
	case 127: return VERDICT_ABORT;
	default:
		if (!*reason)
			snprintf(reason, REASON, "exit code %d", value);
		return VERDICT_FAIL;
	}
}

static int status_line(const char *out)
{
	static const char tag[] = "EXIT: STATUS=";
	const char *p, *last = NULL;

	for (p = out; (p = strstr(p, tag)); p += sizeof(tag) - 1)
		if (p == out || p[-1] == '\n')
			last = p + sizeof(tag) - 1;
	return last ? atoi(last) : -1;
}

static enum verdict judge_status(int status, const struct suite_end *end,
				 char *reason)
{
	/* a monitor that cannot start has status 1 as well */
	if (status == 1 && !*reason && copy_error(end->errors, reason))
		return VERDICT_FAIL;
	if (status & 1)
		return by_value(status >> 1, reason);
	if (!status && told_signal(end->errors))
		return by_signal(told_signal(end->errors), reason);
	if (!copy_error(end->errors, reason))
		snprintf(reason, REASON, "ended with status %d, not by itself",
			 status);
	return VERDICT_FAIL;
}

static enum verdict judge(const struct suite_target *t,
			  const struct suite_end *end, char *reason)
{
	int status;

	copy_summary(end->out, reason);
	if (end->timed_out)
		return VERDICT_TIMEOUT;
	if (WIFSIGNALED(end->status)) {
		return by_signal(WTERMSIG(end->status), reason);
	}
	status = WEXITSTATUS(end->status);
	if (status == 127 && copy_error(end->errors, reason))
		return VERDICT_FAIL;
	if (t->vmm->rule == RULE_STATUS_LINE)
		status = status_line(end->out);
	if (status < 0) {
		if (!copy_error(end->errors, reason))
			snprintf(reason, REASON, "no exit status was printed");
		return VERDICT_FAIL;
	}
	return judge_status(status, end, reason);
}

enum verdict suite_judge(const struct suite_target *t,
			 const struct suite_test *test,
			 const struct suite_end *end, char *reason)
{
	enum verdict v;

	*reason = 0;
	v = judge(t, end, reason);
	text_clean(reason); /* a guest's bytes */
	return v;
}
