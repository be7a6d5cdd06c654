//! What decoding costs: ns and instructions a message, from the length prefixes alone to every field of every order
//! message. `cargo bench --no-default-features --bench decode`
//!
//! The stream is made up: 20,000 packets of 38 order messages in the mix of a busy day (A 47 %, D 39, U 8, E 2, X 2,
//! C 0.5, F 1.5), in random order, so that no branch on the type can be predicted. It is longer than a second-level
//! cache. Ways take turns; each turn is timed in parts of 1,000 packets, and printed are the fastest and the median part,
//! since a shared machine can only add time.
//! Instructions are counted one by one by the processor's trap flag, and are exact.
#![allow(unsafe_code, reason = "single steps")]
#![expect(clippy::print_stdout, clippy::expect_used, reason = "a benchmark prints its figures, or fails")]

#[path = "instructions/step.rs"]
mod step;

use std::hint::black_box;
use std::time::{Duration, Instant};

use step::instructions;
use wirebook::feed::itch::batch::{Batch, Path};
use wirebook::feed::itch::decode;
use wirebook::market::{Event, EventKind};
use wirebook::wire::moldudp64::{Blocks, Packet, PacketBuilder};

const PACKETS: usize = 20_000;
const MESSAGES: usize = 38;
const TURNS: usize = 41;
/// Packets that are timed together: less than a time slice of the system's.
const PART: usize = 1_000;

/// Packets whose instructions are counted.
const COUNTED: usize = 100;

/// Type, length, and how many of 200.
const MIX: [(u8, usize, u32); 7] = [
    (b'A', 36, 94),
    (b'D', 19, 78),
    (b'U', 35, 16),
    (b'E', 31, 4),
    (b'X', 23, 4),
    (b'C', 36, 1),
    (b'F', 40, 3),
];

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }
}

/// The datagrams, one after the other, and where each ends.
fn stream() -> (Vec<u8>, Vec<usize>) {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let (mut bytes, mut ends) = (Vec::new(), Vec::new());
    let mut datagram = [0; 2_048];
    for packet in 0..PACKETS {
        let sequence = 1 + (packet * MESSAGES) as u64;
        let mut builder =
            PacketBuilder::new(&mut datagram, *b"000000001A", sequence).expect("room for a header");
        for _ in 0..MESSAGES {
            let mut choice = (random.next() >> 32) as u32 % 200;
            let (message_type, len, _) = *MIX
                .iter()
                .find(|(.., share)| {
                    let chosen = choice < *share;
                    choice = choice.wrapping_sub(*share);
                    chosen
                })
                .expect("shares of 200");
            let mut message = [0; 40];
            for chunk in message.chunks_exact_mut(8) {
                chunk.copy_from_slice(&random.next().to_be_bytes());
            }
            message[0] = message_type;
            if b"AF".contains(&message_type) {
                message[19] = if message[19] % 2 == 0 { b'B' } else { b'S' };
            }
            builder.push(&message[..len]).expect("room for a packet");
        }
        let len = builder.len();
        bytes.extend_from_slice(&datagram[..len]);
        ends.push(bytes.len());
    }
    (bytes, ends)
}

/// A way to read one packet, checked or not yet.
struct Way<'s> {
    name: &'static str,
    read: Box<dyn FnMut(&'s [u8], Blocks<'s>) + 's>,
}

#[inline(never)]
fn walk(blocks: Blocks<'_>) -> usize {
    blocks.fold(0, |sum, block| sum + block.len())
}

#[inline(never)]
fn check(datagram: &[u8]) -> Option<Packet<'_>> {
    Packet::new_checked(datagram).ok()
}

#[inline(never)]
fn one_by_one(blocks: Blocks<'_>, events: &mut [Event; MESSAGES]) -> usize {
    let mut errors = 0;
    for (event, block) in events.iter_mut().zip(blocks) {
        match decode(block) {
            Ok(decoded) => *event = decoded,
            Err(_) => errors += 1,
        }
    }
    errors
}

#[inline(never)]
fn filled(batch: &mut Batch, mut blocks: Blocks<'_>) {
    while !black_box(batch.fill(&mut blocks)).is_empty() {}
}

fn ways<'s>() -> Vec<Way<'s>> {
    let mut events = [Event { locate: 0, timestamp: 0, kind: EventKind::Other }; MESSAGES];
    let mut ways = vec![
        Way {
            name: "check of a packet",
            read: Box::new(|datagram, _| {
                black_box(check(datagram));
            }),
        },
        Way {
            name: "walk along the length prefixes",
            read: Box::new(|_, blocks| {
                black_box(walk(blocks));
            }),
        },
        Way {
            name: "decode() by match",
            read: Box::new(move |_, blocks| {
                assert_eq!(one_by_one(blocks, black_box(&mut events)), 0);
            }),
        },
    ];
    for path in Path::ALL {
        let Some(mut batch) = Batch::with_path(path) else { continue };
        let name = match path {
            Path::Scalar => "batch, any processor",
            Path::Avx2 => "batch, AVX2",
            Path::Avx512Vbmi => "batch, AVX-512 VBMI",
        };
        ways.push(Way { name, read: Box::new(move |_, blocks| filled(&mut batch, blocks)) });
    }
    let mut batch = Batch::new();
    ways.push(Way {
        name: "check, then the widest batch",
        read: Box::new(move |datagram, _| {
            if let Some(packet) = check(datagram) {
                filled(&mut batch, packet.blocks());
            }
        }),
    });
    ways
}

fn main() {
    let (bytes, ends) = stream();
    let starts = std::iter::once(0).chain(ends.iter().copied());
    let datagrams: Vec<&[u8]> = starts.zip(&ends).map(|(start, end)| &bytes[start..*end]).collect();
    let packets: Vec<(&[u8], Blocks<'_>)> = datagrams
        .iter()
        .map(|datagram| (*datagram, check(datagram).expect("a good packet").blocks()))
        .collect();
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown CPU");
    println!("{}, {PACKETS} packets of {MESSAGES}", cpu.trim_start_matches([' ', '\t', ':']));

    let mut ways = ways();
    let mut times = vec![Vec::with_capacity(TURNS * PACKETS / PART); ways.len()];
    for _ in 0..TURNS {
        for (way, times) in ways.iter_mut().zip(&mut times) {
            for part in packets.chunks_exact(PART) {
                let started = Instant::now();
                for (datagram, blocks) in part {
                    (way.read)(datagram, *blocks);
                }
                times.push(started.elapsed());
            }
        }
    }
    let each = |time: Duration| time.as_nanos() as f64 / (PART * MESSAGES) as f64;
    for (way, times) in ways.iter_mut().zip(&mut times) {
        times.sort_unstable();
        let counted = instructions(|| {
            for (datagram, blocks) in packets.iter().take(COUNTED) {
                (way.read)(datagram, *blocks);
            }
        });
        println!(
            "{:<32} {:5.2} ns fastest {:5.2} ns median | {:5.1} instructions",
            way.name,
            each(times[0]),
            each(times[times.len() / 2]),
            counted as f64 / (COUNTED * MESSAGES) as f64,
        );
    }
}
