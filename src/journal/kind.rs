//! What a record of the journal tells, by number. The numbers are part of the format: none is ever given another meaning.

macro_rules! numbered {
    ($(#[doc = $of:literal])+ $name:ident { $($(#[doc = $doc:literal])+ $variant:ident = $number:literal $word:literal,)+ }) => {
        $(#[doc = $of])+
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum $name {
            #[default]
            $($(#[doc = $doc])+ $variant = $number,)+
        }

        impl $name {
            /// All, by number.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// By number; `None` for one that this version does not know.
            #[must_use]
            pub const fn of(number: u8) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)+ _ => None }
            }

            /// In a word.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
    };
}

numbered! {
    /// What a record tells.
    Kind {
        /// A worker began.
        Start = 1 "start",
        /// It ended by itself: nothing follows of it.
        End = 2 "end",
        /// Orders may leave from here on.
        Armed = 3 "armed",
        /// No new order may leave from here on.
        Disarmed = 4 "disarmed",
        /// The kill switch: `code` is the [`KillCause`](crate::stop::KillCause).
        Killed = 5 "KILLED",
        /// The order session is healthy from here on.
        SessionUp = 6 "session up",
        /// It is not from here on.
        SessionDown = 7 "session down",
        /// Risk cleared an intent: it is about to be handed to the session.
        Cleared = 8 "cleared",
        /// Risk refused an intent: `code` is [`Refusal::index`](crate::risk::Refusal::index).
        Refused = 9 "refused",
        /// The cleared order `order` was handed to the wire.
        Sent = 10 "sent",
        /// It was not, and was taken back: `code` is the [`SendError`](crate::order::SendError).
        Unsent = 11 "not sent",
        /// The venue, or the session itself, said something: `action` says what.
        Event = 12 "event",
        /// `number` records found the ring full and are not in the journal.
        Lost = 13 "LOST",
    }
}

numbered! {
    /// What an intent wants or an event says.
    Action {
        /// Nothing: the kind says all.
        None = 0 "",
        /// A new order.
        Enter = 1 "enter",
        /// A replacement of `other` by `order`.
        Replace = 2 "replace",
        /// A cancel.
        Cancel = 3 "cancel",
        /// `OrderEventKind::Accepted`.
        Accepted = 16 "accepted",
        /// `OrderEventKind::Executed`.
        Executed = 17 "executed",
        /// `OrderEventKind::Canceled`.
        Canceled = 18 "canceled",
        /// `OrderEventKind::Rejected`.
        Rejected = 19 "rejected",
        /// `OrderEventKind::Replaced`.
        Replaced = 20 "replaced",
        /// `OrderEventKind::CancelPending`.
        CancelPending = 21 "cancel pending",
        /// `OrderEventKind::CancelReject`.
        CancelReject = 22 "cancel rejected",
        /// `OrderEventKind::Broken`.
        Broken = 23 "trade broken",
        /// `OrderEventKind::PriorityUpdate`.
        PriorityUpdate = 24 "priority update",
        /// `OrderEventKind::Modified`.
        Modified = 25 "modified",
        /// `OrderEventKind::Restated`.
        Restated = 26 "restated",
        /// `OrderEventKind::System`.
        System = 27 "system event",
        /// `OrderEventKind::NextUserRef`.
        NextUserRef = 28 "next number",
        /// `OrderEventKind::Disconnected`.
        Disconnected = 29 "disconnected",
        /// `OrderEventKind::Resumed`.
        Resumed = 30 "resumed",
        /// `OrderEventKind::Lost`.
        RepliesLost = 31 "replies LOST",
        /// `OrderEventKind::Adopted`: an order of a process before this one.
        Adopted = 32 "adopted",
    }
}
