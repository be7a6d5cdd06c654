//! A raw socket on a kernel's interface: the other side of a port under test, frame by frame.
#![allow(unsafe_code, reason = "packet sockets have no safe interface in std")]

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// Of linux/if_packet.h: do not show what this machine sends by the interface.
const PACKET_IGNORE_OUTGOING: libc::c_int = 23;

pub(crate) struct Raw(OwnedFd);

impl Raw {
    pub(crate) fn open(interface: &str) -> Self {
        let all = (libc::ETH_P_ALL as u16).to_be();
        // SAFETY: no memory is involved.
        let fd = unsafe {
            libc::socket(
                libc::AF_PACKET,
                libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK,
                i32::from(all),
            )
        };
        assert!(fd >= 0, "a packet socket: {}", io::Error::last_os_error());
        // SAFETY: just opened.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let name = CString::new(interface).expect("a name of an interface");
        // SAFETY: a terminated string.
        let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
        assert!(index > 0, "no interface {interface}");
        // SAFETY: a plain structure.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = all;
        address.sll_ifindex = index as i32;
        let len = size_of_val(&address) as u32;
        // SAFETY: the structure and its length.
        let rc = unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), len) };
        assert_eq!(rc, 0, "bind: {}", io::Error::last_os_error());
        let set = |level, option, value: i32| {
            // SAFETY: an integer and its length.
            let rc = unsafe { libc::setsockopt(fd.as_raw_fd(), level, option, (&raw const value).cast(), 4) };
            assert_eq!(rc, 0, "socket option {option}: {}", io::Error::last_os_error());
        };
        set(libc::SOL_PACKET, PACKET_IGNORE_OUTGOING, 1);
        set(libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, 8 << 20);
        Self(fd)
    }

    pub(crate) fn send(&self, frame: &[u8]) {
        loop {
            // SAFETY: a slice and its length.
            let sent = unsafe { libc::send(self.0.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0) };
            if sent == frame.len() as isize {
                return;
            }
            let why = io::Error::last_os_error();
            assert!(
                matches!(why.raw_os_error(), Some(libc::EAGAIN | libc::ENOBUFS)),
                "sending {} bytes: {why}",
                frame.len()
            );
            std::thread::yield_now();
        }
    }

    /// The next frame that came, if one has.
    pub(crate) fn receive(&self) -> Option<Vec<u8>> {
        let mut bytes = vec![0; 65_536];
        // SAFETY: a buffer and its length.
        let got = unsafe { libc::recv(self.0.as_raw_fd(), bytes.as_mut_ptr().cast(), bytes.len(), 0) };
        bytes.truncate(usize::try_from(got).ok()?);
        Some(bytes)
    }
}
