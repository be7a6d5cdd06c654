//! Lines A and B as multicast out of one interface.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};

use super::SocketError;
use crate::lines::Line;

/// A socket for each line. Sending waits while the interface is full: what the exchange says it loses is lost on its
/// lines, and nowhere else.
#[derive(Debug)]
pub struct Lines {
    sockets: [(UdpSocket, SocketAddrV4); 2],
    failed: Option<(SocketAddrV4, io::Error)>,
}

impl Lines {
    /// Sends to the `groups` of A and B out of the interface that has the address `interface`, one hop far.
    ///
    /// # Errors
    /// [`SocketError`]: the address is not this machine's.
    pub fn new(interface: Ipv4Addr, groups: [SocketAddrV4; 2]) -> Result<Self, SocketError> {
        let open = |group| {
            // Bound to the interface's own address: Linux then sends multicast out of that interface.
            let socket = UdpSocket::bind((interface, 0)).map_err(SocketError::new(format!(
                "binding to {interface} (is that an address of this machine?)"
            )))?;
            socket.set_multicast_ttl_v4(1).map_err(SocketError::new("limiting multicast to one hop"))?;
            Ok((socket, group))
        };
        let [a, b] = groups;
        Ok(Self { sockets: [open(a)?, open(b)?], failed: None })
    }

    /// Sends one packet. What goes wrong is kept for [`Lines::check`].
    pub fn send(&mut self, line: Line, payload: &[u8]) {
        let [a, b] = &self.sockets;
        let (socket, group) = if line == Line::A { a } else { b };
        if let Err(error) = socket.send_to(payload, *group) {
            self.failed.get_or_insert((*group, error));
        }
    }

    /// What went wrong first since the last call.
    ///
    /// # Errors
    /// [`SocketError`]: the interface or the route is gone.
    pub fn check(&mut self) -> Result<(), SocketError> {
        match self.failed.take() {
            None => Ok(()),
            Some((group, error)) => Err(SocketError::new(format!("sending to {group}"))(error)),
        }
    }
}
