//! One kernel UDP socket: the system calls of this backend that are made before the loop starts.
#![allow(unsafe_code, reason = "socket options and non-blocking sockets beyond what std offers")]

use std::io;
use std::mem::size_of;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use libc::{c_int, c_void, socklen_t};

use super::Granted;

/// A bound, non-blocking IPv4 UDP socket.
#[derive(Debug)]
pub(super) struct Socket {
    fd: OwnedFd,
    local: SocketAddrV4,
    multicast: bool,
    only_from: Option<Ipv4Addr>,
}

impl Socket {
    /// Binds to `address`; only datagrams of `only_from` are wanted, which the receiver sees to. With `multicast` the port may be shared with other receivers of the groups, and only
    /// groups that this very socket joined are delivered to it.
    pub(super) fn open(
        address: SocketAddrV4,
        multicast: bool,
        only_from: Option<Ipv4Addr>,
    ) -> io::Result<Self> {
        let kind = libc::SOCK_DGRAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        // SAFETY: plain system call; the result is checked before use.
        let raw = unsafe { libc::socket(libc::AF_INET, kind, 0) };
        if raw < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `raw` is a descriptor that was just opened and that nobody else owns.
        let fd = unsafe { OwnedFd::from_raw_fd(raw) };
        let mut socket = Self { fd, local: address, multicast, only_from };
        if multicast {
            socket.set(libc::SOL_SOCKET, libc::SO_REUSEADDR, &1_i32)?;
            socket.set(libc::IPPROTO_IP, libc::IP_MULTICAST_ALL, &0_i32)?;
        }
        let name = sockaddr(address);
        // SAFETY: `name` is a valid sockaddr_in and the length is its size.
        let bound = unsafe { libc::bind(socket.raw(), (&raw const name).cast(), SOCKADDR_LEN) };
        if bound != 0 {
            return Err(io::Error::last_os_error());
        }
        socket.local = socket.name()?;
        Ok(socket)
    }

    pub(super) fn raw(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// The address it is bound to, with the port that the kernel chose if none was given.
    pub(super) fn local(&self) -> SocketAddrV4 {
        self.local
    }

    pub(super) fn is_multicast(&self) -> bool {
        self.multicast
    }

    /// The only sender that is wanted; `None` = any.
    pub(super) fn only_from(&self) -> Option<Ipv4Addr> {
        self.only_from
    }

    /// Joins `group` on the interface that has the address `interface`.
    pub(super) fn join(
        &self,
        group: Ipv4Addr,
        source: Option<Ipv4Addr>,
        interface: Ipv4Addr,
    ) -> io::Result<()> {
        match source {
            None => {
                let request = libc::ip_mreqn {
                    imr_multiaddr: in_addr(group),
                    imr_address: in_addr(interface),
                    imr_ifindex: 0,
                };
                self.set(libc::IPPROTO_IP, libc::IP_ADD_MEMBERSHIP, &request)
            }
            Some(source) => {
                let request = libc::ip_mreq_source {
                    imr_multiaddr: in_addr(group),
                    imr_interface: in_addr(interface),
                    imr_sourceaddr: in_addr(source),
                };
                self.set(libc::IPPROTO_IP, libc::IP_ADD_SOURCE_MEMBERSHIP, &request)
            }
        }
    }

    /// Sends to multicast groups through the interface that has the address `interface`.
    pub(super) fn send_multicast_by(&self, interface: Ipv4Addr) -> io::Result<()> {
        if interface.is_unspecified() {
            return Ok(());
        }
        let request = libc::ip_mreqn {
            imr_multiaddr: in_addr(Ipv4Addr::UNSPECIFIED),
            imr_address: in_addr(interface),
            imr_ifindex: 0,
        };
        self.set(libc::IPPROTO_IP, libc::IP_MULTICAST_IF, &request)
    }

    /// Switches on what receiving needs and asks for buffers; tells what was granted.
    pub(super) fn tune(&self, receive_buffer: usize, busy_poll_us: u32) -> io::Result<Granted> {
        self.set(libc::IPPROTO_IP, libc::IP_PKTINFO, &1_i32)?;
        self.set(libc::SOL_SOCKET, libc::SO_RXQ_OVFL, &1_i32)?;
        let wanted = c_int::try_from(receive_buffer).unwrap_or(c_int::MAX / 2).min(c_int::MAX / 2);
        // With CAP_NET_ADMIN beyond net.core.rmem_max, otherwise up to it.
        if self.set(libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, &wanted).is_err() {
            self.set(libc::SOL_SOCKET, libc::SO_RCVBUF, &wanted)?;
        }
        // The kernel doubles the request to cover its own bookkeeping, and reports the doubled figure.
        let receive_buffer = usize::try_from(self.get(libc::SOL_SOCKET, libc::SO_RCVBUF)?).unwrap_or(0);
        let receive_buffer_in_full = receive_buffer / 2 >= usize::try_from(wanted).unwrap_or(0);
        let busy_poll = busy_poll_us > 0 && {
            let micros = c_int::try_from(busy_poll_us).unwrap_or(c_int::MAX);
            self.set(libc::SOL_SOCKET, libc::SO_BUSY_POLL, &micros).is_ok()
        };
        Ok(Granted { bound: self.local, receive_buffer, receive_buffer_in_full, busy_poll })
    }

    /// Sets an option whose value is a C integer or struct.
    fn set<T: Copy>(&self, level: c_int, option: c_int, value: &T) -> io::Result<()> {
        let len = socklen_t::try_from(size_of::<T>()).unwrap_or(0);
        // SAFETY: the kernel reads `len` bytes at `value`, which is a live T of that size without padding.
        let done = unsafe {
            libc::setsockopt(self.raw(), level, option, std::ptr::from_ref(value).cast::<c_void>(), len)
        };
        if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    fn get(&self, level: c_int, option: c_int) -> io::Result<c_int> {
        let mut value: c_int = 0;
        let mut len = socklen_t::try_from(size_of::<c_int>()).unwrap_or(0);
        // SAFETY: the kernel writes at most `len` bytes to `value`, which has that size.
        let done = unsafe {
            libc::getsockopt(self.raw(), level, option, (&raw mut value).cast::<c_void>(), &raw mut len)
        };
        if done == 0 { Ok(value) } else { Err(io::Error::last_os_error()) }
    }

    fn name(&self) -> io::Result<SocketAddrV4> {
        let mut name = sockaddr(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0));
        let mut len = SOCKADDR_LEN;
        // SAFETY: the kernel writes at most `len` bytes to `name`, which has that size.
        let done = unsafe { libc::getsockname(self.raw(), (&raw mut name).cast(), &raw mut len) };
        if done == 0 { Ok(from_sockaddr(&name)) } else { Err(io::Error::last_os_error()) }
    }
}

/// Size of an IPv4 socket address.
pub(super) const SOCKADDR_LEN: socklen_t = size_of::<libc::sockaddr_in>() as socklen_t;

/// The C form of an address.
pub(super) fn sockaddr(address: SocketAddrV4) -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: address.port().to_be(),
        sin_addr: in_addr(*address.ip()),
        sin_zero: [0; 8],
    }
}

/// Back from the C form.
pub(super) fn from_sockaddr(name: &libc::sockaddr_in) -> SocketAddrV4 {
    SocketAddrV4::new(from_in_addr(name.sin_addr), u16::from_be(name.sin_port))
}

/// Back from the C form.
pub(super) fn from_in_addr(address: libc::in_addr) -> Ipv4Addr {
    Ipv4Addr::from(u32::from_be(address.s_addr))
}

fn in_addr(ip: Ipv4Addr) -> libc::in_addr {
    libc::in_addr { s_addr: u32::from(ip).to_be() }
}
