//! Fixed message layouts, declared once as the document's table prints them: field, type, offset.
//!
//! From one declaration come the accessors, the length, the type byte and a table of the fields ([`Field`]) that tests
//! walk. At compile time each layout must tile its message: fields in order, no hole, no overlap, no byte left over. So
//! no accessor can read outside, and after inlining none has a bounds check.

/// How the bytes of a field are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// One byte, usually an ASCII code.
    Char,
    /// Unsigned integer.
    Uint,
    /// ASCII text, left-justified, padded with spaces on the right.
    Alpha,
    /// Price with four implied decimals.
    Price4,
    /// Price with eight implied decimals.
    Price8,
}

/// One field of a fixed layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Name of the accessor.
    pub name: &'static str,
    /// Bytes before it, counted from the type byte.
    pub offset: usize,
    /// Bytes it takes.
    pub len: usize,
    /// How it is read.
    pub kind: FieldKind,
}

/// True if `fields` follow one another from 0 to `len` exactly.
pub(crate) const fn tiles(fields: &[Field], len: usize) -> bool {
    let mut at = 0;
    let mut i = 0;
    while i < fields.len() {
        if fields[i].offset != at || fields[i].len == 0 {
            return false;
        }
        at += fields[i].len;
        i += 1;
    }
    at == len
}

/// `N` bytes of `bytes` from `at`; every caller's `at + N <= LEN` is proved by [`tiles`], so the zeros never show.
#[inline(always)]
pub(crate) const fn chunk<const N: usize, const LEN: usize>(bytes: &[u8; LEN], at: usize) -> [u8; N] {
    if let Some((_, rest)) = bytes.split_at_checked(at)
        && let Some(chunk) = rest.first_chunk()
    {
        *chunk
    } else {
        [0; N]
    }
}

/// Writes `value` into `bytes` at `at`; in bounds by [`tiles`], as for [`chunk`].
#[inline(always)]
pub(crate) const fn put<const N: usize, const LEN: usize>(bytes: &mut [u8; LEN], at: usize, value: [u8; N]) {
    if let Some((_, rest)) = bytes.split_at_mut_checked(at)
        && let Some(place) = rest.first_chunk_mut()
    {
        *place = value;
    }
}

/// A 48-bit integer (ITCH timestamps). In two parts, which compiles to two loads and one swap.
#[inline(always)]
pub(crate) const fn u48([h0, h1, l0, l1, l2, l3]: [u8; 6]) -> u64 {
    (u16::from_be_bytes([h0, h1]) as u64) << 32 | u32::from_be_bytes([l0, l1, l2, l3]) as u64
}

/// The Rust type of a field type.
macro_rules! value_of {
    (char) => {
        u8
    };
    (u16) => {
        u16
    };
    (u32) => {
        u32
    };
    (u48) => {
        u64
    };
    (u64) => {
        u64
    };
    (alpha2) => {
        [u8; 2]
    };
    (alpha4) => {
        [u8; 4]
    };
    (alpha8) => {
        [u8; 8]
    };
    (alpha14) => {
        [u8; 14]
    };
    (price4) => {
        u32
    };
    (price4_wide) => {
        u64
    };
    (price8) => {
        u64
    };
}

/// Length and kind of a field type.
macro_rules! field_of {
    ($name:ident, $at:expr, char) => { field_of!(@ $name, $at, 1, Char) };
    ($name:ident, $at:expr, u16) => { field_of!(@ $name, $at, 2, Uint) };
    ($name:ident, $at:expr, u32) => { field_of!(@ $name, $at, 4, Uint) };
    ($name:ident, $at:expr, u48) => { field_of!(@ $name, $at, 6, Uint) };
    ($name:ident, $at:expr, u64) => { field_of!(@ $name, $at, 8, Uint) };
    ($name:ident, $at:expr, alpha2) => { field_of!(@ $name, $at, 2, Alpha) };
    ($name:ident, $at:expr, alpha4) => { field_of!(@ $name, $at, 4, Alpha) };
    ($name:ident, $at:expr, alpha8) => { field_of!(@ $name, $at, 8, Alpha) };
    ($name:ident, $at:expr, alpha14) => { field_of!(@ $name, $at, 14, Alpha) };
    ($name:ident, $at:expr, price4) => { field_of!(@ $name, $at, 4, Price4) };
    ($name:ident, $at:expr, price4_wide) => { field_of!(@ $name, $at, 8, Price4) };
    ($name:ident, $at:expr, price8) => { field_of!(@ $name, $at, 8, Price8) };
    (@ $name:ident, $at:expr, $len:literal, $kind:ident) => {
        $crate::wire::Field {
            name: stringify!($name),
            offset: $at,
            len: $len,
            kind: $crate::wire::FieldKind::$kind,
        }
    };
}

/// Reads a field out of `&[u8; LEN]`.
macro_rules! get_field {
    ($bytes:expr, $at:expr, char) => {
        u8::from_be_bytes($crate::wire::layout::chunk($bytes, $at))
    };
    ($bytes:expr, $at:expr, u48) => {
        $crate::wire::layout::u48($crate::wire::layout::chunk($bytes, $at))
    };
    ($bytes:expr, $at:expr, u16) => {
        u16::from_be_bytes($crate::wire::layout::chunk($bytes, $at))
    };
    ($bytes:expr, $at:expr, u32) => {
        u32::from_be_bytes($crate::wire::layout::chunk($bytes, $at))
    };
    ($bytes:expr, $at:expr, u64) => {
        u64::from_be_bytes($crate::wire::layout::chunk($bytes, $at))
    };
    ($bytes:expr, $at:expr, price4) => {
        u32::from_be_bytes($crate::wire::layout::chunk($bytes, $at))
    };
    ($bytes:expr, $at:expr, price4_wide) => {
        u64::from_be_bytes($crate::wire::layout::chunk($bytes, $at))
    };
    ($bytes:expr, $at:expr, price8) => {
        u64::from_be_bytes($crate::wire::layout::chunk($bytes, $at))
    };
    ($bytes:expr, $at:expr, $alpha:ident) => {
        $crate::wire::layout::chunk($bytes, $at)
    };
}

/// Writes a field into `&mut [u8; LEN]`.
macro_rules! put_field {
    ($bytes:expr, $at:expr, alpha4, $value:expr) => {
        $crate::wire::layout::put($bytes, $at, $value)
    };
    ($bytes:expr, $at:expr, alpha8, $value:expr) => {
        $crate::wire::layout::put($bytes, $at, $value)
    };
    ($bytes:expr, $at:expr, alpha14, $value:expr) => {
        $crate::wire::layout::put($bytes, $at, $value)
    };
    ($bytes:expr, $at:expr, $integer:ident, $value:expr) => {
        $crate::wire::layout::put($bytes, $at, $value.to_be_bytes())
    };
}

/// One message as plain values, `$name`, and a writer `$patch<'_>` for single fields of one that is already in place.
macro_rules! record {
    (
        $(#[$meta:meta])*
        $name:ident patched by $patch:ident, $tag:literal, $len:literal,
        { $( $(#[$fdoc:meta])* $field:ident : $kind:ident @ $at:literal, )* }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name {
            $( $(#[$fdoc])* pub $field: value_of!($kind), )*
        }

        impl $name {
            /// Bytes of the fixed layout, the type byte included.
            pub const LEN: usize = $len;
            /// The type byte.
            pub const TYPE: u8 = $tag;
            /// Every field, in wire order.
            pub const LAYOUT: &'static [$crate::wire::Field] = &[
                field_of!(type, 0, char),
                $( field_of!($field, $at, $kind), )*
            ];

            /// Reads the fixed layout; the type byte is the caller's to look at.
            #[inline]
            #[must_use]
            pub const fn read(_bytes: &[u8; $len]) -> Self {
                Self { $( $field: get_field!(_bytes, $at, $kind), )* }
            }

            /// Writes the fixed layout, type byte included.
            #[inline]
            pub const fn write(&self, bytes: &mut [u8; $len]) {
                $crate::wire::layout::put(bytes, 0, [$tag]);
                $( put_field!(bytes, $at, $kind, self.$field); )*
            }
        }

        #[doc = concat!("Overwrites single fields of a [`", stringify!($name), "`] that is already in place.")]
        ///
        /// For frames that are prepared once and patched per order: one store a call.
        #[derive(Debug)]
        pub struct $patch<'b>(&'b mut [u8; $len]);

        impl<'b> $patch<'b> {
            /// Over the start of `bytes`; `None` unless the message is there, with its type byte.
            #[inline]
            #[must_use]
            pub fn new_checked(bytes: &'b mut [u8]) -> Option<Self> {
                let bytes = bytes.first_chunk_mut()?;
                if *bytes.first()? == $tag { Some(Self(bytes)) } else { None }
            }

            /// The fixed layout as it stands.
            #[inline]
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $len] {
                self.0
            }

            $(
                $(#[$fdoc])*
                #[inline(always)]
                pub const fn $field(&mut self, value: value_of!($kind)) -> &mut Self {
                    put_field!(self.0, $at, $kind, value);
                    self
                }
            )*
        }

        const _: () = assert!($crate::wire::layout::tiles($name::LAYOUT, $name::LEN));
    };
}

/// One message view: `$name<'a>` over `&'a [u8; $len]`.
macro_rules! layout {
    (
        $(#[$meta:meta])*
        $name:ident, $tag:literal, $len:literal,
        { $( $(#[$cdoc:meta])* $common:ident : $ckind:ident @ $cat:literal, )* }
        { $( $(#[$fdoc:meta])* $field:ident : $kind:ident @ $at:literal, )* }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq)]
        pub struct $name<'a>(&'a [u8; $len]);

        impl<'a> $name<'a> {
            /// Bytes of the fixed layout, the type byte included.
            pub const LEN: usize = $len;
            /// The type byte.
            pub const TYPE: u8 = $tag;
            /// Every field, in wire order.
            pub const LAYOUT: &'static [$crate::wire::Field] = &[
                field_of!(type, 0, char),
                $( field_of!($common, $cat, $ckind), )*
                $( field_of!($field, $at, $kind), )*
            ];

            /// The bytes of the fixed layout.
            #[inline(always)]
            #[must_use]
            pub const fn as_bytes(&self) -> &'a [u8; $len] {
                self.0
            }

            $(
                $(#[$cdoc])*
                #[inline(always)]
                #[must_use]
                pub const fn $common(&self) -> value_of!($ckind) {
                    get_field!(self.0, $cat, $ckind)
                }
            )*
            $(
                $(#[$fdoc])*
                #[inline(always)]
                #[must_use]
                pub const fn $field(&self) -> value_of!($kind) {
                    get_field!(self.0, $at, $kind)
                }
            )*
        }

        impl std::fmt::Debug for $name<'_> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($name))
                    $( .field(stringify!($common), &self.$common()) )*
                    $( .field(stringify!($field), &self.$field()) )*
                    .finish()
            }
        }

        const _: () = assert!($crate::wire::layout::tiles($name::LAYOUT, $name::LEN));
    };
}

/// All messages of one direction of a protocol: the views and the enum over them.
///
/// `split` matches the type byte and cuts the fixed part off; what may follow it is the protocol's own business.
macro_rules! messages {
    (
        $(#[$emeta:meta])*
        pub enum $enum:ident;
        common $common:tt
        $( $(#[$meta:meta])* $name:ident $tag:literal $len:literal $fields:tt )+
    ) => {
        $( layout! { $(#[$meta])* $name, $tag, $len, $common $fields } )+

        $(#[$emeta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $enum<'a> {
            $( $(#[$meta])* $name($name<'a>), )+
            /// A type that this version does not know: to be skipped, never fatal.
            Unknown {
                /// Its type byte.
                message_type: u8,
                /// All of its bytes, the type byte included.
                bytes: &'a [u8],
            },
        }

        impl<'a> $enum<'a> {
            /// Name, type byte, fixed length and fields of every known type.
            pub const LAYOUTS: &'static [(&'static str, u8, usize, &'static [$crate::wire::Field])] =
                &[$( (stringify!($name), $tag, $len, $name::LAYOUT), )+];

            /// The type byte.
            #[inline]
            #[must_use]
            pub const fn message_type(&self) -> u8 {
                match self {
                    $( Self::$name(_) => $tag, )+
                    Self::Unknown { message_type, .. } => *message_type,
                }
            }

            /// The bytes of the fixed layout; all bytes of an unknown type.
            #[inline]
            #[must_use]
            pub const fn as_bytes(&self) -> &'a [u8] {
                match self {
                    $( Self::$name(view) => view.0, )+
                    Self::Unknown { bytes, .. } => bytes,
                }
            }

            /// The message whose type byte is `message_type`, and the bytes after its fixed layout; `Err` holds the
            /// fixed length where `bytes` is shorter. An unknown type takes all bytes.
            #[inline(always)]
            pub(in crate::wire) fn split(message_type: u8, bytes: &'a [u8]) -> Result<(Self, &'a [u8]), usize> {
                match message_type {
                    $(
                        $tag => match bytes.split_first_chunk() {
                            Some((fixed, tail)) => Ok((Self::$name($name(fixed)), tail)),
                            None => Err($len),
                        },
                    )+
                    _ => Ok((Self::Unknown { message_type, bytes }, &[])),
                }
            }
        }
    };
}
