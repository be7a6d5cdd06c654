//! The session of a venue, whichever the configuration names: one type, so that everything above is made once.
//!
//! Chosen at the start and never changed; each call is a match and no call through a pointer.

use super::kernel::{KernelCounters, KernelTcp};
use super::ouch_session::{LifeCounters, OuchSession, Phase};
use super::soup::SoupCounters;
use super::tcp::{TcpCounters, UserTcp};
use super::wutf::WutfSession;
use super::{SendError, Session, SessionCounters};
use crate::blotter::OrderEvent;
use crate::nic::{Frame, TxQueue};
use crate::risk::{Cleared, Rehearsal};
use crate::wire::ethernet::Mac;

/// What a connection of a session did, and where it stands; all 0 where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionCounters {
    /// Where the session stands: 0 where it has no connection, else by [`phase_words`].
    pub phase: u64,
    /// Connections made, broken, resumed.
    pub life: LifeCounters,
    /// What SoupBinTCP heard.
    pub soup: SoupCounters,
    /// TCP of our own.
    pub tcp: TcpCounters,
    /// TCP of the kernel.
    pub kernel: KernelCounters,
}

impl ConnectionCounters {
    /// Names and values, as printed to operators.
    pub fn rows(&self) -> impl Iterator<Item = (&'static str, u64)> {
        std::iter::once(("session_phase", self.phase))
            .chain(self.life.rows())
            .chain(self.soup.rows())
            .chain(self.tcp.rows())
            .chain(self.kernel.rows())
    }
}

const fn phase_number(phase: Phase) -> u64 {
    match phase {
        Phase::Down => 1,
        Phase::Connecting => 2,
        Phase::LoggingIn => 3,
        Phase::Replaying => 4,
        Phase::Asking => 5,
        Phase::Up => 6,
        Phase::Leaving => 7,
        Phase::Stopped => 8,
    }
}

/// A [`ConnectionCounters::phase`] in words, as shown to operators; `None` where there is no connection.
#[must_use]
pub const fn phase_words(number: u64) -> Option<&'static str> {
    Some(match number {
        1 => "not connected",
        2 => "connecting",
        3 => "logging in",
        4 => "hearing what was said before",
        5 => "asking for its account",
        6 => "up",
        7 => "logging out",
        8 => "closed",
        _ => return None,
    })
}

/// See the module.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one for each worker, and it stays where it is")]
pub enum Venue {
    /// Our test framing over UDP.
    Wutf(WutfSession),
    /// OUCH in SoupBinTCP over TCP of our own.
    Tcp(Box<OuchSession<UserTcp>>),
    /// The same over the kernel's TCP.
    Kernel(Box<OuchSession<KernelTcp>>),
}

/// The same call of whichever it is.
macro_rules! each {
    ($venue:expr, $session:ident => $call:expr) => {
        match $venue {
            Venue::Wutf($session) => $call,
            Venue::Tcp($session) => $call,
            Venue::Kernel($session) => $call,
        }
    };
}

impl Session for Venue {
    #[inline]
    fn send<T: TxQueue>(&mut self, cleared: &Cleared, tx: &mut T) -> Result<(), SendError> {
        each!(self, session => session.send(cleared, tx))
    }

    fn rehearse<T: TxQueue>(&mut self, rehearsal: &Rehearsal, tx: &mut T) {
        each!(self, session => session.rehearse(rehearsal, tx));
    }

    fn on_datagram(&mut self, payload: &[u8], on_event: &mut impl FnMut(OrderEvent)) {
        each!(self, session => session.on_datagram(payload, on_event));
    }

    fn on_frame<T: TxQueue>(
        &mut self,
        frame: Frame<'_>,
        now_ns: u64,
        tx: &mut T,
        on_event: &mut impl FnMut(OrderEvent),
    ) -> bool {
        each!(self, session => session.on_frame(frame, now_ns, tx, on_event))
    }

    #[inline]
    fn poll<T: TxQueue>(&mut self, now_ns: u64, tx: &mut T, on_event: &mut impl FnMut(OrderEvent)) {
        each!(self, session => session.poll(now_ns, tx, on_event));
    }

    #[inline]
    fn has_connection(&self) -> bool {
        !matches!(self, Self::Wutf(_))
    }

    fn log_out<T: TxQueue>(&mut self, now_ns: u64, tx: &mut T) {
        each!(self, session => session.log_out(now_ns, tx));
    }

    fn has_left(&self) -> bool {
        each!(self, session => session.has_left())
    }

    fn set_next_hop(&mut self, mac: Option<Mac>) {
        each!(self, session => session.set_next_hop(mac));
    }

    #[inline]
    fn healthy(&self) -> bool {
        each!(self, session => session.healthy())
    }

    fn resume(&mut self) {
        each!(self, session => session.resume());
    }

    fn counters(&self) -> &SessionCounters {
        each!(self, session => session.counters())
    }

    fn connection(&self) -> ConnectionCounters {
        let of = |phase, life: &LifeCounters, soup: &SoupCounters| ConnectionCounters {
            phase: phase_number(phase),
            life: *life,
            soup: *soup,
            ..ConnectionCounters::default()
        };
        match self {
            Self::Wutf(_) => ConnectionCounters::default(),
            Self::Tcp(session) => ConnectionCounters {
                tcp: *session.stream().counters(),
                ..of(session.phase(), session.life_counters(), session.soup_counters())
            },
            Self::Kernel(session) => ConnectionCounters {
                kernel: *session.stream().counters(),
                ..of(session.phase(), session.life_counters(), session.soup_counters())
            },
        }
    }
}
