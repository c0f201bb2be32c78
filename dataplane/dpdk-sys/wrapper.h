/* What bindgen reads: the functions and types named in build.rs, and constants that are macros in DPDK's headers. */
#include <rte_bus_vdev.h>
#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_ring.h>
#include <rte_version.h>

#include "shim.h"

/* Offloads that a device has (capabilities) and that a port is set up with. */
static const uint64_t SHIM_RX_CHECKSUM_IPV4 = RTE_ETH_RX_OFFLOAD_IPV4_CKSUM;
static const uint64_t SHIM_RX_CHECKSUM_UDP = RTE_ETH_RX_OFFLOAD_UDP_CKSUM;
static const uint64_t SHIM_RX_VLAN_STRIP = RTE_ETH_RX_OFFLOAD_VLAN_STRIP;
static const uint64_t SHIM_RX_SCATTER = RTE_ETH_RX_OFFLOAD_SCATTER;
static const uint64_t SHIM_TX_CHECKSUM_IPV4 = RTE_ETH_TX_OFFLOAD_IPV4_CKSUM;
static const uint64_t SHIM_TX_CHECKSUM_UDP = RTE_ETH_TX_OFFLOAD_UDP_CKSUM;
static const uint64_t SHIM_TX_MULTI_SEGMENTS = RTE_ETH_TX_OFFLOAD_MULTI_SEGS;

/* What a device says of a frame that came. */
static const uint64_t SHIM_MBUF_IP_MASK = RTE_MBUF_F_RX_IP_CKSUM_MASK;
static const uint64_t SHIM_MBUF_IP_GOOD = RTE_MBUF_F_RX_IP_CKSUM_GOOD;
static const uint64_t SHIM_MBUF_IP_BAD = RTE_MBUF_F_RX_IP_CKSUM_BAD;
static const uint64_t SHIM_MBUF_IP_NONE = RTE_MBUF_F_RX_IP_CKSUM_NONE;
static const uint64_t SHIM_MBUF_L4_MASK = RTE_MBUF_F_RX_L4_CKSUM_MASK;
static const uint64_t SHIM_MBUF_L4_GOOD = RTE_MBUF_F_RX_L4_CKSUM_GOOD;
static const uint64_t SHIM_MBUF_L4_BAD = RTE_MBUF_F_RX_L4_CKSUM_BAD;
static const uint64_t SHIM_MBUF_L4_NONE = RTE_MBUF_F_RX_L4_CKSUM_NONE;
static const uint64_t SHIM_MBUF_VLAN_STRIPPED = RTE_MBUF_F_RX_VLAN_STRIPPED;

/* What a device is asked to do to a frame that leaves. */
static const uint64_t SHIM_MBUF_TX_IPV4 = RTE_MBUF_F_TX_IPV4;
static const uint64_t SHIM_MBUF_TX_IP_CHECKSUM = RTE_MBUF_F_TX_IP_CKSUM;
static const uint64_t SHIM_MBUF_TX_UDP_CHECKSUM = RTE_MBUF_F_TX_UDP_CKSUM;

/* Where the fields of a packet buffer are: `struct rte_mbuf` has other unions in other releases. */
static const size_t SHIM_AT_BUF_ADDR = offsetof(struct rte_mbuf, buf_addr);
static const size_t SHIM_AT_DATA_OFF = offsetof(struct rte_mbuf, data_off);
static const size_t SHIM_AT_BUF_LEN = offsetof(struct rte_mbuf, buf_len);
static const size_t SHIM_AT_DATA_LEN = offsetof(struct rte_mbuf, data_len);
static const size_t SHIM_AT_PKT_LEN = offsetof(struct rte_mbuf, pkt_len);
static const size_t SHIM_AT_NB_SEGS = offsetof(struct rte_mbuf, nb_segs);
static const size_t SHIM_AT_OL_FLAGS = offsetof(struct rte_mbuf, ol_flags);
static const size_t SHIM_AT_VLAN_TCI = offsetof(struct rte_mbuf, vlan_tci);
static const size_t SHIM_AT_NEXT = offsetof(struct rte_mbuf, next);
static const size_t SHIM_AT_TX_OFFLOAD = offsetof(struct rte_mbuf, tx_offload);
/* Bits of `tx_offload` below the length of the third layer's header. */
static const uint32_t SHIM_L3_LEN_SHIFT = RTE_MBUF_L2_LEN_BITS;
/* Free bytes before a fresh buffer's data. */
static const uint16_t SHIM_HEADROOM = RTE_PKTMBUF_HEADROOM;

static const uint16_t SHIM_PORTS_MAX = RTE_MAX_ETHPORTS;
static const uint32_t SHIM_LCORES_MAX = RTE_MAX_LCORE;
static const uint32_t SHIM_NO_LCORE = LCORE_ID_ANY;
static const uint32_t SHIM_RING_ONE_EACH = RING_F_SP_ENQ | RING_F_SC_DEQ;
