//! A network of its own with one interface, the loopback, which has the addresses of both sides. Sockets of the test's own
//! peers are opened in there by threads that have entered it.
#![allow(
    unsafe_code,
    reason = "a thread enters a network namespace by a system call that std does not offer"
)]

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::AsRawFd as _;
use std::thread;

use crate::place::Namespace;
use crate::programs::must;

/// The exchange's side, and that of all hostile peers.
pub(super) const VENUE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
/// The handler's side.
pub(super) const HANDLER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
/// Lines A and B.
pub(super) const GROUPS: [SocketAddrV4; 2] = [
    SocketAddrV4::new(Ipv4Addr::new(239, 1, 1, 1), 26_400),
    SocketAddrV4::new(Ipv4Addr::new(239, 1, 1, 2), 26_400),
];

/// The network; it is gone when this is dropped.
pub(super) struct Network(pub(super) Namespace);

impl Network {
    pub(super) fn new() -> Self {
        let space = Namespace::new();
        for address in [VENUE, HANDLER] {
            must(space.run("ip").args(["address", "add", &format!("{address}/24"), "dev", "lo"]));
        }
        Self(space)
    }

    /// What `make` makes, in this network: a socket stays where it was opened.
    pub(super) fn inside<T: Send>(&self, make: impl FnOnce() -> T + Send) -> T {
        let place = File::open(format!("/proc/{}/ns/net", self.0.pid())).unwrap();
        thread::scope(|scope| {
            let made = scope.spawn(|| {
                // SAFETY: `place` is open; the call concerns this thread only, which ends soon.
                let entered = unsafe { libc::setns(place.as_raw_fd(), libc::CLONE_NEWNET) };
                assert_eq!(entered, 0, "{}", std::io::Error::last_os_error());
                make()
            });
            made.join().unwrap()
        })
    }
}
