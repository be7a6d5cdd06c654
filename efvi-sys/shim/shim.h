/* What Rust cannot take from ef_vi's headers directly: static inlines and macros over the operations of a VI. bindgen reads
 * this file; shim.c implements it. */
#ifndef WIREBOOK_EFVI_SHIM_H
#define WIREBOOK_EFVI_SHIM_H

#include <stddef.h>
#include <stdint.h>

#include <etherfabric/base.h>
#include <etherfabric/capabilities.h>
#include <etherfabric/ef_vi.h>
#include <etherfabric/efct_vi.h>
#include <etherfabric/memreg.h>
#include <etherfabric/pd.h>
#include <etherfabric/vi.h>

/* Room that a warming cut-through send may write to. */
#define SHIM_WARM_BYTES 4096

ef_addr shim_memreg_dma_addr(ef_memreg *memory, size_t offset);

int shim_receive_prefix_len(const ef_vi *vi);
void shim_receive_set_buffer_len(ef_vi *vi, unsigned bytes);
int shim_receive_capacity(const ef_vi *vi);
int shim_receive_space(const ef_vi *vi);

int shim_transmit_capacity(const ef_vi *vi);
int shim_transmit_space(const ef_vi *vi);

/* Cut-through is on for this VI, because it was asked for or because the NIC knows nothing else. */
int shim_cuts_through(ef_vi *vi);

/* Goes the way of a send without sending. Where cut-through is all there is, the frame went into the ring without an id, to
 * which a fall-back would give one (Onload 9.0; not any more in 10.0): it has to be left out. */
void shim_transmit_warm(ef_vi *vi, char *region, const void *frame, size_t len, ef_addr address, unsigned threshold,
			int fallback);

#endif
