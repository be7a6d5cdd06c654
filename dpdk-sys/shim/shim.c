#define _GNU_SOURCE /* fopencookie */
#define ALLOW_EXPERIMENTAL_API /* rte_intr_fd_set and the like, stable since */
#include "shim.h"

#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include <rte_interrupts.h>

/* The sizes that Rust reads and writes at the offsets of shim.h. */
#define MBUF_FIELD_IS(field, type) \
	_Static_assert(sizeof(((struct rte_mbuf *)0)->field) == sizeof(type), #field " of an mbuf is a " #type)
MBUF_FIELD_IS(buf_addr, void *);
MBUF_FIELD_IS(data_off, uint16_t);
MBUF_FIELD_IS(nb_segs, uint16_t);
MBUF_FIELD_IS(ol_flags, uint64_t);
MBUF_FIELD_IS(pkt_len, uint32_t);
MBUF_FIELD_IS(data_len, uint16_t);
MBUF_FIELD_IS(buf_len, uint16_t);

int shim_rte_errno(void)
{
	return rte_errno;
}

unsigned int shim_lcore_id(void)
{
	return rte_lcore_id();
}

uint16_t shim_eth_rx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	return rte_eth_rx_burst(port, queue, pkts, n);
}

uint16_t shim_eth_tx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	return rte_eth_tx_burst(port, queue, pkts, n);
}

struct rte_mbuf *shim_pktmbuf_alloc(struct rte_mempool *pool)
{
	return rte_pktmbuf_alloc(pool);
}

void shim_pktmbuf_free(struct rte_mbuf *m)
{
	rte_pktmbuf_free(m);
}

void shim_mbuf_share(struct rte_mbuf *m, uint16_t more)
{
	rte_mbuf_refcnt_update(m, (int16_t)more);
}

void shim_conf_rss(struct rte_eth_conf *conf, uint64_t fields)
{
	conf->rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
	conf->rx_adv_conf.rss_conf.rss_hf = fields;
}

int shim_flow_udp(uint16_t port, uint32_t address, uint16_t udp_port, uint8_t tagged, uint16_t queue)
{
	const struct rte_flow_attr attr = {.ingress = 1};
	const struct rte_flow_item_ipv4 ip = {.hdr.dst_addr = address};
	const struct rte_flow_item_ipv4 ip_mask = {.hdr.dst_addr = UINT32_MAX};
	const struct rte_flow_item_udp udp = {.hdr.dst_port = udp_port};
	const struct rte_flow_item_udp udp_mask = {.hdr.dst_port = UINT16_MAX};
	const struct rte_flow_action_queue to = {.index = queue};
	const struct rte_flow_action actions[] = {
		{.type = RTE_FLOW_ACTION_TYPE_QUEUE, .conf = &to},
		{.type = RTE_FLOW_ACTION_TYPE_END},
	};
	struct rte_flow_item pattern[] = {
		{.type = RTE_FLOW_ITEM_TYPE_ETH},
		{.type = tagged ? RTE_FLOW_ITEM_TYPE_VLAN : RTE_FLOW_ITEM_TYPE_VOID},
		{.type = RTE_FLOW_ITEM_TYPE_IPV4, .spec = &ip, .mask = &ip_mask},
		{.type = RTE_FLOW_ITEM_TYPE_UDP, .spec = &udp, .mask = &udp_mask},
		{.type = RTE_FLOW_ITEM_TYPE_END},
	};
	struct rte_flow_error error;

	if (rte_flow_create(port, &attr, pattern, actions, &error) != NULL)
		return 0;
	return rte_errno != 0 ? -rte_errno : -EINVAL;
}

int shim_flow_flush(uint16_t port)
{
	struct rte_flow_error error;

	return rte_flow_flush(port, &error);
}

int shim_eth_link_get(uint16_t port, struct shim_link *out)
{
	struct rte_eth_link link = {0};
	int rc = rte_eth_link_get_nowait(port, &link);

	if (rc != 0)
		return rc;
	out->speed_mbps = link.link_speed;
	out->up = link.link_status == RTE_ETH_LINK_UP;
	out->full_duplex = link.link_duplex == RTE_ETH_LINK_FULL_DUPLEX;
	return 0;
}

/* A source of interrupts of our own, in memory of the C library: it stays known to the thread for good. */
static struct rte_intr_handle *passing;
static sem_t passed;

static void interrupts_passed(void *unused)
{
	uint64_t count;

	(void)unused;
	if (read(rte_intr_fd_get(passing), &count, sizeof(count)) == sizeof(count))
		sem_post(&passed);
}

int shim_interrupts_watch(void)
{
	int fd;

	if (sem_init(&passed, 0, 0) != 0)
		return -errno;
	fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	passing = rte_intr_instance_alloc(RTE_INTR_INSTANCE_F_PRIVATE);
	if (passing == NULL)
		return -ENOMEM;
	if (rte_intr_fd_set(passing, fd) != 0 || rte_intr_type_set(passing, RTE_INTR_HANDLE_EXT) != 0)
		return -rte_errno;
	return rte_intr_callback_register(passing, interrupts_passed, NULL);
}

int shim_interrupts_settle(void)
{
	/* The thread takes what has become ready in no particular order, so it may come here before a change of its sources
	 * that was announced earlier; the second time there is none. */
	for (int round = 0; round < 2; round++) {
		const uint64_t one = 1;
		struct timespec until;

		if (write(rte_intr_fd_get(passing), &one, sizeof(one)) != sizeof(one))
			return -errno;
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += 1;
		while (sem_timedwait(&passed, &until) != 0)
			if (errno != EINTR)
				return -errno;
	}
	return 0;
}

int shim_tel_dict_u64(struct rte_tel_data *d, const char *name, uint64_t value)
{
#if RTE_VERSION >= RTE_VERSION_NUM(23, 3, 0, 0)
	return rte_tel_data_add_dict_uint(d, name, value);
#else
	return rte_tel_data_add_dict_u64(d, name, value);
#endif
}

static shim_log_fn log_sink;

static ssize_t log_write(void *cookie, const char *text, size_t len)
{
	(void)cookie;
	/* EAL flushes after every message, in the thread that logs: the level is that of this message. */
	log_sink((uint32_t)rte_log_cur_msg_loglevel(), text, len);
	return (ssize_t)len;
}

int shim_log_to(shim_log_fn sink)
{
	static const cookie_io_functions_t io = {.write = log_write};
	FILE *stream;

	if (log_sink != NULL) {
		log_sink = sink;
		return 0;
	}
	log_sink = sink;
	stream = fopencookie(NULL, "w", io);
	if (stream == NULL) {
		log_sink = NULL;
		return -errno;
	}
	return rte_openlog_stream(stream);
}
