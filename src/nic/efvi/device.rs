//! A VI of a real NIC: ef_vi's calls behind [`Vi`].
//!
//! One VI receives and sends; frames and completions share its event queue. The kernel's driver stays on the interface
//! and keeps everything that no filter of ours takes: ARP, IGMP, and whatever else the machine does there.
#![allow(unsafe_code, reason = "ef_vi is a C library")]

use std::ffi::c_int;
use std::net::SocketAddrV4;
use std::ptr::NonNull;
use std::sync::{Arc, OnceLock};

use efvi_sys as sys;

use super::{
    BUFFER, Discard, EVENTS, EfviCounters, EfviRx, EfviTx, Event, Full, Memory, Vi, queues, receive_buffers,
};

mod resources;

pub use resources::EfviError;
use resources::{Domain, Driver, Interface, Registration};

/// Bytes that the NIC has before it begins to put a frame on the wire: the first line, so that the rest of an order
/// follows in time.
const CUT_AFTER: u32 = 64;

/// Within one of these, addresses follow each other for the NIC too.
const PAGE: usize = 4_096;

/// What is asked of an interface.
#[derive(Clone, Debug)]
pub struct EfviConfig {
    /// Its name, as the kernel knows it.
    pub interface: String,
    /// Receive descriptors; rounded to what NICs have, 512 to 4,096.
    pub rx_descriptors: u16,
    /// Transmit descriptors and buffers; rounded to what NICs have, 512 to 2,048.
    pub tx_descriptors: u16,
    /// What is taken from the kernel.
    pub filters: Vec<Filter>,
    /// Have the NIC stamp received frames. Some need a licence for it.
    pub stamps: bool,
}

/// UDP datagrams that come to us and not to the kernel. Fragments are not among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// To this address, from anybody.
    To(SocketAddrV4),
    /// To the first, from the second.
    Between(SocketAddrV4, SocketAddrV4),
}

/// An interface that was opened, on its way to the thread that polls it.
pub struct EfviPort {
    /// Dropped before the memory that it was given.
    device: Device,
    memory: Memory,
    receive: usize,
    mac: [u8; 6],
    max_frame: usize,
}

// SAFETY: ef_vi's objects belong to no thread; they may be used by one at a time, which the queues see to by being
// `!Send` once they are made.
unsafe impl Send for EfviPort {}

impl EfviPort {
    /// Opens the driver, makes a VI and its memory, and adds the filters.
    ///
    /// # Errors
    /// [`EfviError`] names the step, what the library said, and what may help.
    pub fn open(config: &EfviConfig) -> Result<Self, EfviError> {
        let driver = Driver::open()?;
        let domain = Domain::of(&driver, &config.interface)?;
        let lends = domain.has(sys::EF_VI_CAP_RX_SHARED);
        let mut flags = sys::EF_VI_FLAGS_DEFAULT;
        if domain.has(sys::EF_VI_CAP_CTPIO) {
            flags |= sys::EF_VI_TX_CTPIO;
        }
        if config.stamps {
            flags |= sys::EF_VI_RX_TIMESTAMPS;
        }
        let rx = ring(config.rx_descriptors, 4_096);
        let tx = ring(config.tx_descriptors, 2_048);
        let interface = Interface::on(&domain, rx, tx, flags)?;
        let receive = if lends { 0 } else { receive_buffers(interface.receive_capacity()) };
        let memory = Memory::new(receive + interface.transmit_capacity())
            .map_err(|why| domain.error("map the buffers", why))?;
        let registration = Registration::of(&memory, &domain)?;
        if !lends {
            interface.set_buffer_len(BUFFER);
        }
        for filter in &config.filters {
            interface.add(&domain, filter)?;
        }
        let (mac, max_frame) = (interface.mac(&domain)?, interface.max_frame());
        let pages = (0..memory.mapped()).step_by(PAGE).map(|at| registration.address(at)).collect();
        let calls =
            Calls::of(interface.operations()).ok_or_else(|| domain.lacks("an operation of its VI"))?;
        let mut device = Device::new(interface.as_ptr(), calls, &memory, pages);
        (device.lends, device.stamps) = (lends, config.stamps);
        device._resources = Some(Resources {
            _interface: interface,
            _registration: registration,
            _domain: domain,
            _driver: driver,
        });
        Ok(Self { device, memory, receive, mac, max_frame })
    }

    /// Its hardware address, which is the kernel's too.
    #[must_use]
    pub fn mac(&self) -> [u8; 6] {
        self.mac
    }

    /// Longest frame, without FCS, that goes both ways: of the interface's MTU and what fits into a buffer.
    #[must_use]
    pub fn max_frame(&self) -> usize {
        self.max_frame.min(BUFFER - self.device.prefix)
    }

    /// For people: which way frames come and go.
    #[must_use]
    pub fn manner(&self) -> &'static str {
        match (self.device.lends, self.device.cuts_through) {
            (true, _) => "shared receive buffers, cut-through",
            (false, true) => "posted receive buffers, cut-through",
            (false, false) => "posted receive buffers, no cut-through",
        }
    }

    /// Where the counters will be when the queues are gone.
    #[must_use]
    pub fn last_word(&self) -> Arc<OnceLock<EfviCounters>> {
        Arc::clone(&self.device.last_word)
    }

    /// Makes the queues, on the thread that will poll them.
    #[must_use]
    pub fn attach(self) -> (EfviRx<Device>, EfviTx<Device>) {
        queues(self.device, self.memory, self.receive)
    }
}

/// The nearest size that a ring may have, from 512 on.
fn ring(wanted: u16, most: c_int) -> c_int {
    c_int::from(wanted).max(1).saturating_sub(1).checked_ilog2().map_or(512, |log| 2 << log).clamp(512, most)
}

/// Memory that warming writes to instead of the NIC.
#[repr(align(4096))]
struct Region([u8; sys::SHIM_WARM_BYTES as usize]);

/// The operations of a VI that the loop uses. ef_vi's own macros look them up in the VI each time.
#[derive(Clone, Copy)]
struct Calls {
    poll: unsafe extern "C" fn(*mut sys::ef_vi, *mut sys::ef_event, c_int) -> c_int,
    receive_init: unsafe extern "C" fn(*mut sys::ef_vi, sys::ef_addr, sys::ef_request_id) -> c_int,
    receive_push: unsafe extern "C" fn(*mut sys::ef_vi),
    stamp: unsafe extern "C" fn(*mut sys::ef_vi, *const std::ffi::c_void, *mut sys::ef_precisetime) -> c_int,
    transmit: unsafe extern "C" fn(*mut sys::ef_vi, sys::ef_addr, c_int, sys::ef_request_id) -> c_int,
    cut_through: unsafe extern "C" fn(*mut sys::ef_vi, usize, *const sys::iovec, c_int, u32),
    fallback: unsafe extern "C" fn(*mut sys::ef_vi, sys::ef_addr, usize, sys::ef_request_id) -> c_int,
}

impl Calls {
    fn of(ops: &sys::ef_vi_ops) -> Option<Self> {
        Some(Self {
            poll: ops.eventq_poll?,
            receive_init: ops.receive_init?,
            receive_push: ops.receive_push?,
            stamp: ops.receive_get_timestamp?,
            transmit: ops.transmit?,
            cut_through: ops.transmitv_ctpio?,
            fallback: ops.transmit_ctpio_fallback?,
        })
    }
}

/// A VI, polled by one thread.
pub struct Device {
    calls: Calls,
    vi: NonNull<sys::ef_vi>,
    base: *const u8,
    buffers: usize,
    /// What the NIC calls each page of the memory.
    pages: Box<[u64]>,
    prefix: usize,
    lends: bool,
    stamps: bool,
    cuts_through: bool,
    /// Kept, not made for each poll: clearing them costs more than an empty poll.
    events: [sys::ef_event; EVENTS],
    region: Box<Region>,
    last_word: Arc<OnceLock<EfviCounters>>,
    /// What goes with it, unless the VI is somebody else's.
    _resources: Option<Resources>,
}

/// Given back in this order.
struct Resources {
    _interface: Interface,
    _registration: Registration,
    _domain: Domain,
    _driver: Driver,
}

impl Device {
    fn new(vi: NonNull<sys::ef_vi>, calls: Calls, memory: &Memory, pages: Box<[u64]>) -> Self {
        // SAFETY: a live VI, as the callers of this see to.
        let (prefix, cuts_through) =
            unsafe { (sys::shim_receive_prefix_len(vi.as_ptr()), sys::shim_cuts_through(vi.as_ptr()) != 0) };
        Self {
            calls,
            vi,
            base: memory.as_ptr(),
            buffers: memory.buffers(),
            pages,
            prefix: usize::try_from(prefix).unwrap_or(0),
            lends: false,
            stamps: false,
            cuts_through,
            events: [sys::ef_event::default(); EVENTS],
            region: Box::new(Region([0; sys::SHIM_WARM_BYTES as usize])),
            last_word: Arc::default(),
            _resources: None,
        }
    }

    /// A VI that somebody else has made and will free, which posts and sends buffers of `memory`, whose pages the NIC
    /// knows as `pages`; or, where it `lends`, only sends them. `None` if the VI lacks an operation.
    ///
    /// # Safety
    /// The VI lives, and nobody else uses it, as long as what is returned; the addresses are right.
    #[must_use]
    pub unsafe fn adopt(
        vi: NonNull<sys::ef_vi>,
        memory: &Memory,
        pages: Box<[u64]>,
        lends: bool,
    ) -> Option<Self> {
        // SAFETY: a live VI, says the caller.
        let calls = Calls::of(unsafe { &(*vi.as_ptr()).ops })?;
        Some(Self { lends, ..Self::new(vi, calls, memory, pages) })
    }

    /// When the frame whose prefix, or for a lent one whose first byte, is at `at` arrived.
    #[inline]
    fn stamp(&self, at: *const u8) -> Option<u64> {
        if !self.stamps {
            return None;
        }
        let mut time = sys::ef_precisetime::default();
        // SAFETY: a frame whose event was just polled; fills `time`.
        let rc = unsafe { (self.calls.stamp)(self.vi.as_ptr(), at.cast(), &raw mut time) };
        let set = u32::from(time.tv_flags) & sys::EF_VI_SYNC_FLAG_CLOCK_SET != 0;
        (rc == 0 && set).then(|| time.tv_sec as u64 * 1_000_000_000 + u64::from(time.tv_nsec))
    }

    /// Where buffer `id` begins; `None` if there is none. The ledger judges whether the NIC had it.
    #[inline]
    fn buffer(&self, id: u32) -> Option<*const u8> {
        let at = id as usize;
        (at < self.buffers).then(|| self.base.wrapping_add(at * BUFFER))
    }

    /// Tells what `event` stands for.
    #[inline]
    fn tell(&mut self, event: &sys::ef_event, each: &mut impl FnMut(Event)) {
        // SAFETY: every kind has its type at the same place.
        match unsafe { event.generic.type_() } {
            sys::EF_EVENT_TYPE_RX => {
                // SAFETY: of that type.
                let rx = unsafe { &event.rx };
                let (id, flags) = (rx.rq_id(), rx.flags());
                let stamp = self.buffer(id).and_then(|at| self.stamp(at));
                let (first, more) =
                    (flags & sys::EF_EVENT_FLAG_SOP != 0, flags & sys::EF_EVENT_FLAG_CONT != 0);
                each(Event::Received { id, len: rx.len() as u16, first, more, stamp });
            }
            sys::EF_EVENT_TYPE_RX_REF => {
                // SAFETY: of that type.
                let rx = unsafe { &event.rx_ref };
                let packet = rx.pkt_id();
                // SAFETY: a packet that was just polled and is not released.
                let start = unsafe { sys::efct_vi_rxpkt_get(self.vi.as_ptr(), packet) }.cast::<u8>();
                each(Event::Lent { packet, start, len: rx.len() as u16, stamp: self.stamp(start) });
            }
            sys::EF_EVENT_TYPE_TX => {
                // SAFETY: of that type.
                let cut_through = unsafe { event.tx.flags() } & sys::EF_EVENT_FLAG_CTPIO != 0;
                self.unbundle(event, |id| each(Event::Sent { id, cut_through }));
            }
            _ => self.tell_rare(event, each),
        }
    }

    #[cold]
    #[inline(never)]
    fn tell_rare(&mut self, event: &sys::ef_event, each: &mut impl FnMut(Event)) {
        // SAFETY: every kind has its type at the same place.
        match unsafe { event.generic.type_() } {
            sys::EF_EVENT_TYPE_RX_DISCARD => {
                // SAFETY: of that type.
                let rx = unsafe { &event.rx_discard };
                each(Event::Discarded { id: rx.rq_id(), why: reason(rx.subtype()) });
            }
            sys::EF_EVENT_TYPE_RX_REF_DISCARD => {
                // SAFETY: of that type.
                let rx = unsafe { &event.rx_ref_discard };
                self.release(rx.pkt_id());
                each(Event::LentDiscarded { why: lent_reason(rx.flags()) });
            }
            sys::EF_EVENT_TYPE_RX_MULTI => {
                // Frames that firmware merged into one event, though nobody asked it to.
                // SAFETY: of that type.
                let flags = unsafe { event.rx_multi.flags() };
                let (first, more) =
                    (flags & sys::EF_EVENT_FLAG_SOP != 0, flags & sys::EF_EVENT_FLAG_CONT != 0);
                self.unbundle_received(event, |device, id| {
                    let at = device.buffer(id).filter(|_| first);
                    let len = at.map_or(0, |at| device.length(at));
                    each(Event::Received { id, len, first, more, stamp: at.and_then(|at| device.stamp(at)) });
                });
            }
            sys::EF_EVENT_TYPE_RX_MULTI_DISCARD => {
                // SAFETY: of that type.
                let why = reason(unsafe { event.rx_multi_discard.subtype() });
                self.unbundle_received(event, |_, id| each(Event::Discarded { id, why }));
            }
            sys::EF_EVENT_TYPE_TX_WITH_TIMESTAMP => {
                // SAFETY: of that type.
                let id = unsafe { event.tx_timestamp.rq_id() };
                each(Event::Sent { id, cut_through: false });
            }
            sys::EF_EVENT_TYPE_TX_ERROR => self.unbundle(event, |id| each(Event::NotSent { id })),
            sys::EF_EVENT_TYPE_RX_NO_DESC_TRUNC => each(Event::NoBuffer),
            sys::EF_EVENT_TYPE_OFLOW => each(Event::Overflow),
            sys::EF_EVENT_TYPE_RESET => each(Event::Reset),
            _ => each(Event::Other),
        }
    }

    /// The frames that a transmit event is about.
    #[inline]
    fn unbundle(&mut self, event: &sys::ef_event, mut each: impl FnMut(u32)) {
        let mut ids = [0; sys::EF_VI_TRANSMIT_BATCH as usize];
        // SAFETY: a transmit event of this VI, polled just now; room for as many ids as one may have.
        let count = unsafe {
            sys::ef_vi_transmit_unbundle(self.vi.as_ptr(), std::ptr::from_ref(event), ids.as_mut_ptr())
        };
        ids.iter().take(usize::try_from(count).unwrap_or(0)).for_each(|id| each(*id as u32));
    }

    fn unbundle_received(&mut self, event: &sys::ef_event, mut each: impl FnMut(&Self, u32)) {
        let mut ids = [0; sys::EF_VI_RECEIVE_BATCH as usize];
        // SAFETY: a merged receive event of this VI, polled just now; room for as many ids as one may have.
        let count = unsafe {
            sys::ef_vi_receive_unbundle(self.vi.as_ptr(), std::ptr::from_ref(event), ids.as_mut_ptr())
        };
        ids.iter().take(usize::try_from(count).unwrap_or(0)).for_each(|id| each(self, *id as u32));
    }

    /// Length, with the prefix, of the frame of a merged event: only the prefix knows it.
    fn length(&self, at: *const u8) -> u16 {
        let mut len = 0;
        // SAFETY: a buffer that the NIC wrote, prefix and all; fills `len`.
        let rc = unsafe { sys::ef_vi_receive_get_bytes(self.vi.as_ptr(), at.cast(), &raw mut len) };
        if rc == 0 { len.saturating_add(self.prefix as u16) } else { 0 }
    }
}

/// Why a frame in a buffer of ours was discarded.
fn reason(subtype: u32) -> Discard {
    match subtype {
        sys::EF_EVENT_RX_DISCARD_CSUM_BAD | sys::EF_EVENT_RX_DISCARD_INNER_CSUM_BAD => Discard::Checksum,
        sys::EF_EVENT_RX_DISCARD_CRC_BAD => Discard::Crc,
        sys::EF_EVENT_RX_DISCARD_TRUNC => Discard::Truncated,
        sys::EF_EVENT_RX_DISCARD_MCAST_MISMATCH => Discard::Multicast,
        _ => Discard::Other,
    }
}

/// The same for a buffer of the NIC's, which gives flags.
fn lent_reason(flags: u32) -> Discard {
    if flags & sys::EF_VI_DISCARD_RX_ETH_FCS_ERR != 0 {
        Discard::Crc
    } else if flags & sys::EF_VI_DISCARD_RX_ETH_LEN_ERR != 0 {
        Discard::Truncated
    } else if flags & (sys::EF_VI_DISCARD_RX_L3_CSUM_ERR | sys::EF_VI_DISCARD_RX_L4_CSUM_ERR) != 0 {
        Discard::Checksum
    } else {
        Discard::Other
    }
}

// SAFETY: that is how ef_vi works: a posted buffer is written until its event, a lent one is kept until it is released.
unsafe impl Vi for Device {
    fn dma_address(&self, offset: usize) -> u64 {
        self.pages[offset / PAGE] + (offset % PAGE) as u64
    }

    fn prefix_len(&self) -> usize {
        self.prefix
    }

    #[inline]
    fn poll(&mut self, each: &mut impl FnMut(Event)) {
        // SAFETY: a live VI, ours alone; room for that many events.
        let count = unsafe { (self.calls.poll)(self.vi.as_ptr(), self.events.as_mut_ptr(), EVENTS as c_int) };
        for at in 0..usize::try_from(count).unwrap_or(0).min(EVENTS) {
            let event = self.events[at];
            self.tell(&event, each);
        }
    }

    #[inline]
    fn receive_space(&self) -> usize {
        if self.lends {
            return 0;
        }
        // SAFETY: a live VI.
        let space = unsafe { sys::shim_receive_space(self.vi.as_ptr()) };
        usize::try_from(space).unwrap_or(0)
    }

    #[inline]
    fn receive_init(&mut self, address: u64, id: u32) {
        // SAFETY: a live VI with room in its ring; a registered buffer that nobody else has.
        let _ = unsafe { (self.calls.receive_init)(self.vi.as_ptr(), address, id as c_int) };
    }

    #[inline]
    fn receive_push(&mut self) {
        // SAFETY: a live VI.
        unsafe { (self.calls.receive_push)(self.vi.as_ptr()) };
    }

    #[inline]
    fn release(&mut self, packet: u32) {
        // SAFETY: a packet of this VI that was not released before.
        unsafe { sys::efct_vi_rxpkt_release(self.vi.as_ptr(), packet) };
    }

    #[inline]
    fn transmit_space(&self) -> bool {
        // SAFETY: a live VI.
        unsafe { sys::shim_transmit_space(self.vi.as_ptr()) > 0 }
    }

    #[inline]
    fn cuts_through(&self, _len: usize) -> bool {
        self.cuts_through
    }

    #[inline]
    fn transmit_cut_through(&mut self, frame: &[u8]) {
        let part = sys::iovec { iov_base: frame.as_ptr().cast_mut().cast(), iov_len: frame.len() };
        // SAFETY: a live VI with cut-through; the frame is only read, and before the call returns.
        unsafe { (self.calls.cut_through)(self.vi.as_ptr(), frame.len(), &raw const part, 1, CUT_AFTER) };
    }

    #[inline]
    fn transmit_fallback(&mut self, address: u64, len: u16, id: u32) -> Result<(), Full> {
        // SAFETY: a live VI with cut-through; a registered buffer that stays as it is until its event.
        let rc = unsafe { (self.calls.fallback)(self.vi.as_ptr(), address, usize::from(len), id as c_int) };
        if rc == 0 { Ok(()) } else { Err(Full) }
    }

    #[inline]
    fn transmit(&mut self, address: u64, len: u16, id: u32) -> Result<(), Full> {
        // SAFETY: a live VI; a registered buffer that stays as it is until its event.
        let rc = unsafe { (self.calls.transmit)(self.vi.as_ptr(), address, c_int::from(len), id as c_int) };
        if rc == 0 { Ok(()) } else { Err(Full) }
    }

    fn warm(&mut self, frame: &[u8], address: u64) {
        let region = self.region.0.as_mut_ptr().cast();
        let (at, len) = (frame.as_ptr().cast(), frame.len());
        // SAFETY: a live VI; the region has room for any write of cut-through; nothing is sent, so the buffer is read
        // by nobody.
        unsafe {
            let fallback = c_int::from(!self.lends);
            sys::shim_transmit_warm(self.vi.as_ptr(), region, at, len, address, CUT_AFTER, fallback);
        }
    }

    fn finish(&mut self, counters: &EfviCounters) {
        let _ = self.last_word.set(*counters);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rings_have_sizes_that_nics_have() {
        let sizes =
            [0, 1, 512, 513, 1_024, 2_000, 2_048, 4_096, 4_097, u16::MAX].map(|wanted| ring(wanted, 4_096));
        assert_eq!(sizes, [512, 512, 512, 1_024, 1_024, 2_048, 2_048, 4_096, 4_096, 4_096]);
    }

    /// There is no driver where these tests run; where there is one, the interface is missing.
    #[test]
    fn what_cannot_be_opened_says_why() {
        let config = EfviConfig {
            interface: "no-such-if0".to_owned(),
            rx_descriptors: 512,
            tx_descriptors: 512,
            filters: Vec::new(),
            stamps: false,
        };
        let Err(why) = EfviPort::open(&config) else { panic!("opened") };
        let text = why.to_string();
        assert_eq!(text.lines().count(), 2, "one line, and its remedy: {text}");
    }
}
