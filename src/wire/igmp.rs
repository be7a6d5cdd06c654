//! IGMP: how a host tells its routers and switches which groups it wants. Versions 1 (RFC 1112), 2 (RFC 2236) and
//! 3 (RFC 3376).
//!
//! Versions 1 and 2, 8 bytes: `type[0,1] max response[1,1] checksum[2,2] group[4,4]`. A query of version 3 goes on with
//! `S+QRV[8,1] QQIC[9,1] number of sources[10,2]` and the sources. A report of version 3 is
//! `type[0,1] [1,1] checksum[2,2] [4,2] number of records[6,2]`, each record `type[0,1] auxiliary words[1,1] number of
//! sources[2,2] group[4,4]`, its sources, its auxiliary data.
//!
//! Messages travel in IPv4 with TTL 1 and the router-alert option ([`super::frame::emit_igmp`]).

use std::net::Ipv4Addr;

use super::{NoRoom, checksum, layout, room};

/// Where reports of version 3 go.
pub const ALL_V3_ROUTERS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 22);
/// Where leaves of version 2 go.
pub const ALL_ROUTERS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 2);
/// Where general queries go.
pub const ALL_SYSTEMS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 1);

/// Bytes of every message of versions 1 and 2, and of the header of a report of version 3.
pub const HEADER_LEN: usize = 8;
const V3_QUERY_LEN: usize = 12;
const RECORD_LEN: usize = 8;

const QUERY: u8 = 0x11;
const V1_REPORT: u8 = 0x12;
const V2_REPORT: u8 = 0x16;
const LEAVE: u8 = 0x17;
const V3_REPORT: u8 = 0x22;

kinds! {
    /// Why bytes are not an IGMP message.
    pub enum Error counted by ErrorCounters {
        /// Shorter than 8 bytes.
        TooShort as igmp_too_short = "IGMP message is shorter than 8 bytes",
        /// The checksum over the whole message is wrong.
        Checksum as igmp_checksum = "wrong IGMP checksum",
        /// A query between the lengths of versions 2 and 3, or sources or records that reach past the end.
        Length as igmp_length = "IGMP message does not hold what it counts",
    }
}

/// One message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// A router asks who wants what.
    Query(Query<'a>),
    /// Version 1: wants the group.
    V1Report(Ipv4Addr),
    /// Version 2: wants the group.
    V2Report(Ipv4Addr),
    /// Version 2: no longer wants the group.
    Leave(Ipv4Addr),
    /// Version 3: what a host wants of each group.
    V3Report(Records<'a>),
    /// A type that this version does not know; to be ignored (RFC 3376, section 4).
    Unknown(u8),
}

/// A router's question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query<'a> {
    /// 1, 2 or 3; version 1 asks with a maximal response time of 0.
    pub version: u8,
    /// Answer within so many tenths of a second, at a random moment. Version 1: 10 s.
    pub max_response_tenths: u32,
    /// The group asked about; 0.0.0.0 = all.
    pub group: Ipv4Addr,
    /// The sources asked about (version 3); none = all.
    pub sources: Sources<'a>,
}

impl<'a> Message<'a> {
    /// Reads the payload of an IPv4 packet, all of which is the message.
    ///
    /// # Errors
    /// [`Error`], by kind.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let (header, rest) = bytes.split_first_chunk::<HEADER_LEN>().ok_or(Error::TooShort)?;
        if checksum::of(bytes) != 0 {
            return Err(Error::Checksum);
        }
        let group = Ipv4Addr::from(layout::chunk::<4, _>(header, 4));
        match header[0] {
            QUERY => parse_query(bytes, header[1], group).map(Self::Query),
            V1_REPORT => Ok(Self::V1Report(group)),
            V2_REPORT => Ok(Self::V2Report(group)),
            LEAVE => Ok(Self::Leave(group)),
            V3_REPORT => {
                let count = u16::from_be_bytes(layout::chunk(header, 6));
                Records::new_checked(rest, count).map(Self::V3Report)
            }
            unknown => Ok(Self::Unknown(unknown)),
        }
    }
}

/// RFC 3376, section 7.1: the version of a query shows in its length and its response time.
fn parse_query(bytes: &[u8], max_response: u8, group: Ipv4Addr) -> Result<Query<'_>, Error> {
    if bytes.len() == HEADER_LEN {
        let (version, tenths) = if max_response == 0 { (1, 100) } else { (2, u32::from(max_response)) };
        return Ok(Query { version, max_response_tenths: tenths, group, sources: Sources(&[]) });
    }
    let (header, rest) = bytes.split_first_chunk::<V3_QUERY_LEN>().ok_or(Error::Length)?;
    let (sources, _) = Sources::split(rest, u16::from_be_bytes(layout::chunk(header, 10)))?;
    Ok(Query { version: 3, max_response_tenths: response_time(max_response), group, sources })
}

/// Version 3 codes times above 127 as a small float: three bits of exponent, four of mantissa.
const fn response_time(code: u8) -> u32 {
    if code < 128 { code as u32 } else { (code as u32 & 0x0F | 0x10) << ((code >> 4 & 0x07) + 3) }
}

/// A list of source addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sources<'a>(&'a [[u8; 4]]);

impl<'a> Sources<'a> {
    /// `count` addresses and the bytes after them.
    fn split(bytes: &'a [u8], count: u16) -> Result<(Self, &'a [u8]), Error> {
        let (sources, rest) = bytes.split_at_checked(usize::from(count) * 4).ok_or(Error::Length)?;
        Ok((Self(sources.as_chunks().0), rest))
    }
}

impl Iterator for Sources<'_> {
    type Item = Ipv4Addr;

    fn next(&mut self) -> Option<Ipv4Addr> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some((*first).into())
    }
}

/// What a record of version 3 says of its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum RecordKind {
    /// Wants the listed sources only.
    ModeIsInclude = 1,
    /// Wants all but the listed sources.
    ModeIsExclude = 2,
    /// From now on wants the listed sources only; with none listed it leaves.
    ChangeToInclude = 3,
    /// From now on wants all but the listed sources; with none listed it joins.
    ChangeToExclude = 4,
    /// Wants the listed sources too.
    AllowNewSources = 5,
    /// No longer wants the listed sources.
    BlockOldSources = 6,
}

/// One record of a report as received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceivedRecord<'a> {
    /// What it says; `None` for a kind to be ignored.
    pub kind: Option<RecordKind>,
    /// The group.
    pub group: Ipv4Addr,
    /// The sources.
    pub sources: Sources<'a>,
}

/// The records of a report, checked: they all fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Records<'a> {
    bytes: &'a [u8],
    left: u16,
}

impl<'a> Records<'a> {
    fn new_checked(bytes: &'a [u8], count: u16) -> Result<Self, Error> {
        let mut rest = bytes;
        for _ in 0..count {
            (_, rest) = split_record(rest)?;
        }
        Ok(Self { bytes, left: count })
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = ReceivedRecord<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let (record, rest) = split_record(self.bytes).ok()?;
        self.bytes = rest;
        Some(record)
    }
}

/// One record and the bytes after it.
fn split_record(bytes: &[u8]) -> Result<(ReceivedRecord<'_>, &[u8]), Error> {
    let (header, rest) = bytes.split_first_chunk::<RECORD_LEN>().ok_or(Error::Length)?;
    let kind = match header[0] {
        1 => Some(RecordKind::ModeIsInclude),
        2 => Some(RecordKind::ModeIsExclude),
        3 => Some(RecordKind::ChangeToInclude),
        4 => Some(RecordKind::ChangeToExclude),
        5 => Some(RecordKind::AllowNewSources),
        6 => Some(RecordKind::BlockOldSources),
        _ => None,
    };
    let (sources, rest) = Sources::split(rest, u16::from_be_bytes(layout::chunk(header, 2)))?;
    let (_, rest) = rest.split_at_checked(usize::from(header[1]) * 4).ok_or(Error::Length)?;
    Ok((ReceivedRecord { kind, group: layout::chunk::<4, _>(header, 4).into(), sources }, rest))
}

/// One record of a report to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// What it says.
    pub kind: RecordKind,
    /// The group.
    pub group: Ipv4Addr,
    /// The sources.
    pub sources: &'a [Ipv4Addr],
}

/// Writes a report of version 1: "wants `group`"; to be sent to the group itself. Returns its length.
///
/// # Errors
/// [`NoRoom`]; nothing is written then.
pub fn emit_v1_report(out: &mut [u8], group: Ipv4Addr) -> Result<usize, NoRoom> {
    emit_short(out, V1_REPORT, 0, group)
}

/// Writes a report of version 2: "wants `group`"; to be sent to the group itself. Returns its length.
///
/// # Errors
/// [`NoRoom`]; nothing is written then.
pub fn emit_v2_report(out: &mut [u8], group: Ipv4Addr) -> Result<usize, NoRoom> {
    emit_short(out, V2_REPORT, 0, group)
}

/// Writes a leave of version 2; to be sent to [`ALL_ROUTERS`]. Returns its length.
///
/// # Errors
/// [`NoRoom`]; nothing is written then.
pub fn emit_leave(out: &mut [u8], group: Ipv4Addr) -> Result<usize, NoRoom> {
    emit_short(out, LEAVE, 0, group)
}

/// Writes a query of version 2 (0.0.0.0 = about all groups), as routers do. Returns its length.
///
/// # Errors
/// [`NoRoom`]; nothing is written then.
pub fn emit_v2_query(out: &mut [u8], group: Ipv4Addr, max_response_tenths: u8) -> Result<usize, NoRoom> {
    emit_short(out, QUERY, max_response_tenths, group)
}

fn emit_short(out: &mut [u8], kind: u8, max_response: u8, group: Ipv4Addr) -> Result<usize, NoRoom> {
    let message = room::<HEADER_LEN>(out)?;
    *message = [kind, max_response, 0, 0, 0, 0, 0, 0];
    layout::put(message, 4, group.octets());
    let sum = checksum::of(message);
    layout::put(message, 2, sum.to_be_bytes());
    Ok(HEADER_LEN)
}

/// Writes a report of version 3; to be sent to [`ALL_V3_ROUTERS`]. Returns its length.
///
/// # Errors
/// [`NoRoom`] where it does not fit, or where records or sources are more than 65,535; the bytes of `out` are
/// unspecified then.
pub fn emit_v3_report(out: &mut [u8], records: &[Record<'_>]) -> Result<usize, NoRoom> {
    let needed = records.iter().fold(HEADER_LEN, |len, record| len + RECORD_LEN + record.sources.len() * 4);
    let no_room = NoRoom { needed, room: out.len() };
    let message = out.get_mut(..needed).ok_or(no_room)?;
    let count = u16::try_from(records.len()).map_err(|_| no_room)?;
    let (header, mut rest) = message.split_first_chunk_mut::<HEADER_LEN>().ok_or(no_room)?;
    *header = [V3_REPORT, 0, 0, 0, 0, 0, 0, 0];
    layout::put(header, 6, count.to_be_bytes());
    for record in records {
        let (header, after) = rest.split_first_chunk_mut::<RECORD_LEN>().ok_or(no_room)?;
        let count = u16::try_from(record.sources.len()).map_err(|_| no_room)?;
        *header = [record.kind as u8, 0, 0, 0, 0, 0, 0, 0];
        layout::put(header, 2, count.to_be_bytes());
        layout::put(header, 4, record.group.octets());
        let (sources, after) = after.split_at_mut_checked(record.sources.len() * 4).ok_or(no_room)?;
        for (place, source) in sources.as_chunks_mut().0.iter_mut().zip(record.sources) {
            *place = source.octets();
        }
        rest = after;
    }
    let sum = checksum::of(message);
    if let Some(header) = message.first_chunk_mut::<HEADER_LEN>() {
        layout::put(header, 2, sum.to_be_bytes());
    }
    Ok(needed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 1, 1);
    const OTHER: Ipv4Addr = Ipv4Addr::new(239, 1, 1, 2);
    const SOURCES: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 0, 0, 9), Ipv4Addr::new(10, 0, 0, 10)];

    /// With its checksum made right.
    fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
        bytes[2..4].fill(0);
        let sum = checksum::of(&bytes);
        bytes[2..4].copy_from_slice(&sum.to_be_bytes());
        bytes
    }

    #[test]
    fn messages_of_version_2_round_trip() {
        let mut out = [0; 8];
        assert_eq!(emit_v2_report(&mut out, GROUP), Ok(8));
        assert_eq!(out, [0x16, 0, 0xF9, 0xFC, 239, 1, 1, 1]);
        assert_eq!(Message::parse(&out), Ok(Message::V2Report(GROUP)));
        emit_leave(&mut out, GROUP).unwrap();
        assert_eq!(Message::parse(&out), Ok(Message::Leave(GROUP)));
        emit_v1_report(&mut out, GROUP).unwrap();
        assert_eq!(Message::parse(&out), Ok(Message::V1Report(GROUP)));
        emit_v2_query(&mut out, Ipv4Addr::UNSPECIFIED, 100).unwrap();
        let Message::Query(query) = Message::parse(&out).unwrap() else { panic!() };
        assert_eq!((query.version, query.max_response_tenths, query.sources.count()), (2, 100, 0));
        assert!(emit_leave(&mut out[..7], GROUP).is_err());
    }

    #[test]
    fn reports_of_version_3_round_trip() {
        let records = [
            Record { kind: RecordKind::ChangeToExclude, group: GROUP, sources: &[] },
            Record { kind: RecordKind::AllowNewSources, group: OTHER, sources: &SOURCES },
        ];
        let mut out = [0; 32];
        assert_eq!(emit_v3_report(&mut out, &records), Ok(32));
        let Message::V3Report(received) = Message::parse(&out).unwrap() else { panic!() };
        let received: Vec<_> = received.collect();
        assert_eq!(received.len(), 2);
        for (received, sent) in received.iter().zip(&records) {
            assert_eq!((received.kind, received.group), (Some(sent.kind), sent.group));
            assert!(received.sources.eq(sent.sources.iter().copied()));
        }
        assert!(emit_v3_report(&mut out[..31], &records).is_err());
        for len in 0..32 {
            let expected = if len < 8 { Error::TooShort } else { Error::Length };
            let bytes = if len < 8 { out[..len].to_vec() } else { sealed(out[..len].to_vec()) };
            assert_eq!(Message::parse(&bytes), Err(expected), "at {len}");
        }
    }

    #[test]
    fn queries_tell_their_version() {
        let v1 = sealed(vec![0x11, 0, 0, 0, 0, 0, 0, 0]);
        let Message::Query(query) = Message::parse(&v1).unwrap() else { panic!() };
        assert_eq!((query.version, query.max_response_tenths), (1, 100));
        let v3 = sealed(vec![0x11, 0x8F, 0, 0, 239, 1, 1, 1, 2, 125, 0, 1, 10, 0, 0, 9]);
        let Message::Query(query) = Message::parse(&v3).unwrap() else { panic!() };
        assert_eq!((query.version, query.max_response_tenths, query.group), (3, 248, GROUP));
        assert!(query.sources.eq([SOURCES[0]]));
        for len in (9..12).chain(12..16) {
            assert_eq!(Message::parse(&sealed(v3[..len].to_vec())), Err(Error::Length));
        }
    }

    #[test]
    fn unknown_types_are_told_and_auxiliary_data_is_skipped() {
        assert_eq!(Message::parse(&sealed(vec![0x30; 8])), Ok(Message::Unknown(0x30)));
        let mut bytes = vec![0x22, 0, 0, 0, 0, 0, 0, 2];
        bytes.extend_from_slice(&[9, 1, 0, 0, 239, 1, 1, 1, 0xAA, 0xAA, 0xAA, 0xAA]);
        bytes.extend_from_slice(&[1, 0, 0, 0, 239, 1, 1, 2]);
        let bytes = sealed(bytes);
        let Message::V3Report(records) = Message::parse(&bytes).unwrap() else { panic!() };
        let kinds: Vec<_> = records.map(|record| (record.kind, record.group)).collect();
        assert_eq!(kinds, [(None, GROUP), (Some(RecordKind::ModeIsInclude), OTHER)]);
    }

    #[test]
    fn a_wrong_checksum_is_refused() {
        let mut out = [0; 8];
        emit_leave(&mut out, GROUP).unwrap();
        out[7] ^= 1;
        assert_eq!(Message::parse(&out), Err(Error::Checksum));
    }
}
