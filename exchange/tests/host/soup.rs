//! A client of the venue's TCP services that keeps all it gets.

use exchange::host::{ConnId, Output};

/// What a client got.
#[derive(Default)]
pub(super) struct Client {
    pub(super) bytes: Vec<u8>,
    pub(super) closed: bool,
}

impl Client {
    /// A login that asks for what comes from `sequence` on, in whatever session there is.
    pub(super) fn login(sequence: u64) -> Vec<u8> {
        let mut packet = vec![0, 47, b'L'];
        packet.extend_from_slice(b"readersecret              ");
        packet.extend_from_slice(format!("{sequence:>20}").as_bytes());
        assert_eq!(packet.len(), 49);
        packet
    }

    pub(super) fn take(&mut self, conn: ConnId, output: Output<'_>) {
        match output {
            Output::Tcp { conn: to, bytes } if to == conn => self.bytes.extend_from_slice(bytes),
            Output::Close { conn: of } if of == conn => self.closed = true,
            _ => {}
        }
    }

    /// The packets so far: type and payload.
    pub(super) fn packets(&self) -> Vec<(u8, &[u8])> {
        let (mut packets, mut rest) = (Vec::new(), &self.bytes[..]);
        while let Some((len, after)) = rest.split_first_chunk::<2>()
            && let Some((packet, after)) = after.split_at_checked(usize::from(u16::from_be_bytes(*len)))
        {
            packets.push((packet[0], &packet[1..]));
            rest = after;
        }
        packets
    }
}
