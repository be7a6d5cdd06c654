//! Fields of an mbuf, read and written at the offsets that the installed headers give.

use dpdk_sys::{self as sys, rte_mbuf};

const BUF_ADDR: usize = sys::SHIM_MBUF_OFF_BUF_ADDR as usize;
const DATA_OFF: usize = sys::SHIM_MBUF_OFF_DATA_OFF as usize;
const OL_FLAGS: usize = sys::SHIM_MBUF_OFF_OL_FLAGS as usize;
const PKT_LEN: usize = sys::SHIM_MBUF_OFF_PKT_LEN as usize;
const DATA_LEN: usize = sys::SHIM_MBUF_OFF_DATA_LEN as usize;
const NB_SEGS: usize = sys::SHIM_MBUF_OFF_NB_SEGS as usize;
const BUF_LEN: usize = sys::SHIM_MBUF_OFF_BUF_LEN as usize;

/// An mbuf that somebody owns. A plain pointer with accessors: it frees nothing by itself.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub(crate) struct Mbuf(*mut rte_mbuf);

impl Mbuf {
    /// # Safety
    /// `pointer` is an mbuf that is allocated, and stays so while the value is used.
    #[inline(always)]
    pub(crate) unsafe fn new(pointer: *mut rte_mbuf) -> Self {
        Self(pointer)
    }

    #[inline(always)]
    pub(crate) fn as_ptr(self) -> *mut rte_mbuf {
        self.0
    }

    /// The field of type `T` at `offset` bytes.
    #[inline(always)]
    fn field<T>(self, offset: usize) -> *mut T {
        self.0.wrapping_byte_add(offset).cast()
    }

    /// First byte of the packet.
    #[inline(always)]
    pub(crate) fn data(self) -> *mut u8 {
        // SAFETY: an allocated mbuf (see `new`) with these fields at these offsets; the data begins inside its buffer.
        unsafe {
            let start = self.field::<*mut u8>(BUF_ADDR).read();
            start.add(usize::from(self.field::<u16>(DATA_OFF).read()))
        }
    }

    /// Bytes in this segment.
    #[inline(always)]
    pub(crate) fn data_len(self) -> u16 {
        // SAFETY: an allocated mbuf with this field at this offset.
        unsafe { self.field::<u16>(DATA_LEN).read() }
    }

    /// Bytes in all segments.
    #[inline(always)]
    pub(crate) fn pkt_len(self) -> u32 {
        // SAFETY: as above.
        unsafe { self.field::<u32>(PKT_LEN).read() }
    }

    /// Number of segments.
    #[inline(always)]
    pub(crate) fn segments(self) -> u16 {
        // SAFETY: as above.
        unsafe { self.field::<u16>(NB_SEGS).read() }
    }

    /// `RTE_MBUF_F_*`.
    #[inline(always)]
    pub(crate) fn flags(self) -> u64 {
        // SAFETY: as above.
        unsafe { self.field::<u64>(OL_FLAGS).read() }
    }

    /// Bytes between the start of the data and the end of the buffer.
    #[inline(always)]
    pub(crate) fn room(self) -> u16 {
        // SAFETY: as above, twice.
        unsafe { self.field::<u16>(BUF_LEN).read() - self.field::<u16>(DATA_OFF).read() }
    }

    /// Makes this a packet of one segment and `len` bytes. `len` is at most [`Self::room`].
    #[inline(always)]
    pub(crate) fn set_len(self, len: u16) {
        // SAFETY: as above; the caller owns the mbuf, so nobody else reads it now.
        unsafe {
            self.field::<u16>(DATA_LEN).write(len);
            self.field::<u32>(PKT_LEN).write(u32::from(len));
        }
    }

    /// The 64-bit dynamic field at `offset`.
    ///
    /// # Safety
    /// `offset` was given by `rte_mbuf_dynfield_lookup` for a field of that size.
    #[inline(always)]
    pub(crate) unsafe fn dynamic_u64(self, offset: usize) -> u64 {
        // SAFETY: the field is inside the mbuf's header (caller), 8-byte aligned by DPDK.
        unsafe { self.field::<u64>(offset).read() }
    }
}
