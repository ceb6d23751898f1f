/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recognising names. Only those that end like one of ours are looked at
 * closely; "." and doubled slashes are seen through, symbolic links are not.
 */
#include "shim/shim.h"

#include <limits.h>
#include <string.h>

static bool looks_like_ours(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *last = slash ? slash + 1 : path;

	return !strcmp(last, "kvm") || !strcmp(last, "cpuinfo") ||
	       !strcmp(last, "current_clocksource") ||
	       strstr(path, "module/kvm") || !strncmp(path, "kvm", 3);
}

/* Folder of a relative path, with a slash at its end. */
static bool folder_of(int dir, char *out, size_t size)
{
	char link[32];
	ssize_t n;

	if (dir == AT_FDCWD)
		strcpy(link, "/proc/self/cwd");
	else
		snprintf(link, sizeof(link), "/proc/self/fd/%d", dir);
	n = real()->readlink(link, out, size - 2);
	if (n <= 0)
		return false;
	out[n] = '/';
	out[n + 1] = '\0';
	return true;
}

/* Take out what has no meaning, in place. */
static void squeeze(char *path)
{
	char *to = path;

	for (const char *p = path; *p; p++) {
		if (p[0] == '/' && p[1] == '/')
			continue;
		if (p[0] == '/' && p[1] == '.' && (p[2] == '/' || !p[2])) {
			p++;
			continue;
		}
		*to++ = *p;
	}
	*to = '\0';
}

bool path_is_empty(const char *path)
{
	return !path || !*path;
}

enum path_kind path_kind(int dir, const char *path, const char **param)
{
	char full[PATH_MAX];
	size_t n = 0;

	if (likely(!path || !looks_like_ours(path)))
		return PATH_OTHER;
	if (path[0] != '/') {
		if (!folder_of(dir, full, sizeof(full)))
			return PATH_OTHER;
		n = strlen(full);
	}
	if (n + strlen(path) >= sizeof(full))
		return PATH_OTHER;
	strcpy(full + n, path);
	squeeze(full);
	if (!strcmp(full, "/dev/kvm"))
		return PATH_KVM;
	if (!strcmp(full, "/proc/cpuinfo"))
		return PATH_CPUINFO;
	return param_find(full, param);
}
