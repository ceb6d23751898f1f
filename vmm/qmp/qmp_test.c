/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QMP without a guest: texts out of streams of bytes, whole, in pieces and
 * broken; arguments against their types; requests and their answers; and a
 * schema that describes everything it names.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/config.h"
#include "vmm/qmp/command.h"
#include "vmm/qmp/evlimit.h"
#include "vmm/qmp/type.h"

/* What comes of @text in pieces of @step bytes: a line for each result. */
static char *stream(const char *text, size_t step)
{
	struct json_stream s = {0};
	size_t len = strlen(text), at = 0, n, size;
	char *out = NULL, *one;
	FILE *f = open_memstream(&out, &size);

	while (at < len) {
		struct json_object *v = NULL;
		struct err e = {0};
		int ret;

		n = json_stream_feed(&s, text + at, MIN(step, len - at), &v,
				     &ret, &e);
		assert_true(n <= step);
		at += n;
		if (ret > 0) {
			one = json_print(v, false, "\n");
			fputs(one, f);
			free(one);
		} else if (ret < 0) {
			assert_int_not_equal(e.msg[0], '\0');
			fputs("!\n", f);
		} else {
			assert_int_equal(n, MIN(step, len - at + n));
		}
		json_object_put(v);
	}
	json_stream_free(&s);
	fclose(f);
	return out;
}

static void check_stream(const char *text, const char *want)
{
	size_t step;
	char *got;

	for (step = 1; step < 20; step += 3) {
		got = stream(text, step);
		if (strcmp(got, want))
			fail_msg("'%s' by %zu: '%s', not '%s'", text, step, got,
				 want);
		free(got);
	}
}

static void test_stream(void **state)
{
	check_stream("{}", "{}\n");
	check_stream(" {\"a\":1}\r\n[2,\"]\"]  ", "{\"a\": 1}\n[2, \"]\"]\n");
	check_stream("{\"a\\\"}\":\"\\\\\"}{}", "{\"a\\\"}\": \"\\\\\"}\n{}\n");
	check_stream("{'a':'\"'}", "{\"a\": \"\\\"\"}\n");
	check_stream("nonsense {} 7\n{}", "!\n{}\n!\n{}\n");
	check_stream("}]{}", "!\n{}\n");
	check_stream("{\"a\":}{}", "!\n{}\n");
	check_stream("{]{}", "!\n{}\n");
	check_stream("\xff\xff{}", "{}\n");
	check_stream("{\"a\":\"\xff\"}{}", "!\n{}\n");
	check_stream("{\"a\":\"\\u0000\"}{}", "!\n{}\n");
	check_stream("{\"a\":\"\\u20ac\\ud83d\\ude00\"}",
		     "{\"a\": \"\\u20AC\\uD83D\\uDE00\"}\n");
	check_stream("{\"a\":\"\\t\\u001f\"}", "{\"a\": \"\\t\\u001F\"}\n");
	check_stream("{\"a\":18446744073709551615}",
		     "{\"a\": 18446744073709551615}\n");
	check_stream("{\"a\":-1.5,\"b\":null}", "{\"a\": -1.5, \"b\": null}\n");
}

static void check_limit(const char *open, size_t n, const char *close,
			bool good)
{
	char *text = calloc(1, n * (strlen(open) + strlen(close)) + 16), *got;
	char *end = text;
	size_t i;

	for (i = 0; i < n; i++)
		end = stpcpy(end, open);
	for (i = 0; i < n; i++)
		end = stpcpy(end, close);
	strcpy(end, "\n{}");
	got = stream(text, 4096);
	/* Whatever it was, what follows is heard. */
	assert_string_equal(got + strlen(got) - 3, "{}\n");
	assert_true((got[0] != '!') == good);
	free(got);
	free(text);
}

static void test_limits(void **state)
{
	char *big = malloc(JSON_MAX_SIZE + 64), *got;

	check_limit("[", JSON_MAX_DEPTH - 2, "]", true);
	check_limit("[", JSON_MAX_DEPTH + 2, "]", false);
	check_limit("{\"a\":", JSON_MAX_DEPTH + 2, "}", false);
	memset(big, 'x', JSON_MAX_SIZE + 64);
	memcpy(big, "{\"a\":\"", 6);
	strcpy(big + JSON_MAX_SIZE + 40, "\"}\n{}");
	got = stream(big, 1000);
	assert_string_equal(got, "!\n{}\n");
	free(got);
	free(big);
}

static void test_pretty(void **state)
{
	struct json_object *v = json_tokener_parse(
		"{\"a\":[1,{}],\"b\":{\"c\":\"d\"}}");
	char *text = json_print(v, true, "");

	assert_string_equal(text, "{\n    \"a\": [\n        1,\n        {}\n"
				  "    ],\n    \"b\": {\n        \"c\": \"d\"\n"
				  "    }\n}");
	free(text);
	json_object_put(v);
}

static void check_type(const char *spec, const char *text, const char *phrase)
{
	struct json_object *v = json_tokener_parse(text);
	struct err e = {0};
	int ret = qmp_check_members(spec, false, v, &e);

	if (!ret != !phrase || (phrase && !strstr(e.msg, phrase)))
		fail_msg("%s: '%s', not '%s'", text, e.msg,
			 phrase ? phrase : "accepted");
	json_object_put(v);
}

static void test_types(void **state)
{
	const char *spec = "a:int b?:str c?:[RunState] d?:number e?:any "
			   "f?:VersionInfo g?:bool";

	check_type(spec, "{\"a\":1}", NULL);
	check_type(spec,
		   "{\"a\":1,\"b\":\"x\",\"c\":[\"paused\"],\"d\":1,"
		   "\"e\":[{}],\"g\":true}",
		   NULL);
	check_type(spec, "{\"a\":1,\"d\":1.5,\"e\":null}", NULL);
	check_type(spec, "{}", "Parameter 'a' is missing");
	check_type(spec, "{\"a\":1,\"z\":2}", "Parameter 'z' is unexpected");
	check_type(spec, "{\"a\":\"1\"}",
		   "Invalid parameter type for 'a', expected: integer");
	check_type(spec, "{\"a\":1.5}", "'a', expected: integer");
	check_type(spec, "{\"a\":null}", "'a', expected: integer");
	check_type(spec, "{\"a\":1,\"b\":2}", "'b', expected: string");
	check_type(spec, "{\"a\":1,\"c\":\"paused\"}", "'c', expected: array");
	check_type(spec, "{\"a\":1,\"c\":[\"pausing\"]}",
		   "Parameter 'c[0]' does not accept value 'pausing'");
	check_type(spec, "{\"a\":1,\"g\":1}", "'g', expected: boolean");
	check_type(spec, "{\"a\":1,\"f\":[]}", "'f', expected: object");
	check_type(spec, "{\"a\":1,\"f\":{\"package\":\"\",\"qemu\":{}}}",
		   "Parameter 'f.qemu.major' is missing");
}

/* A session with a machine that is not looked at. */
struct session {
	struct config config;
	struct stop stop;
	struct control control;
	struct qmp qmp;
	bool negotiated;
};

static struct session *session_begin(void)
{
	struct session *s = calloc(1, sizeof(*s));

	config_init(&s->config);
	stop_init(&s->stop);
	control_init(&s->control, &s->config.action, &s->stop, true);
	s->control.machine = (struct machine *)s;
	s->qmp = (struct qmp){.control = &s->control, .config = &s->config};
	return s;
}

static void session_end(struct session *s)
{
	control_end(&s->control);
	control_destroy(&s->control);
	stop_destroy(&s->stop);
	free(s);
}

static void ask(struct session *s, const char *request, const char *want)
{
	struct json_object *v = json_tokener_parse(request);
	struct json_object *answer = qmp_answer(&s->qmp, v, &s->negotiated);
	char *text = json_print(answer, false, "");

	if (strcmp(text, want))
		fail_msg("%s: %s, not %s", request, text, want);
	free(text);
	json_object_put(answer);
	json_object_put(v);
}

#define ERROR(class, desc) \
	"{\"error\": {\"class\": \"" class "\", \"desc\": \"" desc "\"}}"
#define GENERIC(desc) ERROR("GenericError", desc)

static void test_session(void **state)
{
	struct session *s = session_begin();

	ask(s, "{\"execute\":\"query-status\"}",
	    ERROR("CommandNotFound", "Expecting capabilities negotiation with "
				     "'qmp_capabilities'"));
	ask(s,
	    "{\"execute\":\"qmp_capabilities\","
	    "\"arguments\":{\"enable\":[\"oob\"]}}",
	    GENERIC("Capability oob not available"));
	ask(s,
	    "{\"execute\":\"qmp_capabilities\","
	    "\"arguments\":{\"enable\":[\"x\"]}}",
	    GENERIC("Parameter 'enable[0]' does not accept value 'x'"));
	ask(s, "{\"execute\":\"qmp_capabilities\",\"id\":null}",
	    "{\"return\": {}, \"id\": null}");
	ask(s, "{\"execute\":\"qmp_capabilities\"}",
	    ERROR("CommandNotFound", "Capabilities negotiation is already "
				     "complete, command ignored"));
	ask(s, "{\"execute\":\"query-status\",\"id\":[1,{}]}",
	    "{\"return\": {\"running\": false, \"status\": \"prelaunch\"}, "
	    "\"id\": [1, {}]}");
	ask(s, "{\"execute\":\"no-such\",\"id\":\"x\"}",
	    "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"The "
	    "command no-such has not been found\"}, \"id\": \"x\"}");
	ask(s, "[]", GENERIC("QMP input must be a JSON object"));
	ask(s, "null", GENERIC("QMP input must be a JSON object"));
	ask(s, "{}", GENERIC("QMP input lacks member 'execute'"));
	ask(s, "{\"execute\":1}",
	    GENERIC("QMP input member 'execute' must be a string"));
	ask(s, "{\"execute\":\"stop\",\"arguments\":[]}",
	    GENERIC("QMP input member 'arguments' must be an object"));
	ask(s, "{\"exec-oob\":\"stop\"}",
	    GENERIC("QMP input member 'exec-oob' is unexpected"));
	ask(s, "{\"execute\":\"stop\",\"arguments\":{\"a\":1}}",
	    GENERIC("Parameter 'a' is unexpected"));
	ask(s,
	    "{\"execute\":\"screendump\",\"arguments\":{\"filename\":\"x\"}}",
	    GENERIC("screendump: this machine has no display"));
	ask(s, "{\"execute\":\"system_wakeup\"}",
	    GENERIC("wake-up from suspend is not supported by this guest"));
	s->control.machine = NULL;
	ask(s, "{\"execute\":\"query-status\"}",
	    GENERIC("the machine has ended"));
	session_end(s);
}

static struct json_object *entity(struct json_object *schema, const char *name)
{
	struct json_object *o;
	size_t i;

	for (i = 0; i < json_object_array_length(schema); i++) {
		o = json_object_array_get_idx(schema, i);
		if (!strcmp(json_get_str(o, "name"), name))
			return o;
	}
	fail_msg("the schema names '%s' and does not describe it", name);
	return NULL;
}

static void check_ref(struct json_object *schema, struct json_object *o,
		      const char *key)
{
	struct json_object *v;

	if (json_object_object_get_ex(o, key, &v))
		entity(schema, json_object_get_string(v));
}

static void check_entity(struct json_object *schema, struct json_object *o)
{
	struct json_object *members, *m;
	size_t i;

	check_ref(schema, o, "arg-type");
	check_ref(schema, o, "ret-type");
	check_ref(schema, o, "element-type");
	if (!json_object_object_get_ex(o, "members", &members))
		return;
	for (i = 0; i < json_object_array_length(members); i++) {
		m = json_object_array_get_idx(members, i);
		check_ref(schema, m, "type");
		assert_non_null(json_get_str(m, "name"));
	}
}

static void test_schema(void **state)
{
	struct json_object *schema = qmp_schema(), *o;
	const struct qmp_command *c;
	const struct qmp_event *v;
	struct err e = {0};
	size_t i;

	if (qmp_check("[SchemaInfo]", "schema", schema, &e))
		fail_msg("%s", e.msg);
	for (i = 0; i < json_object_array_length(schema); i++)
		check_entity(schema, json_object_array_get_idx(schema, i));
	for (i = 0; (c = qmp_command_at((unsigned)i)); i++) {
		o = entity(schema, c->name);
		assert_string_equal(json_get_str(o, "meta-type"), "command");
		assert_ptr_equal(qmp_command_find(c->name), c);
		assert_true(c->help[0]);
	}
	for (v = qmp_events; v->name; v++)
		assert_string_equal(
			json_get_str(entity(schema, v->name), "meta-type"),
			"event");
	o = entity(schema,
		   json_get_str(entity(schema, "query-status"), "ret-type"));
	assert_int_equal(
		json_object_array_length(json_object_object_get(o, "members")),
		2);
	json_object_put(schema);
}

static bool happens(struct evlimit *t, const char *name, const char *data,
		    uint64_t now)
{
	struct json_object *event;
	bool told;

	event = qmp_event_text(name, json_tokener_parse(data));
	told = evlimit_pass(t, event, now);
	json_object_put(event);
	return told;
}

/* The data of what is due; "" when nothing is. */
static void check_next(struct evlimit *t, uint64_t now, const char *want)
{
	struct json_object *event = evlimit_next(t, now);
	const char *text = "";

	if (event)
		text = json_object_to_json_string_ext(
			json_object_object_get(event, "data"),
			JSON_C_TO_STRING_PLAIN);
	assert_string_equal(text, want);
	json_object_put(event);
}

/* One a second for each key; the last of those in between is not lost. */
static void test_limit_of_events(void **state)
{
	const uint64_t second = EVLIMIT_PERIOD;
	struct evlimit t = {0};

	assert_true(evlimit_due(&t) == EVLIMIT_NEVER);
	assert_true(happens(&t, "STOP", "{}", 5));
	assert_true(happens(&t, "STOP", "{}", 5));
	assert_true(evlimit_due(&t) == EVLIMIT_NEVER);
	assert_true(happens(&t, "BALLOON_CHANGE", "{\"actual\":1}", 5));
	assert_false(happens(&t, "BALLOON_CHANGE", "{\"actual\":2}", 6));
	assert_false(happens(&t, "BALLOON_CHANGE", "{\"actual\":3}", 7));
	assert_true(happens(&t, "VSERPORT_CHANGE",
			    "{\"id\":\"a\",\"open\":true}", 10));
	assert_true(happens(&t, "VSERPORT_CHANGE",
			    "{\"id\":\"b\",\"open\":true}", 10));
	assert_false(happens(&t, "VSERPORT_CHANGE",
			     "{\"id\":\"a\",\"open\":false}", 11));
	assert_true(evlimit_due(&t) == second + 5);
	check_next(&t, second + 4, "");
	check_next(&t, second + 5, "{\"actual\":3}");
	check_next(&t, second + 5, "");
	check_next(&t, second + 10, "{\"id\":\"a\",\"open\":false}");
	check_next(&t, second + 10, "");
	/* What was told late begins a period of its own. */
	assert_false(
		happens(&t, "BALLOON_CHANGE", "{\"actual\":4}", second + 6));
	check_next(&t, 2 * second + 5, "{\"actual\":4}");
	check_next(&t, 9 * second, "");
	assert_true(evlimit_due(&t) == EVLIMIT_NEVER);
	assert_true(
		happens(&t, "BALLOON_CHANGE", "{\"actual\":5}", 9 * second));
	assert_false(
		happens(&t, "BALLOON_CHANGE", "{\"actual\":6}", 9 * second));
	evlimit_free(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stream),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_pretty),
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_session),
		cmocka_unit_test(test_schema),
		cmocka_unit_test(test_limit_of_events),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
