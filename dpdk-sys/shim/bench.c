/* The loops that the burst bench compares with: the same work as its Rust loops, with DPDK's own inlines. */
#include "shim.h"

#define BURST 32

uint64_t shim_bench_poll(uint16_t port, uint16_t queue, uint64_t calls)
{
	struct rte_mbuf *pkts[BURST];
	uint64_t seen = 0;

	for (uint64_t i = 0; i < calls; i++) {
		uint16_t n = rte_eth_rx_burst(port, queue, pkts, BURST);

		if (unlikely(n != 0)) {
			rte_pktmbuf_free_bulk(pkts, n);
			seen += n;
		}
	}
	return seen;
}

uint64_t shim_bench_loopback(uint16_t port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n, uint64_t rounds)
{
	uint64_t seen = 0;

	for (uint64_t i = 0; i < rounds; i++) {
		uint16_t sent = rte_eth_tx_burst(port, queue, pkts, n);

		seen += rte_eth_rx_burst(port, queue, pkts, sent);
	}
	return seen;
}
