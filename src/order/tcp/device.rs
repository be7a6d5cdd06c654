//! What the stack takes for its device: one received packet, and a transmit queue behind a sieve.
//!
//! Every frame that the stack emits really goes out, but for one case: it was told of a hot write, and emits for it what
//! has left already, byte for byte.

use smoltcp::phy::{self, Checksum, Device, DeviceCapabilities, Medium};
use smoltcp::time::Instant;

use super::counters::TcpCounters;
use super::flight::Flight;
use super::head::Head;
use crate::nic::TxQueue;
use crate::order::template::SHORTEST_FRAME;
use crate::wire::{ethernet, ipv4, tcp};

/// Bytes of the longest IPv4 packet.
pub(super) const MTU: usize = 1_500;

/// Everything beside the stack.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) head: Head,
    pub(super) flight: Flight,
    pub(super) counters: TcpCounters,
    /// Local monotonic time of the latest call that knew it, ns.
    pub(super) now: u64,
    /// When the SYN left; a second one makes its answer useless for measuring.
    pub(super) syn_at: Option<u64>,
    /// The hardware address of the next hop is known.
    pub(super) reachable: bool,
    /// The next frame of the stack may be that of the first unsettled one.
    pub(super) settling: bool,
    scratch: Box<[u8; ethernet::HEADER_LEN + ethernet::TAG_LEN + MTU]>,
}

impl Link {
    pub(super) fn new(head: Head) -> Self {
        Self {
            head,
            flight: Flight::new(),
            counters: TcpCounters::default(),
            now: 0,
            syn_at: None,
            reachable: true,
            settling: false,
            scratch: Box::new([0; _]),
        }
    }

    /// The stack has put a packet of `len` bytes into the scratch. False where it has left already.
    fn take_note(&mut self, len: usize) -> bool {
        let Self { head, flight, counters, scratch, .. } = self;
        let end = head.ip_at() + len;
        if let Some(place) = scratch.get_mut(..head.ip_at()) {
            place.copy_from_slice(head.ethernet());
        }
        let frame = scratch.get(..end).unwrap_or_default();
        let data_at = head.ip_at() + ipv4::HEADER_LEN;
        let Ok(segment) = tcp::Segment::new_checked(frame.get(data_at..).unwrap_or_default()) else {
            return true;
        };
        let sequence = segment.sequence();
        if segment.flags() & tcp::SYN != 0 {
            self.syn_at = if self.syn_at.is_none() { Some(self.now) } else { Some(u64::MAX) };
            flight.begin(sequence.wrapping_add(1));
        }
        if segment.payload().is_empty() {
            return true;
        }
        let left = flight.unsettled().map(|(left, _)| left);
        let known = std::mem::take(&mut self.settling) && left == Some(frame);
        counters.retransmitted += u64::from(flight.stack_sent(sequence, segment.payload().len()));
        counters.settled += u64::from(known);
        !known
    }

    /// Sends what the stack has put into the scratch.
    fn transmit<T: TxQueue>(&mut self, len: usize, slot: Option<T::Slot>, tx: &mut T) {
        let frame = self.scratch.get(..self.head.ip_at() + len).unwrap_or_default();
        if send(frame, slot, tx) {
            self.counters.frames += 1;
        } else {
            self.counters.frames_lost += 1;
        }
    }
}

/// Sends one frame, filled up to what Ethernet demands, in `slot` if there is one already.
pub(super) fn send<T: TxQueue>(frame: &[u8], slot: Option<T::Slot>, tx: &mut T) -> bool {
    let Some(mut slot) = slot.or_else(|| tx.reserve()) else { return false };
    let len = frame.len().max(SHORTEST_FRAME);
    let Some(place) = slot.get_mut(..len) else { return false };
    let (bytes, rest) = place.split_at_mut(frame.len());
    bytes.copy_from_slice(frame);
    rest.fill(0);
    // No frame is longer than the MTU and its Ethernet header.
    tx.send(slot, len as u16).is_ok()
}

/// The device of one call of the stack.
pub(super) struct Port<'a, T> {
    pub(super) tx: &'a mut T,
    pub(super) link: &'a mut Link,
    /// An IPv4 packet for the stack.
    pub(super) received: Option<&'a [u8]>,
}

/// A received packet.
pub(super) struct Received<'a>(&'a [u8]);

impl phy::RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(self.0)
    }
}

/// Room for a packet to send.
pub(super) struct Outgoing<'a, T: TxQueue> {
    tx: &'a mut T,
    link: &'a mut Link,
    slot: Option<T::Slot>,
}

impl<T: TxQueue> phy::TxToken for Outgoing<'_, T> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, write: F) -> R {
        let Self { tx, link, slot } = self;
        let at = link.head.ip_at();
        // The stack keeps to the MTU that it was told.
        let done = write(link.scratch.get_mut(at..at + len).unwrap_or_default());
        if link.take_note(len) {
            link.transmit(len, slot, tx);
        }
        done
    }
}

impl<T: TxQueue> Device for Port<'_, T> {
    type RxToken<'t>
        = Received<'t>
    where
        Self: 't;
    type TxToken<'t>
        = Outgoing<'t, T>
    where
        Self: 't;

    fn receive(&mut self, _: Instant) -> Option<(Self::RxToken<'_>, Self::TxToken<'_>)> {
        let packet = self.received.take()?;
        Some((Received(packet), Outgoing { tx: self.tx, link: self.link, slot: None }))
    }

    /// Without a buffer the stack keeps what it has, and tries again.
    fn transmit(&mut self, _: Instant) -> Option<Self::TxToken<'_>> {
        if !self.link.reachable {
            return None;
        }
        // What has left already needs no buffer.
        let slot = if self.link.settling { None } else { Some(self.tx.reserve()?) };
        Some(Outgoing { tx: self.tx, link: self.link, slot })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        capabilities()
    }
}

/// What the stack is told of its device: IPv4 packets, whose checksums were verified before.
fn capabilities() -> DeviceCapabilities {
    let mut capabilities = DeviceCapabilities::default();
    capabilities.medium = Medium::Ip;
    capabilities.max_transmission_unit = MTU;
    capabilities.checksum.ipv4 = Checksum::Tx;
    capabilities.checksum.tcp = Checksum::Tx;
    capabilities
}

/// A device without anything, for making the stack.
pub(super) struct Nothing;

/// A token of [`Nothing`]: there is none.
pub(super) enum None_ {}

impl phy::RxToken for None_ {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, _: F) -> R {
        match self {}
    }
}

impl phy::TxToken for None_ {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, _: usize, _: F) -> R {
        match self {}
    }
}

impl Device for Nothing {
    type RxToken<'t> = None_;
    type TxToken<'t> = None_;

    fn receive(&mut self, _: Instant) -> Option<(None_, None_)> {
        None
    }

    fn transmit(&mut self, _: Instant) -> Option<None_> {
        None
    }

    fn capabilities(&self) -> DeviceCapabilities {
        capabilities()
    }
}
