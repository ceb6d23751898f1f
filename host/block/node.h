/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nodes: what a disk's contents are made of. A protocol node reaches bytes
 * (file, nbd); a format node gives them meaning (raw, qcow2) over a node of
 * its own, and over a backing one where it has nothing yet. Private to the
 * room; devices see block.h.
 *
 * Node functions are called by many threads at once and wait until they are
 * done. Ranges lie inside node->size, but that a file below a format grows
 * where it is written. Everything returns 0 or -errno.
 */
#ifndef HOST_BLOCK_NODE_H
#define HOST_BLOCK_NODE_H

#include "host/block/block.h"
#include "host/block/dict.h"
#include "host/block/vec.h"

#define NODE_NAME  64
#define NODE_DEPTH 64 /* of a graph: longer chains are loops */

/* How a node is opened; children inherit all but dict. */
struct node_open {
	struct dict *dict;      /* its options; who understands one takes it */
	struct node_list *list; /* nodes with names */
	bool read_only;
	bool direct;         /* O_DIRECT */
	bool no_flush;       /* flushes are not waited for */
	bool unmap;          /* discards free space */
	bool share;          /* no lock against writers */
	bool zeroes;         /* look for zeros in what is written */
	bool format_below;   /* the node above has metadata of its own in it */
	bool probed;         /* the format is a guess */
	bool auto_read_only; /* read-only where it cannot be written */
	struct node *file;   /* the child "file", when it is open already */
	unsigned depth;
};

/* Bytes of a node that are bytes of a file, until node_put_extent(). */
struct node_extent {
	int fd;
	bool local;     /* a disk of this host: its page cache takes writes */
	unsigned align; /* of addresses, offsets and lengths, or 1 */
	uint64_t at;
	struct node *owner; /* who counts it, NULL: nobody */
	unsigned token;
};

struct node_driver {
	const char *name;
	bool protocol;
	int (*open)(struct node *n, struct node_open *o, struct err *e);
	void (*close)(struct node *n);
	int (*read)(struct node *n, uint64_t at, const struct vec *v);
	int (*write)(struct node *n, uint64_t at, const struct vec *v);
	int (*flush)(struct node *n);
	/* Be of @size bytes, with nothing in flight. NULL: cannot. */
	int (*resize)(struct node *n, uint64_t size);
	/* A hint. NULL: it is not taken. */
	int (*discard)(struct node *n, uint64_t at, uint64_t len);
	/* The range reads as zeros; @unmap: space may be freed. */
	int (*zero)(struct node *n, uint64_t at, uint64_t len, bool unmap);
	/*
	 * Where the range is, when it is all in one place and that takes no
	 * waiting: -EAGAIN otherwise. NULL: never.
	 */
	int (*extent)(struct node *n, uint64_t at, uint64_t len, bool write,
		      struct node_extent *x);
	void (*put_extent)(struct node *n, struct node_extent *x);
};

struct node {
	const struct node_driver *driver;
	char name[NODE_NAME];   /* "": none */
	char *path;             /* of the file it is in, NULL: in none */
	struct node_list *list; /* of those with names, NULL: not in it */
	struct node *next;
	unsigned refs;  /* parents and devices */
	bool written;   /* one of them writes */
	uint64_t size;  /* bytes; of a file below a format: at open */
	unsigned align; /* what I/O has to be a multiple of, or 1 */
	bool fixed;     /* a protocol that cannot grow */
	bool local;     /* a protocol: a disk or the memory of this host */
	bool read_only;
	bool unmap;
	bool direct; /* as it was asked for */
	bool no_flush;
	bool zeroes;
	enum block_aio aio;   /* a file's; a format's is its file's */
	struct node *file;    /* NULL: a protocol */
	struct node *backing; /* NULL: none */
	void *state;          /* the driver's */
};

extern const struct node_driver node_file;
extern const struct node_driver node_host_device;
extern const struct node_driver node_nbd;
extern const struct node_driver node_raw;
extern const struct node_driver node_qcow2;

/*
 * Open a node and those below it from @o->dict, all of whose keys must be
 * understood. NULL with a sentence.
 */
struct node *node_open(struct node_open *o, struct err *e) __must_check;

/*
 * The child @key of a node that is opened with @o: a node by name ("file=N")
 * or one of its own ("file.driver=..."). NULL with a sentence, or without one
 * when nothing is said about it.
 */
struct node *node_open_child(struct node_open *o, const char *key,
			     struct err *e) __must_check;

/* Options for what a person calls @name: a path, an nbd: URI or json:. */
int node_parse_name(struct dict *d, const char *name,
		    struct err *e) __must_check;

/* Take and release; the last one closes. NULL is fine. */
struct node *node_get(struct node *n);
void node_put(struct node *n);

struct node *node_find(const struct node_list *list, const char *name);

/* What the format of an image may be, by its first bytes. */
const char *node_probe(const uint8_t *head, size_t len);

/* ---- I/O ---- */

int node_read(struct node *n, uint64_t at, const struct vec *v);
int node_write(struct node *n, uint64_t at, const struct vec *v);
int node_flush(struct node *n);
int node_discard(struct node *n, uint64_t at, uint64_t len);
int node_zero(struct node *n, uint64_t at, uint64_t len, bool unmap);
int node_extent(struct node *n, uint64_t at, uint64_t len, bool write,
		struct node_extent *x);
void node_put_extent(struct node_extent *x);

/* Of one buffer. */
int node_pread(struct node *n, uint64_t at, void *p, size_t len);
int node_pwrite(struct node *n, uint64_t at, const void *p, size_t len);

#endif
