//! The kinds of faults, and which of them are at work.

use exchange::{glimpse, rerequest};

/// What may go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    LossA,
    LossB,
    LossBothShort,
    LossBothLong,
    LossBothRandom,
    Duplicates,
    Reorder,
    CutPayload,
    CutFrame,
    BitFlip,
    Stray,
    LineADead,
    LineBDead,
    BothDead,
    Burst,
    LinkFlap,
    RequestsSilent,
    RequestsSlow,
    RequestsWrongSession,
    RequestsWrongSequence,
    RequestsPartial,
    RequestsGarbage,
    RequestsUnasked,
    RequestsTwice,
    RequestsPathBad,
    GlimpseRefuse,
    GlimpseSilent,
    GlimpseCutOff,
    GlimpseSlow,
    GlimpseEndless,
    GlimpseBadLength,
    GlimpseWrongSession,
    GlimpseOldSequence,
    GlimpseGarbage,
    GlimpseDropped,
    TcpStall,
    TcpReset,
    SessionRoll,
    LostTail,
    GatewayDrop,
    ReplyLost,
    TransmitFull,
    SlowLoop,
    RingOverrun,
    ClockStep,
    ClientAsleep,
}

impl Kind {
    pub(crate) const ALL: [Self; 46] = [
        Self::LossA,
        Self::LossB,
        Self::LossBothShort,
        Self::LossBothLong,
        Self::LossBothRandom,
        Self::Duplicates,
        Self::Reorder,
        Self::CutPayload,
        Self::CutFrame,
        Self::BitFlip,
        Self::Stray,
        Self::LineADead,
        Self::LineBDead,
        Self::BothDead,
        Self::Burst,
        Self::LinkFlap,
        Self::RequestsSilent,
        Self::RequestsSlow,
        Self::RequestsWrongSession,
        Self::RequestsWrongSequence,
        Self::RequestsPartial,
        Self::RequestsGarbage,
        Self::RequestsUnasked,
        Self::RequestsTwice,
        Self::RequestsPathBad,
        Self::GlimpseRefuse,
        Self::GlimpseSilent,
        Self::GlimpseCutOff,
        Self::GlimpseSlow,
        Self::GlimpseEndless,
        Self::GlimpseBadLength,
        Self::GlimpseWrongSession,
        Self::GlimpseOldSequence,
        Self::GlimpseGarbage,
        Self::GlimpseDropped,
        Self::TcpStall,
        Self::TcpReset,
        Self::SessionRoll,
        Self::LostTail,
        Self::GatewayDrop,
        Self::ReplyLost,
        Self::TransmitFull,
        Self::SlowLoop,
        Self::RingOverrun,
        Self::ClockStep,
        Self::ClientAsleep,
    ];

    /// What the request servers do.
    const fn of_requests(self, size: u64) -> Option<rerequest::Fault> {
        Some(match self {
            Self::RequestsSilent => rerequest::Fault::Silent,
            Self::RequestsSlow => rerequest::Fault::Slow(size * 1_000_000),
            Self::RequestsWrongSession => rerequest::Fault::WrongSession,
            Self::RequestsWrongSequence => rerequest::Fault::WrongSequence,
            Self::RequestsPartial => rerequest::Fault::Partial,
            Self::RequestsGarbage => rerequest::Fault::Garbage,
            Self::RequestsUnasked => rerequest::Fault::Unasked,
            Self::RequestsTwice => rerequest::Fault::Twice,
            _ => return None,
        })
    }

    /// What the snapshot server does.
    const fn of_glimpse(self, size: u64) -> Option<glimpse::Fault> {
        Some(match self {
            Self::GlimpseRefuse => glimpse::Fault::RefuseLogin,
            Self::GlimpseSilent => glimpse::Fault::Silent,
            Self::GlimpseCutOff => glimpse::Fault::CutOff(size * 7),
            Self::GlimpseSlow => glimpse::Fault::Slow(1_000 + size * 1_000),
            Self::GlimpseEndless => glimpse::Fault::Endless,
            Self::GlimpseBadLength => glimpse::Fault::BadLength,
            Self::GlimpseWrongSession => glimpse::Fault::WrongSession,
            // From before anything that is kept: a lie by a few messages is one that nobody can see.
            Self::GlimpseOldSequence => glimpse::Fault::OldSequence(1_000_000 * size),
            Self::GlimpseGarbage => glimpse::Fault::Garbage,
            Self::GlimpseDropped => glimpse::Fault::DropConnection,
            _ => return None,
        })
    }
}

/// One thing that goes wrong, from `at` to `end`, ns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    pub(crate) kind: Kind,
    pub(crate) at: u64,
    pub(crate) end: u64,
    /// How bad it is, 1 ..= 100.
    pub(crate) size: u64,
}

/// What the faults that are at work now do together; chances are per thousand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub(crate) loss: [u32; 2],
    pub(crate) loss_both: u32,
    pub(crate) dead: [bool; 2],
    pub(crate) duplicates: u32,
    pub(crate) reorder: u32,
    pub(crate) cut_payload: u32,
    pub(crate) cut_frame: u32,
    pub(crate) bit_flip: u32,
    pub(crate) stray: u32,
    pub(crate) requests_path: u32,
    pub(crate) tcp_stall: bool,
    pub(crate) reply_lost: u32,
    pub(crate) transmit_full: bool,
    pub(crate) slow_loop: bool,
    /// The receive ring has only so many places; 0 = as many as ever.
    pub(crate) ring: usize,
    pub(crate) client_asleep: bool,
    /// A server (`None` = both) and what it does.
    pub(crate) requests: Option<(Option<usize>, rerequest::Fault)>,
    pub(crate) glimpse: Option<glimpse::Fault>,
}

impl Trouble {
    pub(crate) fn of(active: &[Fault]) -> Self {
        let mut all = Self::default();
        for Fault { kind, size, .. } in active.iter().copied() {
            let chance = 10 * size as u32;
            match kind {
                Kind::LossA => all.loss[0] = chance,
                Kind::LossB => all.loss[1] = chance,
                Kind::LossBothRandom => all.loss_both = size as u32,
                Kind::Duplicates => all.duplicates = chance,
                Kind::Reorder => all.reorder = chance,
                Kind::CutPayload => all.cut_payload = chance,
                Kind::CutFrame => all.cut_frame = chance,
                Kind::BitFlip => all.bit_flip = chance,
                Kind::Stray => all.stray = chance,
                Kind::LineADead => all.dead[0] = true,
                Kind::LineBDead => all.dead[1] = true,
                Kind::BothDead => all.dead = [true; 2],
                Kind::RequestsPathBad => all.requests_path = 3 * size as u32,
                Kind::TcpStall => all.tcp_stall = true,
                Kind::ReplyLost => all.reply_lost = 100,
                Kind::TransmitFull => all.transmit_full = true,
                Kind::SlowLoop => all.slow_loop = true,
                Kind::RingOverrun => (all.slow_loop, all.ring) = (true, 1 + size as usize / 4),
                Kind::ClientAsleep => all.client_asleep = true,
                _ => {}
            }
            if let Some(fault) = kind.of_requests(size) {
                let server = [None, Some(0), Some(1)][size as usize % 3];
                all.requests = Some((server, fault));
            }
            if let Some(fault) = kind.of_glimpse(size) {
                all.glimpse = Some(fault);
            }
        }
        all
    }
}
