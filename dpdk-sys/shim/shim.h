/* What Rust cannot take from DPDK's headers directly: static inlines, macro constants, thread-locals, and the
 * places of mbuf fields, whose nesting differs between releases. bindgen reads this file; shim.c implements it. */
#ifndef WIREBOOK_SHIM_H
#define WIREBOOK_SHIM_H

#include <stddef.h>
#include <stdint.h>

#include <rte_config.h>
#include <rte_version.h>
#include <rte_common.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <rte_mempool.h>
#include <rte_mbuf.h>
#include <rte_mbuf_dyn.h>
#include <rte_ethdev.h>
#include <rte_flow.h>
#include <rte_pdump.h>
#include <rte_telemetry.h>

/* ---- the release these headers belong to ---- */

enum {
	SHIM_VERSION_YEAR = RTE_VER_YEAR,
	SHIM_VERSION_MONTH = RTE_VER_MONTH,
	SHIM_VERSION_MINOR = RTE_VER_MINOR,
};

/* Where EAL looks for driver plugins; empty if it looks nowhere. */
#define SHIM_PLUGIN_DIR RTE_EAL_PMD_PATH

/* 1 when this build of DPDK puts more into its inline bursts than the callbacks (debug checks, mbuf history, trace
 * points), or leaves the callbacks out: then a burst must go through the inline itself. */
enum {
#if defined(RTE_ETHDEV_DEBUG_RX) || defined(RTE_ETHDEV_DEBUG_TX) || defined(RTE_MBUF_HISTORY_DEBUG) || \
	defined(RTE_ENABLE_TRACE_FP) || !defined(RTE_ETHDEV_RXTX_CALLBACKS)
	SHIM_BURST_HAS_EXTRAS = 1,
#else
	SHIM_BURST_HAS_EXTRAS = 0,
#endif
};

/* ---- macro constants that bindgen cannot evaluate ---- */

static const uint64_t SHIM_RX_OFFLOAD_IPV4_CKSUM = RTE_ETH_RX_OFFLOAD_IPV4_CKSUM;
static const uint64_t SHIM_RX_OFFLOAD_UDP_CKSUM = RTE_ETH_RX_OFFLOAD_UDP_CKSUM;
static const uint64_t SHIM_RX_OFFLOAD_TIMESTAMP = RTE_ETH_RX_OFFLOAD_TIMESTAMP;
static const uint64_t SHIM_RX_OFFLOAD_VLAN_STRIP = RTE_ETH_RX_OFFLOAD_VLAN_STRIP;
static const uint64_t SHIM_RX_OFFLOAD_SCATTER = RTE_ETH_RX_OFFLOAD_SCATTER;
static const uint64_t SHIM_TX_OFFLOAD_MBUF_FAST_FREE = RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;

/* Spreading by the addresses, and by the ports where the device can. */
static const uint64_t SHIM_RSS_UDP = RTE_ETH_RSS_IPV4 | RTE_ETH_RSS_NONFRAG_IPV4_UDP;

static const uint64_t SHIM_MBUF_RX_IP_CKSUM_MASK = RTE_MBUF_F_RX_IP_CKSUM_MASK;
static const uint64_t SHIM_MBUF_RX_IP_CKSUM_GOOD = RTE_MBUF_F_RX_IP_CKSUM_GOOD;
static const uint64_t SHIM_MBUF_RX_IP_CKSUM_BAD = RTE_MBUF_F_RX_IP_CKSUM_BAD;
static const uint64_t SHIM_MBUF_RX_L4_CKSUM_MASK = RTE_MBUF_F_RX_L4_CKSUM_MASK;
static const uint64_t SHIM_MBUF_RX_L4_CKSUM_GOOD = RTE_MBUF_F_RX_L4_CKSUM_GOOD;
static const uint64_t SHIM_MBUF_RX_L4_CKSUM_BAD = RTE_MBUF_F_RX_L4_CKSUM_BAD;

/* ---- mbuf field offsets, in bytes ---- */

enum {
	SHIM_MBUF_OFF_BUF_ADDR = offsetof(struct rte_mbuf, buf_addr),
	SHIM_MBUF_OFF_DATA_OFF = offsetof(struct rte_mbuf, data_off),
	SHIM_MBUF_OFF_NB_SEGS = offsetof(struct rte_mbuf, nb_segs),
	SHIM_MBUF_OFF_OL_FLAGS = offsetof(struct rte_mbuf, ol_flags),
	SHIM_MBUF_OFF_PKT_LEN = offsetof(struct rte_mbuf, pkt_len),
	SHIM_MBUF_OFF_DATA_LEN = offsetof(struct rte_mbuf, data_len),
	SHIM_MBUF_OFF_BUF_LEN = offsetof(struct rte_mbuf, buf_len),
};

/* ---- thread-locals ---- */

/* rte_errno of the calling thread. */
int shim_rte_errno(void);
/* EAL's number of the calling thread; LCORE_ID_ANY for a thread that EAL does not know. */
unsigned int shim_lcore_id(void);

/* ---- static inlines ---- */

uint16_t shim_eth_rx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n);
uint16_t shim_eth_tx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n);
/* One mbuf, reset; NULL when the pool is empty. */
struct rte_mbuf *shim_pktmbuf_alloc(struct rte_mempool *pool);
/* Gives back an mbuf with all its segments. */
void shim_pktmbuf_free(struct rte_mbuf *m);
/* `more` owners beside the present ones: each frees it once. */
void shim_mbuf_share(struct rte_mbuf *m, uint16_t more);

/* ---- calls whose names or types differ between releases ---- */

struct shim_link {
	uint32_t speed_mbps; /* RTE_ETH_SPEED_NUM_*: UINT32_MAX = unknown, 0 = none */
	uint8_t up;
	uint8_t full_duplex;
};
/* The link's state now, without waiting; a negative errno on failure. */
int shim_eth_link_get(uint16_t port, struct shim_link *out);

/* Has a port that is about to be configured spread what it receives over its queues, by the fields of `fields`. */
void shim_conf_rss(struct rte_eth_conf *conf, uint64_t fields);
/* Steers UDP over IPv4 to this address and port (network byte order), tagged or not, into one queue. 0, or a negative
 * errno. */
int shim_flow_udp(uint16_t port, uint32_t address, uint16_t udp_port, uint8_t tagged, uint16_t queue);
/* Takes all such rules back. */
int shim_flow_flush(uint16_t port);

/* Lets shim_interrupts_settle look into EAL's interrupt thread. Once, after rte_eal_init; 0, or a negative errno. */
int shim_interrupts_watch(void);
/* Waits until EAL's interrupt thread has done what closing ports left it to do: rte_eal_cleanup unmaps memory that the
 * thread would read then, without waiting for it (net_memif leaves its listener with the thread, for example). At most
 * two seconds; 0, or a negative errno. Only after a shim_interrupts_watch that gave 0. */
int shim_interrupts_settle(void);

int shim_tel_dict_u64(struct rte_tel_data *d, const char *name, uint64_t value);

/* ---- the log ---- */

/* Receives what EAL logs: RTE_LOG_* level, bytes (not terminated), their number. Must not unwind. */
typedef void (*shim_log_fn)(uint32_t level, const char *text, size_t len);
/* Sends EAL's log to `sink` from now on, for as long as the process lives. 0, or a negative errno. */
int shim_log_to(shim_log_fn sink);

/* ---- for benches only (shim/bench.c) ---- */

/* `calls` empty or full receive polls of up to 32 with C's inline burst; frees what arrives. Returns frames seen. */
uint64_t shim_bench_poll(uint16_t port, uint16_t queue, uint64_t calls);
/* `rounds` of: send the n mbufs of `pkts`, receive them back into `pkts`. Returns frames received. */
uint64_t shim_bench_loopback(uint16_t port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n, uint64_t rounds);

#endif
