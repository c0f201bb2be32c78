/* For the processor sets of <sched.h>. */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>

#include <rte_bus.h>
#include <rte_dev.h>
#include <rte_devargs.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_log.h>

#include "shim.h"

/* Header and check sequence, as rte_eth_dev_configure counts. */
#define ETHERNET_OVERHEAD (RTE_ETHER_HDR_LEN + RTE_ETHER_CRC_LEN)

int shim_errno(void)
{
	return rte_errno;
}

unsigned int shim_lcore_id(void)
{
	return rte_lcore_id();
}

unsigned int shim_lcore_cpus(unsigned int lcore, uint32_t *cpus, unsigned int room)
{
	rte_cpuset_t set = rte_lcore_cpuset(lcore);
	unsigned int count = 0;

	for (uint32_t cpu = 0; cpu < CPU_SETSIZE && count < room; cpu++)
		if (CPU_ISSET(cpu, &set))
			cpus[count++] = cpu;
	return count;
}

int shim_log_to(FILE *stream)
{
	return rte_openlog_stream(stream);
}

struct rte_mbuf *shim_mbuf_alloc(struct rte_mempool *pool)
{
	return rte_pktmbuf_alloc(pool);
}

int shim_mbuf_alloc_bulk(struct rte_mempool *pool, struct rte_mbuf **mbufs, unsigned int count)
{
	return rte_pktmbuf_alloc_bulk(pool, mbufs, count);
}

unsigned int shim_pool_within_reach(struct rte_mempool *pool)
{
	const struct rte_mempool_cache *own = rte_mempool_default_cache(pool, rte_lcore_id());

	/* As rte_mempool_ops_get_count() does, which no library exports. */
	return rte_mempool_get_ops(pool->ops_index)->get_count(pool) + (own == NULL ? 0 : own->len);
}

void shim_mbuf_free(struct rte_mbuf *mbuf)
{
	rte_pktmbuf_free(mbuf);
}

void shim_mbuf_reference(struct rte_mbuf *mbuf, int16_t more)
{
	rte_mbuf_refcnt_update(mbuf, more);
}

uint16_t shim_mbuf_references(const struct rte_mbuf *mbuf)
{
	return rte_mbuf_refcnt_read(mbuf);
}

const void *shim_mbuf_read(const struct rte_mbuf *mbuf, uint32_t offset, uint32_t len, void *copy)
{
	return rte_pktmbuf_read(mbuf, offset, len, copy);
}

int shim_port_info(uint16_t port, struct shim_port_info *info)
{
	struct rte_eth_dev_info theirs;
	int status = rte_eth_dev_info_get(port, &theirs);

	if (status != 0)
		return status;
	memset(info, 0, sizeof(*info));
	info->driver = theirs.driver_name;
	info->socket = rte_eth_dev_socket_id(port);
	info->min_mtu = theirs.min_mtu;
	info->max_mtu = theirs.max_mtu;
	/* Some drivers tell the longest frame only. */
	if (theirs.max_mtu == UINT16_MAX && theirs.max_rx_pktlen > ETHERNET_OVERHEAD &&
	    theirs.max_rx_pktlen - ETHERNET_OVERHEAD < UINT16_MAX)
		info->max_mtu = theirs.max_rx_pktlen - ETHERNET_OVERHEAD;
	info->max_rx_queues = theirs.max_rx_queues;
	info->max_tx_queues = theirs.max_tx_queues;
	info->rx_descriptors_max = theirs.rx_desc_lim.nb_max;
	info->tx_descriptors_max = theirs.tx_desc_lim.nb_max;
	info->max_rx_segments = theirs.rx_desc_lim.nb_seg_max;
	info->max_tx_segments = theirs.tx_desc_lim.nb_seg_max;
	info->rx_offloads = theirs.rx_offload_capa;
	info->tx_offloads = theirs.tx_offload_capa;
	info->link_interrupt = theirs.dev_flags != NULL && (*theirs.dev_flags & RTE_ETH_DEV_INTR_LSC) != 0;
	info->removal_interrupt = theirs.dev_flags != NULL && (*theirs.dev_flags & RTE_ETH_DEV_INTR_RMV) != 0;
	return 0;
}

int shim_port_device(uint16_t port, char *device, size_t device_room, char *bus, size_t bus_room)
{
	struct rte_eth_dev_info info;
	const struct rte_devargs *arguments;
	const char *text;
	int status = rte_eth_dev_info_get(port, &info);

	if (status != 0)
		return status;
	if (info.device == NULL)
		return -ENODEV;
	arguments = rte_dev_devargs(info.device);
	text = arguments == NULL || arguments->args == NULL ? "" : arguments->args;
	snprintf(device, device_room, "%s%s%s", rte_dev_name(info.device), *text == '\0' ? "" : ",", text);
	snprintf(bus, bus_room, "%s", rte_bus_name(rte_dev_bus(info.device)));
	return 0;
}

int shim_port_configure(uint16_t port, const struct shim_port_setup *setup)
{
	struct rte_eth_conf theirs;

	memset(&theirs, 0, sizeof(theirs));
	theirs.rxmode.mtu = setup->mtu;
	theirs.rxmode.offloads = setup->rx_offloads;
	theirs.txmode.offloads = setup->tx_offloads;
	theirs.intr_conf.lsc = setup->link_interrupt;
	theirs.intr_conf.rmv = setup->removal_interrupt;
	return rte_eth_dev_configure(port, setup->rx_queues, setup->tx_queues, &theirs);
}

int shim_rx_queue(uint16_t port, uint16_t queue, uint16_t descriptors, uint64_t offloads, struct rte_mempool *pool)
{
	struct rte_eth_dev_info info;
	int status = rte_eth_dev_info_get(port, &info);

	if (status != 0)
		return status;
	info.default_rxconf.offloads = offloads;
	return rte_eth_rx_queue_setup(port, queue, descriptors, rte_eth_dev_socket_id(port), &info.default_rxconf, pool);
}

int shim_tx_queue(uint16_t port, uint16_t queue, uint16_t descriptors, uint64_t offloads)
{
	struct rte_eth_dev_info info;
	int status = rte_eth_dev_info_get(port, &info);

	if (status != 0)
		return status;
	info.default_txconf.offloads = offloads;
	return rte_eth_tx_queue_setup(port, queue, descriptors, rte_eth_dev_socket_id(port), &info.default_txconf);
}

int shim_port_stats(uint16_t port, struct shim_port_stats *stats)
{
	struct rte_eth_stats theirs;
	int status = rte_eth_stats_get(port, &theirs);

	if (status != 0)
		return status;
	stats->received = theirs.ipackets;
	stats->sent = theirs.opackets;
	stats->missed = theirs.imissed;
	stats->errors_in = theirs.ierrors;
	stats->errors_out = theirs.oerrors;
	stats->no_buffer = theirs.rx_nombuf;
	return 0;
}

int shim_link_nowait(uint16_t port, struct shim_link *link)
{
	struct rte_eth_link theirs;
	int status;

	memset(&theirs, 0, sizeof(theirs));
	status = rte_eth_link_get_nowait(port, &theirs);
	if (status != 0)
		return status;
	link->megabits = theirs.link_speed;
	link->is_up = theirs.link_status == RTE_ETH_LINK_UP;
	link->full_duplex = theirs.link_duplex == RTE_ETH_LINK_FULL_DUPLEX;
	return 0;
}

int shim_port_mac(uint16_t port, uint8_t mac[6])
{
	struct rte_ether_addr theirs;
	int status = rte_eth_macaddr_get(port, &theirs);

	if (status == 0)
		memcpy(mac, theirs.addr_bytes, sizeof(theirs.addr_bytes));
	return status;
}

int shim_port_groups(uint16_t port, const uint8_t *macs, uint32_t count)
{
	struct rte_ether_addr theirs[64];

	if (count > 64)
		return -EINVAL;
	for (uint32_t i = 0; i < count; i++)
		memcpy(theirs[i].addr_bytes, macs + 6 * i, 6);
	return rte_eth_dev_set_mc_addr_list(port, theirs, count);
}

unsigned int shim_ring_put(struct rte_ring *ring, void *const *objects, unsigned int count)
{
	return rte_ring_enqueue_burst(ring, objects, count, NULL);
}

unsigned int shim_ring_take(struct rte_ring *ring, void **objects, unsigned int count)
{
	return rte_ring_dequeue_burst(ring, objects, count, NULL);
}
