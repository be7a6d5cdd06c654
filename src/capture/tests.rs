//! Files are written by an independent crate (`pcap-file`) where it can, by hand where it cannot.

use std::borrow::Cow;
use std::time::Duration;

use pcap_file::pcap::{PcapHeader, PcapPacket, PcapWriter, RawPcapPacket};
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketBlock;
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::pcapng::blocks::simple_packet::SimplePacketBlock;
use pcap_file::{DataLink, Endianness, TsResolution};

use super::*;

type Owned = (Vec<u8>, Option<u64>, u32, u16);

/// All records, and how the file ended.
fn read(file: &[u8]) -> Result<(Vec<Owned>, Option<Tail>), CaptureError> {
    let mut reader = Reader::new("test", file)?;
    let mut records = Vec::new();
    while let Some(record) = reader.next_record()? {
        records.push((record.bytes.to_vec(), record.stamp_ns, record.original_len, record.link_type));
    }
    assert!(matches!(reader.next_record(), Ok(None)), "the end stays the end");
    Ok((records, reader.tail()))
}

fn error(file: &[u8]) -> String {
    read(file).unwrap_err().to_string()
}

fn frame(n: usize) -> Vec<u8> {
    (0..60 + n % 1400).map(|i| (i * 7 + n) as u8).collect()
}

fn pcap(endianness: Endianness, ts_resolution: TsResolution, count: usize) -> Vec<u8> {
    let header = PcapHeader { endianness, ts_resolution, ..PcapHeader::default() };
    let mut writer = PcapWriter::with_header(Vec::new(), header).unwrap();
    for n in 0..count {
        let data = frame(n);
        let stamp = Duration::new(1_700_000_000 + n as u64, 123_456_000);
        writer.write_packet(&PcapPacket::new(stamp, data.len() as u32, &data)).unwrap();
    }
    writer.into_writer()
}

#[test]
fn pcap_of_either_byte_order_and_resolution() {
    for endianness in [Endianness::Big, Endianness::Little] {
        for resolution in [TsResolution::MicroSecond, TsResolution::NanoSecond] {
            // More than the window holds at once.
            let file = pcap(endianness, resolution, 3000);
            assert!(file.len() > 2 * MAX_RECORD);
            let (records, tail) = read(&file).unwrap();
            assert_eq!((records.len(), tail), (3000, None));
            for (n, (bytes, stamp, original, link)) in records.iter().enumerate() {
                assert_eq!(*bytes, frame(n));
                assert_eq!(*stamp, Some((1_700_000_000 + n as u64) * 1_000_000_000 + 123_456_000));
                assert_eq!((*original as usize, *link), (bytes.len(), LINK_ETHERNET));
            }
        }
    }
}

#[test]
fn a_capture_cut_to_a_snap_length_is_read() {
    let header = PcapHeader { snaplen: 64, ..PcapHeader::default() };
    let mut writer = PcapWriter::with_header(Vec::new(), header).unwrap();
    let data = Cow::Owned(vec![1; 64]);
    let cut = RawPcapPacket { ts_sec: 1, ts_frac: 0, incl_len: 64, orig_len: 1500, data };
    writer.write_raw_packet(&cut).unwrap();
    let (records, _) = read(&writer.into_writer()).unwrap();
    assert_eq!((records[0].0.len(), records[0].2), (64, 1500));
}

fn pcapng(endianness: Endianness) -> Vec<u8> {
    let mut writer = PcapNgWriter::with_endianness(Vec::new(), endianness).unwrap();
    for (linktype, options) in [
        (DataLink::ETHERNET, vec![InterfaceDescriptionOption::IfTsResol(9)]),
        (
            DataLink::LINUX_SLL,
            vec![
                InterfaceDescriptionOption::IfName(Cow::Borrowed("any")),
                InterfaceDescriptionOption::IfTsOffset(1_000),
            ],
        ),
    ] {
        writer.write_pcapng_block(InterfaceDescriptionBlock { linktype, snaplen: 0, options }).unwrap();
    }
    for n in 0..2000_usize {
        // The writer's stamps count in units of what it is given as ns; see `pcapng_stamps` for the units.
        let data = frame(n);
        writer
            .write_pcapng_block(EnhancedPacketBlock {
                interface_id: (n % 2) as u32,
                timestamp: Duration::from_nanos(n as u64 * 1_000),
                original_len: data.len() as u32,
                data: Cow::Owned(data),
                options: vec![],
            })
            .unwrap();
    }
    let data = frame(1);
    writer
        .write_pcapng_block(SimplePacketBlock { original_len: data.len() as u32, data: Cow::Owned(data) })
        .unwrap();
    writer.into_inner()
}

#[test]
fn pcapng_of_either_byte_order() {
    for endianness in [Endianness::Big, Endianness::Little] {
        let once = pcapng(endianness);
        // A second section, as when files are put one behind the other.
        let (records, tail) = read(&[once.clone(), once].concat()).unwrap();
        assert_eq!((records.len(), tail), (2 * 2001, None));
        for (i, (bytes, stamp, original, link)) in records.iter().enumerate() {
            let n = if i % 2001 == 2000 { 1 } else { i % 2001 };
            assert_eq!(*bytes, frame(n), "padding is not part of a packet");
            assert_eq!(*original as usize, bytes.len());
            if i % 2001 == 2000 {
                assert_eq!((*stamp, *link), (None, LINK_ETHERNET));
            } else if n % 2 == 0 {
                assert_eq!((*stamp, *link), (Some(n as u64 * 1_000), LINK_ETHERNET));
            } else {
                // Units of 1 µs (the default), 1,000 s added.
                assert_eq!((*stamp, *link), (Some(n as u64 * 1_000_000 + 1_000_000_000_000), 113));
            }
        }
    }
}

fn binary_file(count: usize) -> Vec<u8> {
    let mut file = vec![0, 12];
    file.extend_from_slice(b"S\0\0\0\0\0\0\0\0\0\0O");
    for n in 1..count {
        let message = [&b"A"[..], &frame(n)[..35]].concat();
        file.extend_from_slice(&(message.len() as u16).to_be_bytes());
        file.extend_from_slice(&message);
    }
    file
}

#[test]
fn binary_file_with_and_without_an_end() {
    let file = binary_file(100_000);
    assert!(file.len() > 2 * MAX_RECORD);
    let (records, tail) = read(&file).unwrap();
    assert_eq!((records.len(), tail), (100_000, None));
    assert_eq!(records[0], (file[2..14].to_vec(), None, 12, 0));

    let ended = [&file[..14], &[0, 0]].concat();
    assert_eq!(read(&ended).unwrap().1, None);
    let more = [&ended[..], b"x"].concat();
    let (records, tail) = read(&more).unwrap();
    assert_eq!((records.len(), tail), (1, Some(Tail::AfterEnd { offset: 16 })));
}

/// Every file cut at every length: the whole records before the cut come out, and the rest is named.
#[test]
fn a_cut_file_gives_its_whole_records_and_says_so() {
    let files =
        [pcap(Endianness::Little, TsResolution::NanoSecond, 5), binary_file(5), pcapng(Endianness::Little)];
    for file in &files {
        let (whole, _) = read(file).unwrap();
        for len in 24..file.len().min(2000) {
            let mut reader = Reader::new("cut", &file[..len]).unwrap();
            let mut count = 0;
            let mut good_until = reader.offset();
            while let Some(record) = reader.next_record().unwrap() {
                assert_eq!(record.bytes, whole[count].0);
                count += 1;
                good_until = reader.offset();
            }
            match reader.tail() {
                None => assert!(reader.offset() as usize == len),
                Some(Tail::Truncated { offset, bytes }) => {
                    assert!(offset >= good_until);
                    assert_eq!(offset + bytes, len as u64, "the rest is accounted for");
                    let text = reader.tail().unwrap().to_string();
                    assert!(text.contains(&format!("offset {offset}")), "{text}");
                }
                Some(Tail::AfterEnd { .. }) => panic!("no end mark here"),
            }
        }
    }
}

#[test]
fn what_cannot_be_read_is_refused_with_a_remedy() {
    assert_eq!(error(b""), "test: the file is empty; give a pcap, pcapng or BinaryFILE capture");
    assert_eq!(error(&[0x1f, 0x8b, 8, 0]), "test: compressed with gzip; unpack it first: `gunzip FILE.gz`");
    assert!(error(b"BZh91AY").contains("bunzip2"));
    assert!(error(&[0xfd, b'7', b'z', b'X', b'Z', 0]).contains("unxz"));
    assert!(error(&[0x28, 0xb5, 0x2f, 0xfd]).contains("unzstd"));
    assert!(error(b"PK\x03\x04").contains("unzip"));
    assert!(error(&[0xa1, 0xb2, 0xcd, 0x34]).contains("editcap"));
    assert!(error(&[0xa1, 0xb2, 0xc3, 0xd4, 0, 2]).contains("header is cut off"));
    assert!(error(b"#!/bin/sh\n").starts_with("test: neither pcap, pcapng nor BinaryFILE; "));
    let missing = Reader::open(Path::new("/nonexistent/file.pcap")).err().unwrap().to_string();
    assert!(missing.starts_with("/nonexistent/file.pcap: cannot be opened: "), "{missing}");
    let directory = Reader::open(Path::new("/")).err().unwrap().to_string();
    assert!(directory.contains("directory"), "{directory}");
}

#[test]
fn corruption_is_named_with_its_offset() {
    let mut file = pcap(Endianness::Little, TsResolution::MicroSecond, 3);
    let second = FILE_AND_FIRST;
    file[second + 8..second + 12].copy_from_slice(&(MAX_RECORD as u32 + 1).to_le_bytes());
    let text = error(&file);
    assert!(
        text.starts_with(&format!("test: corrupt at offset {second}: a record of 262145 bytes")),
        "{text}"
    );
    assert!(text.ends_with(&format!("`head -c {second}` keeps them")), "{text}");
    assert_eq!(read(&file[..second]).unwrap().0.len(), 1, "as the remedy says");
}

/// File header, record header, and the first frame of 60 bytes.
const FILE_AND_FIRST: usize = 24 + 16 + 60;

/// A tiny xorshift: the same bytes on every run.
fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// Random damage never panics, never loops, and never hands out more bytes than the file has.
#[test]
fn damaged_files_end_in_an_error_or_an_end() {
    let mut files = [
        pcap(Endianness::Big, TsResolution::MicroSecond, 20),
        binary_file(200),
        pcapng(Endianness::Big),
        pcapng(Endianness::Little),
    ];
    for file in &mut files {
        file.truncate(8_000);
    }
    let mut seed = 0x9e37_79b9_7f4a_7c15;
    let mut outcomes = [0_u32; 2];
    for round in 0..20_000_usize {
        let mut file = files[round % files.len()].clone();
        for _ in 0..=random(&mut seed) % 8 {
            let at = (random(&mut seed) as usize) % file.len();
            file[at] = random(&mut seed) as u8;
        }
        match read(&file) {
            Ok((records, _)) => {
                let bytes: usize = records.iter().map(|r| r.0.len()).sum();
                assert!(bytes <= file.len());
                outcomes[0] += 1;
            }
            Err(_) => outcomes[1] += 1,
        }
    }
    assert!(outcomes.iter().all(|n| *n > 100), "both happen: {outcomes:?}");
}
