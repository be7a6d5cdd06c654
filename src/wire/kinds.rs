//! One declaration for "what can be wrong" and "how often it was".

/// Declares an error enum without payload and the counters that go with it: one documented `u64` a kind, `count` to add
/// one, `rows` to print them.
macro_rules! kinds {
    (
        $(#[$meta:meta])*
        pub enum $name:ident counted by $counters:ident {
            $( $(#[$doc:meta])* $kind:ident as $field:ident = $text:literal, )+
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
        #[repr(u8)]
        pub enum $name {
            $( $(#[$doc])* #[error($text)] $kind, )+
        }

        impl $name {
            /// Every kind, in the order of [`Self::index`].
            pub const ALL: &'static [Self] = &[$( Self::$kind, )+];

            /// Position of the kind in [`Self::ALL`].
            #[inline]
            #[must_use]
            pub const fn index(self) -> usize {
                self as usize
            }

            /// The name that operators see.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $( Self::$kind => stringify!($field), )+ }
            }
        }

        #[doc = concat!("How often each [`", stringify!($name), "`] was seen.")]
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $counters {
            $( $(#[$doc])* pub $field: u64, )+
        }

        impl $counters {
            /// Adds one to the counter of `kind`.
            #[inline]
            pub const fn count(&mut self, kind: $name) {
                let counter = match kind { $( $name::$kind => &mut self.$field, )+ };
                *counter = counter.wrapping_add(1);
            }

            /// Name and value of each counter, in declaration order.
            #[must_use]
            pub const fn rows(&self) -> [(&'static str, u64); $name::ALL.len()] {
                [$( (stringify!($field), self.$field), )+]
            }

            /// All kinds together.
            #[must_use]
            pub const fn total(&self) -> u64 {
                0u64 $( .wrapping_add(self.$field) )+
            }
        }
    };
}
