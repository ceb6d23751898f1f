/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shell does the splitting: a child prints its arguments, each with a
 * zero behind it. Text without the shell's characters needs no child.
 */
#include "suite/words.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int words_add(struct words *w, const char *word, struct err *e)
{
	char **v = realloc(w->v, (w->n + 2) * sizeof(*v));

	if (v) {
		w->v = v;
		v[w->n] = strdup(word);
		v[w->n + 1] = NULL;
	}
	if (!v || !v[w->n])
		return err_set(e, -ENOMEM, "no memory");
	w->n++;
	return 0;
}

void words_free(struct words *w)
{
	size_t i;

	for (i = 0; i < w->n; i++)
		free(w->v[i]);
	free(w->v);
	*w = (struct words){NULL, 0};
}

static bool plain(const char *text)
{
	return !strpbrk(text, "\\'\"`$&;|<>(){}~!#");
}

static int split_plain(struct words *w, const char *text, struct err *e)
{
	char *copy = strdup(text), *save, *p;
	int ret = copy ? 0 : err_set(e, -ENOMEM, "no memory");

	for (p = copy ? strtok_r(copy, " \t\n", &save) : NULL; p && !ret;
	     p = strtok_r(NULL, " \t\n", &save))
		ret = words_add(w, p, e);
	free(copy);
	return ret;
}

static void child(int out, const char *script, const char *text,
		  const char *const *env)
{
	sigset_t none;

	sigemptyset(&none); /* ours may be blocked */
	sigprocmask(SIG_SETMASK, &none, NULL);
	dup2(out, STDOUT_FILENO);
	for (; env && *env; env++)
		putenv((char *)*env);
	execlp("bash", "bash", "-c", script, "bash", text, (char *)NULL);
	_exit(127);
}

/* Standard output of bash -c @script bash @text; its status, or -errno. */
static int run_bash(const char *script, const char *text,
		    const char *const *env, char **out, size_t *size)
{
	int fds[2], status;
	char buf[4096];
	FILE *mem;
	ssize_t n;
	pid_t pid;

	if (pipe(fds))
		return -errno;
	mem = open_memstream(out, size);
	pid = mem ? fork() : -1;
	if (!pid)
		child(fds[1], script, text, env);
	close(fds[1]);
	while (pid > 0 && (n = read(fds[0], buf, sizeof(buf))) > 0)
		fwrite(buf, 1, (size_t)n, mem);
	close(fds[0]);
	if (mem)
		fclose(mem);
	if (pid < 0)
		return -ENOMEM;
	if (waitpid(pid, &status, 0) < 0)
		return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

int words_split(struct words *w, const char *text, const char *const *env,
		struct err *e)
{
	char *out = NULL, *p;
	size_t size = 0;
	int ret;

	if (!text || plain(text))
		return text ? split_plain(w, text, e) : 0;
	/* words of an array may be on several lines, with comments behind */
	ret = run_bash("set -f; eval \"words=($1\"$'\\n'\")\" 2>/dev/null || "
		       "exit 1; [ ${#words[@]} = 0 ] || "
		       "printf '%s\\0' \"${words[@]}\"",
		       text, env, &out, &size);
	if (ret)
		ret = err_set(e, ret < 0 ? ret : -EINVAL,
			      "bash does not take '%s'", text);
	for (p = out; !ret && p < out + size; p += strlen(p) + 1)
		ret = words_add(w, p, e);
	free(out);
	return ret;
}

int words_true(const char *text, const char *const *env, struct err *e)
{
	char *out = NULL;
	size_t size;
	/* a function first, to tell what is no shell from what is false */
	int ret = run_bash("eval \"holds() { $1\"$'\\n'\"}\" 2>/dev/null || "
			   "exit 127; holds >/dev/null",
			   text, env, &out, &size);

	free(out);
	if (ret == 127 || ret < 0)
		return err_set(e, ret < 0 ? ret : -EINVAL,
			       "bash does not take '%s'", text);
	return !ret;
}
