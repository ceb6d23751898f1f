/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec and posix_spawn: a program started with an environment of the
 * client's making sees the KVM as well. What is inherited the ordinary way
 * needs nothing. All memory is the caller's stack, since a child of vfork()
 * gets here.
 */
#include "shim/shim.h"

#include <alloca.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#define PRELOAD "LD_PRELOAD="

/* What else a child needs to be as its parent. */
static const char *const handed_down[] = {
	"LODGE_VENDOR=", "LODGE_TRACE=", "LODGE_MASK=", "LODGE_CPUID="};

static const char *find(char *const *env, const char *name)
{
	size_t n = strlen(name);

	for (; env && *env; env++)
		if (!strncmp(*env, name, n))
			return *env;
	return NULL;
}

static bool has_us(char *const *env)
{
	const char *value = find(env, PRELOAD);

	return !*shim_path() || (value && strstr(value, shim_path()));
}

static size_t count(char *const *v)
{
	size_t n = 0;

	while (v && v[n])
		n++;
	return n;
}

/* @env with what is missing; @out has room for 5 more and the end. */
static void complete(char *const *env, char **out, char *preload)
{
	const char *value = find(env, PRELOAD);
	size_t n = 0;

	for (size_t i = 0; env && env[i]; i++)
		if (env[i] != value)
			out[n++] = env[i];
	sprintf(preload, PRELOAD "%s%s%s", shim_path(), value ? ":" : "",
		value ? value + sizeof(PRELOAD) - 1 : "");
	out[n++] = preload;
	for (size_t i = 0; i < ARRAY_SIZE(handed_down); i++) {
		char *ours = (char *)(uintptr_t)find(environ, handed_down[i]);

		if (ours && !find(env, handed_down[i]))
			out[n++] = ours;
	}
	out[n] = NULL;
}

/* A macro, for the stack is the caller's. */
#define COMPLETE(env)                                                   \
	do {                                                            \
		const char *had_ = find(env, PRELOAD);                  \
		char *const *was_ = (env);                              \
		char **made_;                                           \
                                                                        \
		if (has_us(was_))                                       \
			break;                                          \
		made_ = alloca((count(was_) + 6) * sizeof(char *));     \
		complete(was_, made_,                                   \
			 alloca(sizeof(PRELOAD) + strlen(shim_path()) + \
				(had_ ? strlen(had_) : 0) + 1));        \
		(env) = made_;                                          \
	} while (0)

SHIM_API int execve(const char *path, char *const argv[], char *const env[])
{
	char *const *e = env;

	COMPLETE(e);
	return real()->execve(path, argv, e);
}

SHIM_API int execvpe(const char *file, char *const argv[], char *const env[])
{
	char *const *e = env;

	COMPLETE(e);
	return real()->execvpe(file, argv, e);
}

SHIM_API int fexecve(int fd, char *const argv[], char *const env[])
{
	char *const *e = env;

	COMPLETE(e);
	return real()->fexecve(fd, argv, e);
}

SHIM_API int execv(const char *path, char *const argv[])
{
	return execve(path, argv, environ);
}

SHIM_API int execvp(const char *file, char *const argv[])
{
	return execvpe(file, argv, environ);
}

SHIM_API int posix_spawn(pid_t *pid, const char *path,
			 const posix_spawn_file_actions_t *actions,
			 const posix_spawnattr_t *attr, char *const argv[],
			 char *const env[])
{
	char *const *e = env;

	COMPLETE(e);
	return real()->posix_spawn(pid, path, actions, attr, argv, e);
}

SHIM_API int posix_spawnp(pid_t *pid, const char *file,
			  const posix_spawn_file_actions_t *actions,
			  const posix_spawnattr_t *attr, char *const argv[],
			  char *const env[])
{
	char *const *e = env;

	COMPLETE(e);
	return real()->posix_spawnp(pid, file, actions, attr, argv, e);
}

/* ---- arguments one by one ---- */

/* Those of @ap after @first into @argv; the end as well. */
static void collect(char **argv, const char *first, va_list ap)
{
	size_t n = 0;

	argv[n++] = (char *)(uintptr_t)first;
	while (argv[n - 1])
		argv[n++] = va_arg(ap, char *);
}

static size_t count_args(const char *first, va_list ap)
{
	size_t n = 1;

	if (first)
		while (va_arg(ap, char *))
			n++;
	return n + 1;
}

#define COLLECT(argv, first, ap)                                             \
	do {                                                                 \
		va_list twice_;                                              \
                                                                             \
		va_start(ap, first);                                         \
		va_copy(twice_, ap);                                         \
		(argv) = alloca(count_args(first, twice_) * sizeof(char *)); \
		va_end(twice_);                                              \
		collect(argv, first, ap);                                    \
	} while (0)

SHIM_API int execl(const char *path, const char *arg, ...)
{
	char **argv;
	va_list ap;

	COLLECT(argv, arg, ap);
	va_end(ap);
	return execve(path, argv, environ);
}

SHIM_API int execlp(const char *file, const char *arg, ...)
{
	char **argv;
	va_list ap;

	COLLECT(argv, arg, ap);
	va_end(ap);
	return execvpe(file, argv, environ);
}

SHIM_API int execle(const char *path, const char *arg, ...)
{
	char **argv, **env;
	va_list ap;

	COLLECT(argv, arg, ap);
	env = va_arg(ap, char **);
	va_end(ap);
	return execve(path, argv, env);
}
