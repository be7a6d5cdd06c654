//! Order messages as their bytes, laid out by hand. TotalView-ITCH 5.0, sections 1.3 to 1.6.

/// One message, without length field.
pub(crate) type Message = Vec<u8>;

/// What every message begins with.
fn head(kind: u8, locate: u16, len: usize) -> Message {
    let mut bytes = Vec::with_capacity(len);
    bytes.push(kind);
    bytes.extend(locate.to_be_bytes());
    // Tracking number; 10:00 in ns since midnight, 6 bytes.
    bytes.extend([0, 7]);
    bytes.extend(&36_000_000_000_000_u64.to_be_bytes()[2..]);
    bytes
}

fn shares_and_ref(kind: u8, locate: u16, order_ref: u64, shares: u32, len: usize) -> Message {
    let mut bytes = head(kind, locate, len);
    bytes.extend(order_ref.to_be_bytes());
    bytes.extend(shares.to_be_bytes());
    bytes
}

/// `R`: a common stock of Nasdaq's, in round lots of 100.
pub(crate) fn directory(locate: u16) -> Message {
    let mut bytes = head(b'R', locate, 39);
    bytes.extend(format!("S{locate:<7}").as_bytes());
    bytes.extend(b"QN");
    bytes.extend(100_u32.to_be_bytes());
    bytes.extend(b"NCZ PN 1N");
    bytes.extend(0_u32.to_be_bytes());
    bytes.push(b'N');
    bytes
}

/// `A`, or `F` with a participant.
pub(crate) fn add(kind: u8, locate: u16, order_ref: u64, side: u8, shares: u32, price: u32) -> Message {
    let mut bytes = head(kind, locate, 40);
    bytes.extend(order_ref.to_be_bytes());
    bytes.push(side);
    bytes.extend(shares.to_be_bytes());
    bytes.extend(format!("S{locate:<7}").as_bytes());
    bytes.extend(price.to_be_bytes());
    if kind == b'F' {
        bytes.extend(b"ABCD");
    }
    bytes
}

/// `E`: an execution at the order's own price.
pub(crate) fn execute(locate: u16, order_ref: u64, shares: u32) -> Message {
    let mut bytes = shares_and_ref(b'E', locate, order_ref, shares, 31);
    bytes.extend(9_u64.to_be_bytes());
    bytes
}

/// `C`: an execution at another price.
pub(crate) fn execute_priced(locate: u16, order_ref: u64, shares: u32, price: u32) -> Message {
    let mut bytes = shares_and_ref(b'C', locate, order_ref, shares, 36);
    bytes.extend(9_u64.to_be_bytes());
    bytes.push(b'Y');
    bytes.extend(price.to_be_bytes());
    bytes
}

/// `X`: a part of the order goes.
pub(crate) fn cancel(locate: u16, order_ref: u64, shares: u32) -> Message {
    shares_and_ref(b'X', locate, order_ref, shares, 23)
}

/// `D`: all of it goes.
pub(crate) fn delete(locate: u16, order_ref: u64) -> Message {
    let mut bytes = head(b'D', locate, 19);
    bytes.extend(order_ref.to_be_bytes());
    bytes
}

/// `U`: another order in its stead.
pub(crate) fn replace(locate: u16, order_ref: u64, new_order_ref: u64, shares: u32, price: u32) -> Message {
    let mut bytes = head(b'U', locate, 35);
    bytes.extend(order_ref.to_be_bytes());
    bytes.extend(new_order_ref.to_be_bytes());
    bytes.extend(shares.to_be_bytes());
    bytes.extend(price.to_be_bytes());
    bytes
}
