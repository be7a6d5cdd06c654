//! Sending: the UDP payload of a frame, by `sendto` from the socket bound to the frame's source port.
#![allow(unsafe_code, reason = "sendto on a shared non-blocking socket")]

use std::rc::Rc;

use super::super::TxQueue;
use super::super::pool::{Pool, Slot};
use super::headers::{self, HEADERS};
use super::socket::{self, SOCKADDR_LEN, Socket};

/// What was sent, and what was not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UdpTxCounters {
    /// Datagrams that the kernel took.
    pub sent: u64,
    /// Frames that are not IPv4/UDP, swallowed: the kernel speaks ARP and IGMP itself.
    pub not_udp: u64,
    /// Slots handed back because the socket's send buffer was full.
    pub full: u64,
    /// Slots handed back because no unicast address of the port has the frame's source port.
    pub unbound: u64,
    /// Slots handed back because the kernel refused the datagram (no route, not permitted, too long).
    pub refused: u64,
}

impl UdpTxCounters {
    /// Name and value of each counter, for publishing and printing.
    #[must_use]
    pub fn rows(&self) -> [(&'static str, u64); 5] {
        [
            ("udp_sent", self.sent),
            ("udp_not_udp", self.not_udp),
            ("udp_send_full", self.full),
            ("udp_send_unbound", self.unbound),
            ("udp_send_refused", self.refused),
        ]
    }
}

/// The transmit queue of a [`super::UdpPort`].
pub struct UdpTx {
    /// The unicast sockets only.
    sockets: Box<[Rc<Socket>]>,
    pool: Rc<Pool>,
    counters: UdpTxCounters,
}

impl UdpTx {
    pub(super) fn new(mut sockets: Vec<Rc<Socket>>, max_payload: usize, buffers: usize) -> Self {
        sockets.retain(|socket| !socket.is_multicast());
        // Room for the headers and two VLAN tags.
        let pool = Pool::new(buffers, HEADERS + 8 + max_payload);
        Self { sockets: sockets.into_boxed_slice(), pool, counters: UdpTxCounters::default() }
    }

    /// What was sent so far.
    #[must_use]
    pub fn counters(&self) -> &UdpTxCounters {
        &self.counters
    }
}

impl TxQueue for UdpTx {
    type Slot = Slot;

    fn reserve(&mut self) -> Option<Slot> {
        self.pool.take()
    }

    fn send(&mut self, slot: Slot, len: u16) -> Result<(), Slot> {
        let Some(frame) = slot.get(..usize::from(len)).filter(|frame| !frame.is_empty()) else {
            return Err(slot);
        };
        let Some(datagram) = headers::find_datagram(frame) else {
            self.counters.not_udp += 1;
            return Ok(());
        };
        let Some(from) = self.sockets.iter().find(|s| s.local().port() == datagram.src_port) else {
            self.counters.unbound += 1;
            return Err(slot);
        };
        let payload = &frame[datagram.payload];
        let to = socket::sockaddr(datagram.dst);
        // SAFETY: the kernel reads `payload.len()` bytes of the payload and SOCKADDR_LEN bytes of `to`, both alive.
        let done = unsafe {
            libc::sendto(
                from.raw(),
                payload.as_ptr().cast(),
                payload.len(),
                libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
                (&raw const to).cast(),
                SOCKADDR_LEN,
            )
        };
        if done >= 0 {
            self.counters.sent += 1;
            return Ok(());
        }
        match std::io::Error::last_os_error().raw_os_error() {
            Some(libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM) => self.counters.full += 1,
            _ => self.counters.refused += 1,
        }
        Err(slot)
    }
}
