//! From frames to books: the fuzzer's bytes are a list of frames (u16 length before each), run through a whole loop.
//!
//! A sound day's start is played first, so that there are instruments and live books to harm. A finding is a panic, a
//! frame that no counter knows of, or books that do not add up.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wirebook::config::Config;
use wirebook::nic::replay::{Frames, LinkConfig, ReplayRx, Rounds, pair};
use wirebook::nic::{IP_CSUM_GOOD, L4_CSUM_GOOD, MAX_FRAME};
use wirebook::pipeline::Pipeline;
use wirebook::stats::clock::Clock;
use wirebook::tsc;
use wirebook::wire::ethernet::multicast_mac;
use wirebook::wire::frame::UdpHeaders;
use wirebook::wire::moldudp64::PacketBuilder;
use wirebook::worker::{Worker, assemble};

const CONFIG: &str = include_str!("../../config/demo.toml");

fn config() -> Config {
    let small = CONFIG
        .replace("max_locates = 10001", "max_locates = 64")
        .replace("max_orders = 1000000", "max_orders = 256")
        .replace("max_levels = 300000", "max_levels = 64")
        .replace("reorder_packets = 1024", "reorder_packets = 4")
        .replace("max_open_orders = 256", "max_open_orders = 4")
        + "[latency]\nstages = false\n";
    Config::parse(&small, "fuzz").expect("the demo's configuration is right")
}

/// The directory and trading state of four instruments, in one packet of line A.
fn opening(config: &Config) -> Vec<u8> {
    let mut payload = [0; 1_400];
    let mut packet = PacketBuilder::new(&mut payload, *b"FUZZ000001", 1).expect("room");
    for locate in 1..=4_u16 {
        let mut directory = [b' '; 39];
        directory[0] = b'R';
        directory[1..3].copy_from_slice(&locate.to_be_bytes());
        directory[11..13].copy_from_slice(&[b'A', b'0' + locate as u8]);
        let mut action = [b' '; 25];
        action[0] = b'H';
        action[1..3].copy_from_slice(&locate.to_be_bytes());
        action[19] = b'T';
        packet.push(&directory).expect("room");
        packet.push(&action).expect("room");
    }
    let len = packet.len();
    let line = &config.feed.line_a;
    let headers = UdpHeaders {
        src_mac: [2; 6],
        dst_mac: multicast_mac(line.group),
        vlan: None,
        ttl: 1,
        src: ([10, 0, 0, 1].into(), 1),
        dst: (line.group, line.port),
    };
    let mut frame = [0; 1_500];
    let end = headers.emit_with(&mut frame, &payload[..len]).expect("room");
    frame[..end].to_vec()
}

fuzz_target!(|bytes: &[u8]| {
    let config = config();
    let mut frames = Frames::new();
    frames.push(&opening(&config));
    let mut offered = 1;
    let mut rest = bytes;
    while let Some((head, after)) = rest.split_first_chunk::<2>() {
        let len = usize::from(u16::from_be_bytes(*head)).min(after.len());
        let (frame, next) = after.split_at(len);
        rest = next;
        if !frame.is_empty() && frame.len() <= MAX_FRAME {
            // The fuzzer need not find checksums: the NIC has found them good.
            frames.push_with(frame, 0, IP_CSUM_GOOD | L4_CSUM_GOOD);
            offered += 1;
        }
    }
    let clock = Clock::from_hz(1_000_000_000).expect("a clock");
    let (worker, _handles) = assemble(&config, [2; 6], clock).expect("the parts fit");
    let Worker::Imbalance(parts) = worker else { unreachable!("the demo trades") };
    let (end, _far) = pair(LinkConfig { ring: 4, buffers: 8, slot_len: 1_518 });
    let mut pipeline =
        Pipeline::new(*parts, vec![ReplayRx::with_rounds(frames, Rounds::Times(1), MAX_FRAME)], end.tx);
    while pipeline.poll() {
        pipeline.tick(tsc::now());
    }
    let tally = pipeline.tally();
    let sum = |rows: &[(&str, u64)]| rows.iter().map(|(_, count)| count).sum::<u64>();
    let lines: u64 = tally.lines.iter().map(|line| line.packets).sum();
    assert_eq!(tally.looped.frames, offered);
    assert_eq!(
        sum(&tally.rejects.rows()) + sum(&tally.unwanted.rows()) + lines + tally.session.packets,
        offered
    );
    pipeline.finish().books.audit().expect("books add up");
});
