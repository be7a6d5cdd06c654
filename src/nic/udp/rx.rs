//! Receiving: `recvmmsg` into buffers with head room for the headers that the kernel stripped.
#![allow(unsafe_code, reason = "recvmmsg and its control messages have no safe wrapper")]

use std::net::{Ipv4Addr, SocketAddrV4};
use std::rc::Rc;

use super::super::{Frame, IP_CSUM_GOOD, L4_CSUM_GOOD, MAX_BURST, RxBurst, RxDrops, RxQueue};
use super::headers::{self, HEADERS};
use super::socket::{self, SOCKADDR_LEN, Socket};

/// Offset of the payload in a buffer: a cache line, of which the last [`HEADERS`] bytes take the headers.
const HEAD_ROOM: usize = 64;

/// What was received, and what was not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UdpRxCounters {
    /// Datagrams handed on as frames.
    pub received: u64,
    /// Datagrams longer than `max_payload`, dropped.
    pub truncated: u64,
    /// Datagrams that the kernel dropped because the socket's receive buffer was full (or their checksum bad).
    pub kernel_drops: u64,
    /// Datagrams to a unicast address that came from another sender than [`super::Listen::source`], dropped.
    pub other_source: u64,
    /// `recvmmsg` failed with anything but "nothing there".
    pub receive_errors: u64,
}

impl UdpRxCounters {
    /// Name and value of each counter, for publishing and printing.
    #[must_use]
    pub fn rows(&self) -> [(&'static str, u64); 5] {
        [
            ("udp_received", self.received),
            ("udp_truncated", self.truncated),
            ("udp_kernel_drops", self.kernel_drops),
            ("udp_other_source", self.other_source),
            ("udp_receive_errors", self.receive_errors),
        ]
    }
}

/// Room for the control messages of one datagram: `IP_PKTINFO` and `SO_RXQ_OVFL` take 56 bytes.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; 128]);

/// The socket and what it last said about its drops.
struct Source {
    socket: Rc<Socket>,
    /// Cumulative, 32 bits wide, wraps.
    drops_seen: u32,
}

/// Bytes of one received frame in the arena.
#[derive(Clone, Copy, Default)]
struct Place {
    start: usize,
    len: usize,
}

/// The receive queue of a [`super::UdpPort`].
pub struct UdpRx {
    sources: Box<[Source]>,
    /// The source whose turn it is.
    next: usize,
    /// `MAX_BURST` buffers of `stride` bytes.
    arena: Box<[u8]>,
    stride: usize,
    max_payload: usize,
    iovecs: Box<[libc::iovec; MAX_BURST]>,
    names: Box<[libc::sockaddr_in; MAX_BURST]>,
    controls: Box<[Control; MAX_BURST]>,
    /// Raw pointers in here make the queue `!Send`.
    messages: Box<[libc::mmsghdr; MAX_BURST]>,
    /// The frames of the burst that is out.
    places: [Place; MAX_BURST],
    count: usize,
    counters: UdpRxCounters,
}

impl UdpRx {
    pub(super) fn new(sockets: Vec<Rc<Socket>>, max_payload: usize) -> Self {
        let stride = (HEAD_ROOM + max_payload).next_multiple_of(64);
        let sources = sockets.into_iter().map(|socket| Source { socket, drops_seen: 0 }).collect();
        let nowhere = socket::sockaddr(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0));
        let iovec = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
        // SAFETY: mmsghdr is a C struct of pointers and integers, for which all zeros is a valid value.
        let message: libc::mmsghdr = unsafe { std::mem::zeroed() };
        Self {
            sources,
            next: 0,
            // A non-zero fill: zeroed memory would be mapped lazily.
            arena: vec![0xA5; stride * MAX_BURST].into_boxed_slice(),
            stride,
            max_payload,
            iovecs: Box::new([iovec; MAX_BURST]),
            names: Box::new([nowhere; MAX_BURST]),
            controls: Box::new([Control([0; 128]); MAX_BURST]),
            messages: Box::new([message; MAX_BURST]),
            places: [Place::default(); MAX_BURST],
            count: 0,
            counters: UdpRxCounters::default(),
        }
    }

    /// What was received so far.
    #[must_use]
    pub fn counters(&self) -> &UdpRxCounters {
        &self.counters
    }

    /// The addresses the sockets are bound to, with the ports that the kernel chose.
    pub fn bound(&self) -> impl Iterator<Item = SocketAddrV4> + '_ {
        self.sources.iter().map(|source| source.socket.local())
    }

    /// Receives into the buffers from `first` on; returns how many of them were filled.
    fn receive(&mut self, source: usize, first: usize) -> usize {
        let arena = self.arena.as_mut_ptr();
        for i in first..MAX_BURST {
            self.iovecs[i] = libc::iovec {
                // SAFETY: `i < MAX_BURST`, so the offset lies within the arena of MAX_BURST × stride bytes.
                iov_base: unsafe { arena.add(i * self.stride + HEAD_ROOM) }.cast(),
                iov_len: self.max_payload,
            };
            let header = &mut self.messages[i].msg_hdr;
            header.msg_name = (&raw mut self.names[i]).cast();
            header.msg_namelen = SOCKADDR_LEN;
            header.msg_iov = &raw mut self.iovecs[i];
            header.msg_iovlen = 1;
            header.msg_control = self.controls[i].0.as_mut_ptr().cast();
            header.msg_controllen = size_of::<Control>();
            header.msg_flags = 0;
            self.messages[i].msg_len = 0;
        }
        let wanted = libc::c_uint::try_from(MAX_BURST - first).unwrap_or(0);
        let fd = self.sources[source].socket.raw();
        // SAFETY: `wanted` headers from `first` on were just set up; every pointer in them leads to memory that this
        // queue owns, that is as long as its length field says, and that nothing else borrows now (`&mut self`).
        let got = unsafe {
            let messages = self.messages.as_mut_ptr().add(first);
            libc::recvmmsg(fd, messages, wanted, libc::MSG_DONTWAIT, std::ptr::null_mut())
        };
        match usize::try_from(got) {
            Ok(got) => got.min(MAX_BURST - first),
            Err(_) => {
                let error = std::io::Error::last_os_error();
                if error.kind() != std::io::ErrorKind::WouldBlock {
                    self.counters.receive_errors += 1;
                }
                0
            }
        }
    }

    /// Makes a frame of the datagram in buffer `i`, or counts why not.
    fn accept(&mut self, source: usize, i: usize) {
        let notes = read_control(&self.messages[i].msg_hdr);
        let from = &mut self.sources[source];
        if let Some(drops) = notes.drops {
            self.counters.kernel_drops += u64::from(drops.wrapping_sub(from.drops_seen));
            from.drops_seen = drops;
        }
        let header = &self.messages[i].msg_hdr;
        let len = usize::try_from(self.messages[i].msg_len).unwrap_or(usize::MAX);
        let Ok(wire_len) = u16::try_from(len) else {
            self.counters.truncated += 1;
            return;
        };
        if header.msg_flags & libc::MSG_TRUNC != 0 || len > self.max_payload {
            self.counters.truncated += 1;
            return;
        }
        let sender = socket::from_sockaddr(&self.names[i]);
        if from.socket.only_from().is_some_and(|only| only != *sender.ip()) {
            self.counters.other_source += 1;
            return;
        }
        let local = from.socket.local();
        let to = SocketAddrV4::new(notes.destination.unwrap_or(*local.ip()), local.port());
        let start = i * self.stride + HEAD_ROOM - HEADERS;
        if let Some(head) = self.arena[start..].first_chunk_mut::<HEADERS>() {
            headers::write(head, sender, to, wire_len);
        }
        self.places[self.count] = Place { start, len: HEADERS + len };
        self.count += 1;
        self.counters.received += 1;
    }
}

impl RxQueue for UdpRx {
    type Burst<'q> = UdpBurst<'q>;

    fn poll(&mut self) -> UdpBurst<'_> {
        self.count = 0;
        let mut filled = 0;
        for _ in 0..self.sources.len() {
            let source = self.next;
            self.next = if source + 1 == self.sources.len() { 0 } else { source + 1 };
            let got = self.receive(source, filled);
            for i in filled..filled + got {
                self.accept(source, i);
            }
            filled += got;
            if filled == MAX_BURST {
                break;
            }
        }
        UdpBurst { rx: self }
    }

    fn drops(&self) -> RxDrops {
        RxDrops { segmented: 0, truncated: self.counters.truncated }
    }
}

/// What the control messages of a datagram say.
#[derive(Default)]
struct Notes {
    /// Destination address of the IPv4 header.
    destination: Option<Ipv4Addr>,
    /// Drops of the socket so far.
    drops: Option<u32>,
}

fn read_control(header: &libc::msghdr) -> Notes {
    let mut notes = Notes::default();
    // SAFETY: the kernel filled `msg_control` and set `msg_controllen` to what it wrote; the macros walk within that.
    let mut at = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !at.is_null() {
        // SAFETY: FIRSTHDR and NXTHDR give only pointers to whole headers inside the (8-byte aligned) control buffer.
        let (level, kind, data) = unsafe { ((*at).cmsg_level, (*at).cmsg_type, libc::CMSG_DATA(at)) };
        match (level, kind) {
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                // SAFETY: the kernel writes a whole in_pktinfo for this type; read unaligned to assume nothing more.
                let info = unsafe { data.cast::<libc::in_pktinfo>().read_unaligned() };
                notes.destination = Some(socket::from_in_addr(info.ipi_addr));
            }
            (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) => {
                // SAFETY: the kernel writes a whole u32 for this type; read unaligned to assume nothing more.
                notes.drops = Some(unsafe { data.cast::<u32>().read_unaligned() });
            }
            _ => {}
        }
        // SAFETY: `at` is a header inside this message's control buffer.
        at = unsafe { libc::CMSG_NXTHDR(header, at) };
    }
    notes
}

/// Frames of one poll of a [`UdpRx`].
pub struct UdpBurst<'q> {
    rx: &'q UdpRx,
}

impl RxBurst for UdpBurst<'_> {
    fn len(&self) -> usize {
        self.rx.count
    }

    fn frame(&self, i: usize) -> Frame<'_> {
        assert!(i < self.rx.count, "frame {i} of a burst of {}", self.rx.count);
        let place = self.rx.places[i];
        let bytes = &self.rx.arena[place.start..place.start + place.len];
        Frame { bytes, stamp: 0, flags: IP_CSUM_GOOD | L4_CSUM_GOOD }
    }
}
