/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands that make the machine do something as a whole.
 */
#include <errno.h>
#include <stdlib.h>

#include "vmm/machine.h"
#include "vmm/qmp/command.h"
#include "vmm/qmp/hmp.h"

static int run_stop(struct qmp *q, struct json_object *args,
		    struct json_object **ret, struct err *e)
{
	control_stop(q->control, RUN_PAUSED);
	return 0;
}

static int run_cont(struct qmp *q, struct json_object *args,
		    struct json_object **ret, struct err *e)
{
	return control_cont(q->control, e);
}

static int run_reset(struct qmp *q, struct json_object *args,
		     struct json_object **ret, struct err *e)
{
	stop_request(q->control->stop, STOP_HOST_RESET, 0);
	return 0;
}

static int run_powerdown(struct qmp *q, struct json_object *args,
			 struct json_object **ret, struct err *e)
{
	control_power_button(q->control);
	return 0;
}

static int run_wakeup(struct qmp *q, struct json_object *args,
		      struct json_object **ret, struct err *e)
{
	return err_set(e, -ENOTSUP,
		       "wake-up from suspend is not supported by this guest");
}

static int run_quit(struct qmp *q, struct json_object *args,
		    struct json_object **ret, struct err *e)
{
	stop_request(q->control->stop, STOP_HOST_QUIT, 0);
	return 0;
}

static int run_screendump(struct qmp *q, struct json_object *args,
			  struct json_object **ret, struct err *e)
{
	return err_set(e, -ENOTSUP, "screendump: this machine has no display");
}

/* What a terminal would be sent: both bytes at the end of a line. */
static char *with_returns(const char *text)
{
	char *out = NULL;
	size_t size;
	FILE *f = open_memstream(&out, &size);

	for (; f && *text; text++) {
		if (*text == '\n')
			fputc('\r', f);
		fputc(*text, f);
	}
	return f && !fclose(f) ? out : NULL;
}

static int run_human(struct qmp *q, struct json_object *args,
		     struct json_object **ret, struct err *e)
{
	char *text = NULL, *sent = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (out) {
		hmp_run(q, json_get_str(args, "command-line"), out);
		if (!fclose(out))
			sent = with_returns(text);
	}
	free(text);
	if (!sent)
		return err_set(e, -ENOMEM, "out of memory");
	*ret = json_object_new_string(sent);
	free(sent);
	return 0;
}

const struct qmp_command qmp_run_commands[] = {
	{"qmp_capabilities", "enable?:[QMPCapability]", false, "",
	 "begin: nothing else is answered before", NULL},
	{"stop", "", false, "", "stop the guest", run_stop},
	{"cont", "", false, "", "let it go on", run_cont},
	{"system_reset", "", false, "", "reset the machine", run_reset},
	{"system_powerdown", "", false, "", "press the power button",
	 run_powerdown},
	{"system_wakeup", "", false, "", "wake a sleeping guest", run_wakeup},
	{"quit", "", false, "", "end the run", run_quit},
	{"screendump", "filename:str device?:str head?:int format?:str", false,
	 "", "refused: there is no display", run_screendump},
	{"human-monitor-command", "command-line:str cpu-index?:int", false,
	 "str", "what a line of the monitor for people says", run_human},
	{0},
};
