/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A network card for tests: over a backend that records, with a ring for each
 * of its queues.
 */
#ifndef DEV_VIRTIO_FAKECARD_H
#define DEV_VIRTIO_FAKECARD_H

#include "dev/virtio/fakering.h"
#include "dev/virtio/netdev.h"

#define CARD_PAIRS 4 /* at most */

#define CARD_LOW                                                           \
	(BIT64(0) | BIT64(1) | BIT64(2) | BIT64(7) | BIT64(8) | BIT64(9) | \
	 BIT64(10) | BIT64(11) | BIT64(12) | BIT64(13) | BIT64(14) |       \
	 BIT64(15) | BIT64(16) | BIT64(17) | BIT64(18) | BIT64(19) |       \
	 BIT64(20) | BIT64(21) | BIT64(23) | BIT64(32) | BIT64(54) |       \
	 BIT64(55) | BIT64(56))
#define CARD_HIGH 0x1eULL
#define CARD                                            \
	"virtio-net,rx_queue_size=64,tx_queue_size=64," \
	"mac=52:54:00:01:02:03"

struct recorder {
	struct net net;
	struct net_user user;
	unsigned header;
	struct net_offloads guest;
	unsigned queues; /* as set_queues() said last */
	uint8_t sent[70000];
	size_t sent_len;
	unsigned sent_pair;
	pthread_t sent_by;     /* the thread */
	unsigned sends, rooms; /* atomic */
	uint32_t roomy;        /* pairs that were told of room */
	/* ---- as a vhost backend ---- */
	struct vhost_setup setup; /* of the last start */
	unsigned starts, stops, resets;
};

/* Takes frames; works on the rings itself. */
extern const struct net_ops recorder_ops, recorder_vhost_ops;

struct card {
	struct recorder rec;
	unsigned pairs, ctrl;
	struct fakering ring[2 * CARD_PAIRS + 1];
	struct virtio_device *dev;
	unsigned config_changes;
};

/* Made as -device @arg says, up and running with these features. */
struct card *card_new(const char *arg, unsigned pairs, uint64_t low,
		      uint64_t high, bool has_header);
/* The same over a backend that works on the rings itself. */
struct card *card_new_vhost(const char *arg, unsigned pairs, uint64_t low);
void card_free(struct card *c);

static inline struct netdev *card_net(struct card *c)
{
	return (struct netdev *)c->dev;
}

/* A piece of a buffer at a guest's address. */
struct iovec card_piece(uint64_t gpa, size_t len);

/* Send what lies at FAKE_DATA; true when the backend got it. */
bool card_send(struct card *c, unsigned pair, unsigned header, unsigned len);

/* A frame for pair @q from the backend. */
bool card_receive(struct card *c, unsigned q, const void *frame, size_t len,
		  unsigned header);

/* A control command; the answer. */
int card_control(struct card *c, const void *cmd, unsigned len);

/* A counter by name. */
uint64_t card_counter(struct card *c, const char *name);

#endif
