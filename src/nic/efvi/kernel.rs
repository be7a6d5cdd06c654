//! What the kernel goes on doing for an interface of which ef_vi takes some frames: it is a member of groups, answers ARP,
//! and knows its neighbours' hardware addresses.
//!
//! Only datagrams that a filter names come to us. IGMP queries and ARP go to the kernel as before, so its own machinery
//! does both, for as long as these sockets are open.
#![allow(unsafe_code, reason = "socket options that std does not offer")]

use std::ffi::CString;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;
use std::{fs, io};

/// A group to be a member of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its address.
    pub group: Ipv4Addr,
    /// The only sender that is wanted; `None` = any.
    pub source: Option<Ipv4Addr>,
    /// The VLAN it is in; `None` = untagged.
    pub vlan: Option<u16>,
}

/// Why the kernel does not do what is needed.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// No interface of the kernel's is in the VLAN.
    #[error(
        "{interface} has no interface for VLAN {vlan}, by which the kernel could join its group\n  \
         make one: ip link add link {interface} name {interface}.{vlan} type vlan id {vlan}; ip link set {interface}.{vlan} up"
    )]
    NoVlan {
        /// The interface that should carry it.
        interface: String,
        /// The VLAN.
        vlan: u16,
    },
    /// A group could not be joined.
    #[error(
        "the kernel cannot join {group} on {interface}: {why}\n  is it up, and has it an address? ip address show {interface}"
    )]
    Join {
        /// The group.
        group: Ipv4Addr,
        /// Where.
        interface: String,
        /// What the kernel said.
        why: io::Error,
    },
    /// The address of the orders is not the kernel's.
    #[error("{address} cannot be had: {why}\n  {}", remedy_of_address(why))]
    Address {
        /// The address.
        address: SocketAddrV4,
        /// What the kernel said.
        why: io::Error,
    },
}

fn remedy_of_address(why: &io::Error) -> &'static str {
    match why.kind() {
        io::ErrorKind::AddrInUse => "another program has the port: change gateway.local_port",
        _ => "it has to be an address of the interface, for which the kernel answers ARP: ip address add",
    }
}

/// Memberships and addresses that the kernel keeps while this lives.
#[derive(Debug, Default)]
pub struct Kept {
    sockets: Vec<UdpSocket>,
}

impl Kept {
    /// Has the kernel join `group` by `interface`. It says so to routers, and answers them.
    ///
    /// # Errors
    /// [`KernelError::NoVlan`], [`KernelError::Join`].
    pub fn join(&mut self, interface: &str, group: &Group) -> Result<(), KernelError> {
        let interface = match group.vlan {
            None => interface.to_owned(),
            Some(vlan) => vlan_interface(&vlans(), interface, vlan)
                .ok_or_else(|| KernelError::NoVlan { interface: interface.to_owned(), vlan })?,
        };
        let socket = join(&interface, group).map_err(|why| KernelError::Join {
            group: group.group,
            interface,
            why,
        })?;
        self.sockets.push(socket);
        Ok(())
    }

    /// Takes a UDP port of the kernel's, so that nobody else does, and sees that the address is one of this machine.
    ///
    /// # Errors
    /// [`KernelError::Address`].
    pub fn take(&mut self, address: SocketAddrV4) -> Result<(), KernelError> {
        let socket = UdpSocket::bind(address).map_err(|why| KernelError::Address { address, why })?;
        self.sockets.push(socket);
        Ok(())
    }
}

fn join(interface: &str, group: &Group) -> io::Result<UdpSocket> {
    // Bound to no port of the group's: it receives nothing.
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    let name = CString::new(interface)?;
    // SAFETY: a terminated name.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    if index == 0 {
        return Err(io::Error::last_os_error());
    }
    let (what, len) = (group_request(index, group), size_of::<GroupRequest>());
    let (option, len) = match group.source {
        Some(_) => (MCAST_JOIN_SOURCE_GROUP, len),
        // The same, without its last part.
        None => (MCAST_JOIN_GROUP, len - size_of::<libc::sockaddr_storage>()),
    };
    // SAFETY: the kernel reads `len` bytes of the request, which has at least so many.
    let rc = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IP,
            option,
            (&raw const what).cast(),
            len as libc::socklen_t,
        )
    };
    if rc == 0 { Ok(socket) } else { Err(io::Error::last_os_error()) }
}

/// Of Linux's `in.h`, after RFC 3678.
const MCAST_JOIN_GROUP: i32 = 42;
const MCAST_JOIN_SOURCE_GROUP: i32 = 46;

/// `struct group_source_req`, of which `struct group_req` is the beginning.
#[repr(C)]
struct GroupRequest {
    interface: u32,
    group: libc::sockaddr_storage,
    source: libc::sockaddr_storage,
}

fn group_request(interface: u32, group: &Group) -> GroupRequest {
    GroupRequest {
        interface,
        group: storage(group.group),
        source: storage(group.source.unwrap_or(Ipv4Addr::UNSPECIFIED)),
    }
}

fn storage(ip: Ipv4Addr) -> libc::sockaddr_storage {
    // SAFETY: plain numbers; zeros are an address of no family.
    let mut storage: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
    let name = libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: 0,
        sin_addr: libc::in_addr { s_addr: u32::from(ip).to_be() },
        sin_zero: [0; 8],
    };
    // SAFETY: a storage has room, and alignment, for any address.
    unsafe { (&raw mut storage).cast::<libc::sockaddr_in>().write(name) };
    storage
}

/// Hardware address of a neighbour of `interface`, or of the interface in `vlan` on it, as far as the kernel knows it.
#[must_use]
pub fn neighbour(interface: &str, vlan: Option<u16>, ip: Ipv4Addr) -> Option<[u8; 6]> {
    let interface = match vlan {
        None => interface.to_owned(),
        Some(vlan) => vlan_interface(&vlans(), interface, vlan)?,
    };
    find_neighbour(&fs::read_to_string("/proc/net/arp").unwrap_or_default(), &interface, ip)
}

/// In the kernel's table: address, type, flags, hardware address, mask, interface.
fn find_neighbour(table: &str, interface: &str, ip: Ipv4Addr) -> Option<[u8; 6]> {
    /// The neighbour has answered.
    const COMPLETE: u32 = 2;
    table.lines().find_map(|line| {
        let [address, _, flags, mac, _, device] =
            line.split_whitespace().collect::<Vec<_>>().try_into().ok()?;
        let flags = u32::from_str_radix(flags.strip_prefix("0x")?, 16).ok()?;
        let found = address.parse() == Ok(ip) && device == interface && flags & COMPLETE != 0;
        found.then(|| parse_mac(mac)).flatten()
    })
}

fn parse_mac(text: &str) -> Option<[u8; 6]> {
    let bytes: Vec<u8> =
        text.split(':').map(|part| u8::from_str_radix(part, 16)).collect::<Result<_, _>>().ok()?;
    bytes.try_into().ok()
}

fn vlans() -> String {
    // Not there where the kernel knows no VLANs.
    fs::read_to_string("/proc/net/vlan/config").unwrap_or_default()
}

/// In the kernel's table: name, VLAN, interface that carries it.
fn vlan_interface(table: &str, interface: &str, vlan: u16) -> Option<String> {
    table.lines().find_map(|line| {
        let [name, id, on] = line.split('|').map(str::trim).collect::<Vec<_>>().try_into().ok()?;
        (id.parse() == Ok(vlan) && on == interface).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vlans_are_found_by_number_and_carrier() {
        let table = "VLAN Dev name\t | VLAN ID\nName-Type: VLAN_NAME_TYPE_RAW_PLUS_VID_NO_PAD\n\
                     eth0.101       | 101  | eth0\nfeedb          | 102  | eth0\neth1.102       | 102  | eth1\n";
        assert_eq!(vlan_interface(table, "eth0", 102).as_deref(), Some("feedb"));
        assert_eq!(vlan_interface(table, "eth1", 102).as_deref(), Some("eth1.102"));
        assert_eq!(vlan_interface(table, "eth1", 101), None);
        assert_eq!(vlan_interface("", "eth0", 101), None);
    }

    #[test]
    fn neighbours_count_once_they_answered() {
        let table = "IP address       HW type     Flags       HW address            Mask     Device\n\
                     10.0.0.1         0x1         0x2         02:00:00:00:00:01     *        eth0\n\
                     10.0.0.2         0x1         0x0         00:00:00:00:00:00     *        eth0\n\
                     10.0.0.3         0x1         0x6         02:00:00:00:00:03     *        eth1\n";
        let find = |interface, last| find_neighbour(table, interface, Ipv4Addr::new(10, 0, 0, last));
        assert_eq!(find("eth0", 1), Some([2, 0, 0, 0, 0, 1]));
        assert_eq!(find("eth0", 2), None);
        assert_eq!(find("eth0", 3), None);
        assert_eq!(find("eth1", 3), Some([2, 0, 0, 0, 0, 3]));
        assert_eq!(find_neighbour("rubbish\n\n1 2 3 4 5 6", "6", Ipv4Addr::LOCALHOST), None);
    }

    /// The kernel's own table of memberships; addresses stand there as numbers in memory order.
    fn is_member(group: Ipv4Addr) -> bool {
        let number = format!("{:08X}", u32::from_ne_bytes(group.octets()));
        fs::read_to_string("/proc/net/igmp").unwrap().contains(&number)
    }

    #[test]
    fn the_kernel_is_a_member_while_it_is_kept() {
        let any = Group { group: Ipv4Addr::new(239, 77, 1, 1), source: None, vlan: None };
        let only =
            Group { source: Some(Ipv4Addr::new(10, 9, 9, 9)), group: Ipv4Addr::new(239, 77, 1, 2), ..any };
        let mut kept = Kept::default();
        for group in [any, only] {
            assert!(!is_member(group.group));
            kept.join("lo", &group).unwrap();
            assert!(is_member(group.group));
        }
        drop(kept);
        assert!(!is_member(any.group) && !is_member(only.group));
    }

    #[test]
    fn what_the_kernel_does_not_do_is_said_with_its_remedy() {
        let mut kept = Kept::default();
        let group = Group { group: Ipv4Addr::new(239, 77, 1, 3), source: None, vlan: Some(4_000) };
        let why = kept.join("lo", &group).unwrap_err().to_string();
        assert!(why.contains("ip link add link lo name lo.4000 type vlan id 4000"), "{why}");
        let why = kept.join("no-such-if0", &Group { vlan: None, ..group }).unwrap_err().to_string();
        assert!(why.contains("239.77.1.3 on no-such-if0"), "{why}");
        let foreign = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 77), 31_000);
        let why = kept.take(foreign).unwrap_err().to_string();
        assert!(why.contains("ip address add"), "{why}");
        let mine = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let taken = SocketAddrV4::new(Ipv4Addr::LOCALHOST, mine.local_addr().unwrap().port());
        assert!(kept.take(taken).unwrap_err().to_string().contains("gateway.local_port"));
    }
}
