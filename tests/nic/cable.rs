//! The host's end of a NIC's cable, with a station on it: a queue pair of the seam for the exchange, the exchange's answers
//! to ARP, and a memory of every frame that came. Built and read by hand, not with wirebook's code: it judges that code.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use wirebook::nic::{Frame, MAX_BURST, RxBurst, RxQueue, TxQueue};

/// The handler, the exchange's gateway, and a host that neither knows.
pub(crate) const US: ([u8; 6], Ipv4Addr) = ([2, 0, 0, 0, 0, 2], Ipv4Addr::new(10, 0, 0, 2));
pub(crate) const GATEWAY: ([u8; 6], Ipv4Addr) = ([2, 0, 0, 0, 0, 1], Ipv4Addr::new(10, 0, 0, 1));
pub(crate) const STRANGER: ([u8; 6], Ipv4Addr) = ([2, 0, 0, 0, 0, 0x66], Ipv4Addr::new(10, 0, 0, 0x66));

/// The hardware address of line B's group.
const LINE_B: [u8; 6] = [1, 0, 0x5E, 1, 1, 2];

/// How long the guest may take no frame, where none may be lost.
const PATIENCE: Duration = Duration::from_secs(60);

/// The cable, or one for each line of the feed. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Cable(Rc<Ends>);

/// The end of one.
struct Plug {
    rx: UnixDatagram,
    tx: UnixDatagram,
}

struct Ends {
    plugs: Vec<Plug>,
    /// Frames from the guest, as they came.
    heard: RefCell<Vec<Vec<u8>>>,
    /// What the guest does not take at once is lost, as a switch would lose it.
    lossy: Cell<bool>,
    lost: Cell<u64>,
    sent: Cell<u64>,
}

impl Cable {
    /// For each NIC, in order: the socket that its frames come to, and where frames for it go. What is sent to line B's
    /// group goes to the last NIC, everything else to the first.
    pub(crate) fn new(nics: Vec<(UnixDatagram, PathBuf)>) -> Self {
        let plug = |(rx, guest): (UnixDatagram, PathBuf)| {
            let tx = UnixDatagram::unbound().unwrap();
            tx.connect(guest).unwrap();
            for socket in [&rx, &tx] {
                socket.set_nonblocking(true).unwrap();
            }
            Plug { rx, tx }
        };
        Self(Rc::new(Ends {
            plugs: nics.into_iter().map(plug).collect(),
            heard: RefCell::default(),
            lossy: Cell::new(false),
            lost: Cell::new(0),
            sent: Cell::new(0),
        }))
    }

    /// From now on frames are lost, or never.
    pub(crate) fn lossy(&self, lossy: bool) {
        self.0.lossy.set(lossy);
    }

    /// Frames that the guest did not take, and that it took.
    pub(crate) fn lost_and_sent(&self) -> (u64, u64) {
        (self.0.lost.get(), self.0.sent.get())
    }

    /// Forgets what was heard.
    pub(crate) fn forget(&self) {
        self.listen();
        self.0.heard.borrow_mut().clear();
    }

    /// Every frame that was heard since.
    pub(crate) fn heard(&self) -> Vec<Vec<u8>> {
        self.listen();
        self.0.heard.borrow().clone()
    }

    /// Takes what has come, without an exchange.
    pub(crate) fn listen(&self) {
        while self.receive().is_some() {}
    }

    fn receive(&self) -> Option<Vec<u8>> {
        let mut frame = vec![0; 1 << 14];
        let len = self.0.plugs.iter().find_map(|plug| match plug.rx.recv(&mut frame) {
            Ok(len) => Some(len),
            Err(why) if why.kind() == ErrorKind::WouldBlock => None,
            Err(why) => panic!("the cable: {why}"),
        })?;
        frame.truncate(len);
        self.0.heard.borrow_mut().push(frame.clone());
        if let Some(answer) = answer(&frame) {
            self.put(&answer);
        }
        Some(frame)
    }

    /// Puts a frame on the cable that it belongs to.
    pub(crate) fn put(&self, frame: &[u8]) {
        let at = if frame.starts_with(&LINE_B) { self.0.plugs.len() - 1 } else { 0 };
        self.put_at(at, frame);
    }

    /// Puts a frame on every cable.
    pub(crate) fn put_everywhere(&self, frame: &[u8]) {
        (0..self.0.plugs.len()).for_each(|at| self.put_at(at, frame));
    }

    fn put_at(&self, at: usize, frame: &[u8]) {
        let began = Instant::now();
        loop {
            match self.0.plugs[at].tx.send(frame) {
                Ok(_) => return self.0.sent.set(self.0.sent.get() + 1),
                Err(why) if why.kind() == ErrorKind::WouldBlock && self.0.lossy.get() => {
                    return self.0.lost.set(self.0.lost.get() + 1);
                }
                Err(why) => {
                    let patient = why.kind() == ErrorKind::WouldBlock && began.elapsed() < PATIENCE;
                    assert!(patient, "the guest takes no frames ({why})");
                    std::thread::sleep(Duration::from_micros(200));
                }
            }
        }
    }
}

/// The gateway answers whoever asks for it.
fn answer(frame: &[u8]) -> Option<Vec<u8>> {
    let asked = Arp::read(frame)?;
    (asked.operation == 1 && asked.target_ip == GATEWAY.1).then(|| {
        Arp { operation: 2, sender: GATEWAY, target_mac: asked.sender.0, target_ip: asked.sender.1 }.frame()
    })
}

/// An ARP packet for IPv4 over Ethernet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arp {
    /// 1 asks, 2 answers.
    pub(crate) operation: u16,
    pub(crate) sender: ([u8; 6], Ipv4Addr),
    pub(crate) target_mac: [u8; 6],
    pub(crate) target_ip: Ipv4Addr,
}

impl Arp {
    /// Reads an untagged frame.
    pub(crate) fn read(frame: &[u8]) -> Option<Self> {
        let packet: [u8; 28] = frame.get(14..42)?.try_into().ok()?;
        if frame[12..14] != [8, 6] || packet[..6] != [0, 1, 8, 0, 6, 4] {
            return None;
        }
        let mac = |at: usize| packet[at..at + 6].try_into().unwrap();
        let ip = |at: usize| Ipv4Addr::from(<[u8; 4]>::try_from(&packet[at..at + 4]).unwrap());
        Some(Self {
            operation: u16::from_be_bytes([packet[6], packet[7]]),
            sender: (mac(8), ip(14)),
            target_mac: mac(18),
            target_ip: ip(24),
        })
    }

    /// To whom it concerns: the target, or everybody where it is asked for.
    pub(crate) fn frame(&self) -> Vec<u8> {
        let to = if self.operation == 1 { [0xFF; 6] } else { self.target_mac };
        let mut frame = [&to[..], &self.sender.0, &[8, 6, 0, 1, 8, 0, 6, 4]].concat();
        frame.extend(self.operation.to_be_bytes());
        for (mac, ip) in [self.sender, (self.target_mac, self.target_ip)] {
            frame.extend(mac);
            frame.extend(ip.octets());
        }
        frame.resize(60, 0);
        frame
    }
}

/// An IGMP message as it stands in a frame of 8-byte Ethernet addresses, IPv4 and a router-alert option.
pub(crate) fn igmp(frame: &[u8]) -> Option<&[u8]> {
    let packet = frame.get(14..)?;
    let header = usize::from(packet.first()? & 0x0F) * 4;
    let total = usize::from(u16::from_be_bytes([*packet.get(2)?, *packet.get(3)?]));
    (frame[12..14] == [8, 0] && packet.get(9) == Some(&2)).then(|| packet.get(header..total))?
}

/// The groups that version-3 reports among `frames` name in records of `kind`: 2 and 4 mean that they are wanted, 3 and 1
/// with no sources that they are not. Checksums must be right, and routers be alerted.
pub(crate) fn reported(frames: &[Vec<u8>], kinds: [u8; 2]) -> BTreeSet<Ipv4Addr> {
    let mut groups = BTreeSet::new();
    for frame in frames {
        let Some(message) = igmp(frame).filter(|message| message[0] == 0x22) else { continue };
        assert_eq!(sum(message), 0xFFFF, "checksum of {frame:02x?}");
        assert_eq!(frame[..6], [1, 0, 0x5E, 0, 0, 22], "{frame:02x?}");
        assert_eq!((frame[14], frame[22], &frame[34..36]), (0x46, 1, &[0x94, 4][..]), "{frame:02x?}");
        let mut rest = &message[8..];
        for _ in 0..u16::from_be_bytes([message[6], message[7]]) {
            if kinds.contains(&rest[0]) {
                groups.insert(Ipv4Addr::from(<[u8; 4]>::try_from(&rest[4..8]).unwrap()));
            }
            rest = &rest[8 + 4 * usize::from(u16::from_be_bytes([rest[2], rest[3]]))..];
        }
    }
    groups
}

/// A general query of version 3 that is to be answered within half a second.
pub(crate) fn general_query() -> Vec<u8> {
    let mut message = [0x11, 5, 0, 0, 0, 0, 0, 0, 2, 60, 0, 0];
    let check = !sum(&message);
    message[2..4].copy_from_slice(&check.to_be_bytes());
    let mut ip = vec![0x46, 0xC0, 0, 36, 0, 0, 0x40, 0, 1, 2, 0, 0];
    ip.extend(GATEWAY.1.octets());
    ip.extend([224, 0, 0, 1, 0x94, 4, 0, 0]);
    let check = !sum(&ip);
    ip[10..12].copy_from_slice(&check.to_be_bytes());
    let mut frame = [&[1, 0, 0x5E, 0, 0, 1][..], &GATEWAY.0, &[8, 0], &ip, &message].concat();
    frame.resize(60, 0);
    frame
}

/// The sum that checksums are made of; all ones over what is whole.
fn sum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let mut sum: u32 = words.sum();
    while sum > 0xFFFF {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    u16::try_from(sum).unwrap()
}

/// What one poll took from the cable.
pub(crate) struct Heard(Vec<Vec<u8>>);

impl RxBurst for Heard {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn frame(&self, i: usize) -> Frame<'_> {
        Frame { bytes: &self.0[i], stamp: 0, flags: 0 }
    }
}

impl RxQueue for Cable {
    type Burst<'q> = Heard;

    fn poll(&mut self) -> Heard {
        Heard((0..MAX_BURST).map_while(|_| self.receive()).collect())
    }
}

impl TxQueue for Cable {
    type Slot = Vec<u8>;

    fn reserve(&mut self) -> Option<Vec<u8>> {
        Some(vec![0; 1 << 14])
    }

    fn send(&mut self, slot: Vec<u8>, len: u16) -> Result<(), Vec<u8>> {
        self.put(&slot[..usize::from(len)]);
        Ok(())
    }
}
