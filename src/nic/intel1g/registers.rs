//! The registers that are used, by byte offset, and their bits. Both controllers have them at the same places: the 82576 keeps
//! its first queue at the places of its forerunners too (82576 §8.1, alias addresses).

/// Device control (82574 §10.2.2).
pub(crate) const CTRL: u32 = 0x0000;
/// Start no more memory accesses; [`STATUS_MASTER`] tells when the last one is done.
pub(crate) const CTRL_MASTER_DISABLE: u32 = 1 << 2;
/// Let the link come up.
pub(crate) const CTRL_SET_LINK_UP: u32 = 1 << 6;
/// Speed and duplex by force instead of what the PHY negotiated.
pub(crate) const CTRL_FORCE_SPEED: u32 = 1 << 11;
pub(crate) const CTRL_FORCE_DUPLEX: u32 = 1 << 12;
/// Reset everything but the PHY; clears itself.
pub(crate) const CTRL_RESET: u32 = 1 << 26;
/// Take VLAN tags out of frames.
pub(crate) const CTRL_VLAN: u32 = 1 << 30;

/// Device status (82574 §10.2.2).
pub(crate) const STATUS: u32 = 0x0008;
pub(crate) const STATUS_FULL_DUPLEX: u32 = 1 << 0;
pub(crate) const STATUS_LINK_UP: u32 = 1 << 1;
/// Two bits: 10, 100, 1,000, 1,000 Mbit/s.
pub(crate) const STATUS_SPEED_SHIFT: u32 = 6;
/// Memory accesses may still be under way.
pub(crate) const STATUS_MASTER: u32 = 1 << 19;

/// Access to the PHY's registers (82574 §10.2.2): value in 15:0, register in 20:16, PHY in 25:21.
pub(crate) const MDIC: u32 = 0x0020;
pub(crate) const MDIC_PHY: u32 = 1 << 21;
pub(crate) const MDIC_WRITE: u32 = 1 << 26;
pub(crate) const MDIC_READY: u32 = 1 << 28;
/// The PHY's control register is number 0 (IEEE 802.3, clause 22): negotiate, and do so now.
pub(crate) const PHY_NEGOTIATE: u32 = 1 << 12 | 1 << 9;

/// Interrupt causes, cleared by reading (82574 §10.2.4).
pub(crate) const ICR: u32 = 0x00c0;
/// Interrupt mask clear (82574 §10.2.4).
pub(crate) const IMC: u32 = 0x00d8;

/// Receive control (82574 §10.2.5).
pub(crate) const RCTL: u32 = 0x0100;
pub(crate) const RCTL_ENABLE: u32 = 1 << 1;
/// Take every unicast frame, every multicast frame.
pub(crate) const RCTL_ALL_UNICAST: u32 = 1 << 3;
pub(crate) const RCTL_ALL_MULTICAST: u32 = 1 << 4;
/// Take frames longer than 1,522 bytes.
pub(crate) const RCTL_LONG: u32 = 1 << 5;
pub(crate) const RCTL_BROADCAST: u32 = 1 << 15;
/// Leave out the FCS.
pub(crate) const RCTL_STRIP_FCS: u32 = 1 << 26;
// Buffers of 2,048 bytes: BSIZE (bits 17:16) 0 and BSEX (bit 25) 0.

/// Transmit control (82574 §10.2.6).
pub(crate) const TCTL: u32 = 0x0400;
pub(crate) const TCTL_ENABLE: u32 = 1 << 1;
/// Pad frames to 60 bytes.
pub(crate) const TCTL_PAD: u32 = 1 << 3;
/// Collision threshold 15 and distance 63, as the datasheet advises; of no effect in full duplex.
pub(crate) const TCTL_COLLISIONS: u32 = 0x0f << 4 | 0x3f << 12;
pub(crate) const TCTL_COLLISIONS_MASK: u32 = 0xff << 4 | 0x3ff << 12;

/// Gap between frames (82574 §10.2.6), and the value it advises for copper.
pub(crate) const TIPG: u32 = 0x0410;
pub(crate) const TIPG_82574: u32 = 8 | 8 << 10 | 6 << 20;

/// Receive ring: address, bytes, head (the device's), tail (ours) (82574 §10.2.5).
pub(crate) const RDBAL: u32 = 0x2800;
pub(crate) const RDBAH: u32 = 0x2804;
pub(crate) const RDLEN: u32 = 0x2808;
/// Split and replication receive control (82576 §8.10): buffer size in KiB, descriptor type in bits 27:25.
pub(crate) const SRRCTL: u32 = 0x280c;
pub(crate) const SRRCTL_ADVANCED: u32 = 1 << 25;
pub(crate) const RDH: u32 = 0x2810;
pub(crate) const RDT: u32 = 0x2818;
/// When descriptors are fetched and written back (82574 §10.2.5, 82576 §8.10).
pub(crate) const RXDCTL: u32 = 0x2828;

/// Transmit ring, as the receive ring (82574 §10.2.6).
pub(crate) const TDBAL: u32 = 0x3800;
pub(crate) const TDBAH: u32 = 0x3804;
pub(crate) const TDLEN: u32 = 0x3808;
pub(crate) const TDH: u32 = 0x3810;
pub(crate) const TDT: u32 = 0x3818;
pub(crate) const TXDCTL: u32 = 0x3828;

/// Write each descriptor back at once (WTHRESH 1).
pub(crate) const DCTL_WRITE_BACK_ONE: u32 = 1 << 16;
/// 82574: bit 22 of TXDCTL is to be set; thresholds count descriptors, not lines (GRAN, bit 24).
pub(crate) const TXDCTL_82574: u32 = 1 << 22 | 1 << 24;
pub(crate) const RXDCTL_82574: u32 = 1 << 24;
/// 82576: the queue's own switch.
pub(crate) const DCTL_QUEUE_ENABLE: u32 = 1 << 25;

/// Receive checksums: verify IPv4, verify UDP and TCP (82574 §10.2.5).
pub(crate) const RXCSUM: u32 = 0x5000;
pub(crate) const RXCSUM_IP: u32 = 1 << 8;
pub(crate) const RXCSUM_L4: u32 = 1 << 9;

/// Longest frame with [`RCTL_LONG`], FCS included (82576 §8.10).
pub(crate) const RLPML: u32 = 0x5004;
/// The longest that the field can say.
pub(crate) const RLPML_MOST: u32 = 0x3fff;

/// Receive filter control (82574 §10.2.5): extended descriptors.
pub(crate) const RFCTL: u32 = 0x5008;
pub(crate) const RFCTL_EXTENDED: u32 = 1 << 15;

/// Multicast hash table, 128 words (82574 §10.2.5).
pub(crate) const MTA: u32 = 0x5200;
pub(crate) const MTA_WORDS: u32 = 128;

/// Exact addresses, 16 pairs of words; the first is the port's own (82574 §10.2.5).
pub(crate) const RAL: u32 = 0x5400;
pub(crate) const RAH: u32 = 0x5404;
pub(crate) const RAH_VALID: u32 = 1 << 31;
pub(crate) const ADDRESSES: u32 = 16;

/// Counters, one after the other; reading one clears it (82574 §10.2.7, 82576 §8.19).
pub(crate) const COUNTERS: std::ops::Range<u32> = 0x4000..0x4100;
pub(crate) const CRCERRS: u32 = 0x4000;
pub(crate) const RXERRC: u32 = 0x400c;
/// Frames for which the device's own buffer had no room: the ring was empty for too long.
pub(crate) const MPC: u32 = 0x4010;
pub(crate) const ECOL: u32 = 0x4018;
pub(crate) const LATECOL: u32 = 0x4020;
pub(crate) const RLEC: u32 = 0x4040;
pub(crate) const GPRC: u32 = 0x4074;
pub(crate) const GPTC: u32 = 0x4080;
/// 64 bits, FCS included: the lower word is read first, the upper one clears both.
pub(crate) const GORCL: u32 = 0x4088;
pub(crate) const GOTCL: u32 = 0x4090;
