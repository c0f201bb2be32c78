/*
 * What Rust cannot call or see by itself: static-inline functions and macros of DPDK, and structures whose fields stand
 * in other places from one release to the next (copied into flat ones of ours).
 *
 * Functions answer as DPDK's do: 0 or more when done, a negative errno when not.
 */
#ifndef DPDK_SYS_SHIM_H
#define DPDK_SYS_SHIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <rte_mbuf.h>
#include <rte_ring.h>

/* What a device is and can do: rte_eth_dev_info. */
struct shim_port_info {
	const char *driver;
	int socket;
	uint16_t min_mtu;
	uint16_t max_mtu;
	uint16_t max_rx_queues;
	uint16_t max_tx_queues;
	uint16_t rx_descriptors_max;
	uint16_t tx_descriptors_max;
	uint16_t max_rx_segments;
	uint16_t max_tx_segments;
	uint64_t rx_offloads;
	uint64_t tx_offloads;
	/* What it can tell by itself. */
	bool link_interrupt;
	bool removal_interrupt;
};

/* How a port is to be set up: rte_eth_conf. */
struct shim_port_setup {
	uint16_t rx_queues;
	uint16_t tx_queues;
	uint16_t rx_descriptors;
	uint16_t tx_descriptors;
	uint32_t mtu;
	uint64_t rx_offloads;
	uint64_t tx_offloads;
	bool link_interrupt;
	bool removal_interrupt;
};

/* Totals of a port: rte_eth_stats. */
struct shim_port_stats {
	uint64_t received;
	uint64_t sent;
	uint64_t missed;
	uint64_t errors_in;
	uint64_t errors_out;
	uint64_t no_buffer;
};

struct shim_link {
	uint32_t megabits;
	bool is_up;
	bool full_duplex;
};

int shim_errno(void);
unsigned int shim_lcore_id(void);
/* Writes up to `room` numbers of processors that a logical core may run on; returns how many. */
unsigned int shim_lcore_cpus(unsigned int lcore, uint32_t *cpus, unsigned int room);
/* EAL's log goes to this stream from now on; NULL for the default one. */
int shim_log_to(FILE *stream);

struct rte_mbuf *shim_mbuf_alloc(struct rte_mempool *pool);
int shim_mbuf_alloc_bulk(struct rte_mempool *pool, struct rte_mbuf **mbufs, unsigned int count);
/* Buffers that the calling thread can take at once: its own cache's and the ones that nobody keeps. */
unsigned int shim_pool_within_reach(struct rte_mempool *pool);
void shim_mbuf_free(struct rte_mbuf *mbuf);
void shim_mbuf_reference(struct rte_mbuf *mbuf, int16_t more);
uint16_t shim_mbuf_references(const struct rte_mbuf *mbuf);
const void *shim_mbuf_read(const struct rte_mbuf *mbuf, uint32_t offset, uint32_t len, void *copy);

int shim_port_info(uint16_t port, struct shim_port_info *info);
/*
 * Writes how a port's device was given to EAL (`name,arguments`), and its bus. Cut off where they do not fit.
 */
int shim_port_device(uint16_t port, char *device, size_t device_room, char *bus, size_t bus_room);
int shim_port_configure(uint16_t port, const struct shim_port_setup *setup);
int shim_rx_queue(uint16_t port, uint16_t queue, uint16_t descriptors, uint64_t offloads, struct rte_mempool *pool);
int shim_tx_queue(uint16_t port, uint16_t queue, uint16_t descriptors, uint64_t offloads);
int shim_port_stats(uint16_t port, struct shim_port_stats *stats);
int shim_link_nowait(uint16_t port, struct shim_link *link);
int shim_port_mac(uint16_t port, uint8_t mac[6]);
int shim_port_groups(uint16_t port, const uint8_t *macs, uint32_t count);

unsigned int shim_ring_put(struct rte_ring *ring, void *const *objects, unsigned int count);
unsigned int shim_ring_take(struct rte_ring *ring, void **objects, unsigned int count);

#endif
