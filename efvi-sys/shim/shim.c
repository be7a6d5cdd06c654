#include "shim.h"

ef_addr shim_memreg_dma_addr(ef_memreg *memory, size_t offset)
{
	return ef_memreg_dma_addr(memory, offset);
}

int shim_receive_prefix_len(const ef_vi *vi)
{
	return ef_vi_receive_prefix_len(vi);
}

void shim_receive_set_buffer_len(ef_vi *vi, unsigned bytes)
{
	ef_vi_receive_set_buffer_len(vi, bytes);
}

int shim_receive_capacity(const ef_vi *vi)
{
	return ef_vi_receive_capacity(vi);
}

int shim_receive_space(const ef_vi *vi)
{
	return ef_vi_receive_space(vi);
}

int shim_transmit_capacity(const ef_vi *vi)
{
	return ef_vi_transmit_capacity(vi);
}

int shim_transmit_space(const ef_vi *vi)
{
	return ef_vi_transmit_space(vi);
}

int shim_cuts_through(ef_vi *vi)
{
	return (ef_vi_flags(vi) & EF_VI_TX_CTPIO) != 0;
}

void shim_transmit_warm(ef_vi *vi, char *region, const void *frame, size_t len, ef_addr address, unsigned threshold,
			int fallback)
{
	ef_vi_tx_warm_state saved;

	ef_vi_start_transmit_warm(vi, &saved, region);
	if (shim_cuts_through(vi)) {
		ef_vi_transmit_ctpio(vi, frame, len, threshold);
		/* Refused, as the ring looks full. */
		if (fallback)
			(void)ef_vi_transmit_ctpio_fallback(vi, address, len, 0);
	} else {
		(void)ef_vi_transmit(vi, address, len, 0);
	}
	ef_vi_stop_transmit_warm(vi, &saved);
}
