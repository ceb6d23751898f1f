/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check code FILE: a file of pages, each a function that gives the number of
 * its page. They are read past the page cache into one and the same page,
 * where the disk's device stores them, and called there.
 */
#include "check.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096, TURNS = 5 };

static int call_page(const void *page)
{
	int (*fn)(void);

	*(const void **)&fn = page;
	return fn();
}

int check_code(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECT), n, got;
	off_t pages = lseek(fd, 0, SEEK_END) / PAGE;
	void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (fd < 0 || pages < 2 || page == MAP_FAILED)
		FAIL("no file of pages");
	for (int i = 0; i < TURNS * (int)pages; i++) {
		n = i % (int)pages;
		if (pread(fd, page, PAGE, (off_t)n * PAGE) != PAGE)
			FAIL("page %d cannot be read", n);
		got = call_page(page);
		if (got != n)
			FAIL("page %d is executed as page %d", n, got);
	}
	close(fd);
	return 0;
}
