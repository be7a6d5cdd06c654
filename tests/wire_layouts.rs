//! Every field of every message against the table of facts in `data/layouts.tsv`, which was read off the documents and
//! knows nothing of our code: offset, length and type of each field as declared, and the value that each accessor gives.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use wirebook::wire::ouch::{Inbound, Outbound};
use wirebook::wire::{Field, FieldKind, itch, moldudp64, soup};

/// One row of the table.
#[derive(Clone, Debug, PartialEq)]
struct Fact {
    field: String,
    offset: usize,
    len: usize,
    kind: String,
}

/// Protocol and message, and the fields of that message in order.
fn facts() -> BTreeMap<(String, String), Vec<Fact>> {
    let mut messages: BTreeMap<_, Vec<Fact>> = BTreeMap::new();
    for line in include_str!("data/layouts.tsv").lines().filter(|line| !line.starts_with('#')).skip(1) {
        let columns: Vec<_> = line.split('\t').collect();
        let [protocol, message, field, offset, len, kind] = columns.try_into().unwrap();
        let (offset, len) = (offset.parse().unwrap(), len.parse().unwrap());
        let fact = Fact { field: field.into(), offset, len, kind: kind.into() };
        messages.entry((protocol.into(), message.into())).or_default().push(fact);
    }
    messages
}

fn of_protocol(protocol: &str) -> Vec<(u8, Vec<Fact>)> {
    let of_protocol = facts().into_iter().filter(|((of, _), _)| of == protocol);
    of_protocol.map(|((_, message), fields)| (message.as_bytes()[0], fields)).collect()
}

const fn kind_name(kind: FieldKind) -> &'static str {
    match kind {
        FieldKind::Char => "char",
        FieldKind::Uint => "uint",
        FieldKind::Alpha => "alpha",
        FieldKind::Price4 => "price(4)",
        FieldKind::Price8 => "price(8)",
    }
}

fn declared(layout: &[Field]) -> Vec<Fact> {
    let fact = |field: &Field| Fact {
        field: field.name.into(),
        offset: field.offset,
        len: field.len,
        kind: kind_name(field.kind).into(),
    };
    layout.iter().map(fact).collect()
}

/// The facts without the appendage length, and whether they have one.
fn without_appendage(mut facts: Vec<Fact>, fixed_len: usize) -> (Vec<Fact>, bool) {
    let Some(last) = facts.pop_if(|fact| fact.field == "appendage_length") else { return (facts, false) };
    assert_eq!(
        (last.offset, last.len),
        (fixed_len, 2),
        "the appendage length stands right behind the fixed layout"
    );
    (facts, true)
}

/// A message of the type, each byte different from its neighbours, and what the fields after the type must print as.
fn sample(message_type: u8, name: &str, facts: &[Fact], seed: u8) -> (Vec<u8>, String) {
    let len = facts.last().map_or(0, |last| last.offset + last.len);
    let mut bytes: Vec<u8> = (0..len).map(|i| (i as u8).wrapping_mul(73).wrapping_add(seed)).collect();
    bytes[0] = message_type;
    let mut text = String::new();
    for fact in &facts[1..] {
        let raw = &bytes[fact.offset..fact.offset + fact.len];
        let value = match fact.kind.as_str() {
            "alpha" => format!("{raw:?}"),
            _ => raw.iter().fold(0_u64, |value, byte| value << 8 | u64::from(*byte)).to_string(),
        };
        text += if text.is_empty() { " " } else { ", " };
        text += &format!("{}: {value}", fact.field);
    }
    let text = if text.is_empty() { name.to_owned() } else { format!("{name} {{{text} }}") };
    (bytes, text)
}

#[test]
fn itch_fields_are_where_the_document_has_them() {
    let facts = of_protocol("itch");
    assert_eq!(facts.len(), 23);
    assert_eq!(itch::Message::LAYOUTS.len(), 23);
    for (message_type, facts) in facts {
        let &(name, _, len, layout) =
            itch::Message::LAYOUTS.iter().find(|layout| layout.1 == message_type).unwrap();
        assert_eq!(declared(layout), facts, "{name}");
        for seed in 0..=u8::MAX {
            let (bytes, text) = sample(message_type, name, &facts, seed);
            assert_eq!(bytes.len(), len);
            let message = itch::Message::parse(&bytes).unwrap();
            assert_eq!(format!("{message:?}"), format!("{name}({text})"));
        }
    }
}

#[test]
fn ouch_outbound_fields_are_where_the_document_has_them() {
    let facts = of_protocol("ouch-out");
    assert_eq!(facts.len(), 17);
    assert_eq!(Outbound::LAYOUTS.len(), 17);
    for (message_type, facts) in facts {
        let &(name, _, len, layout) =
            Outbound::LAYOUTS.iter().find(|layout| layout.1 == message_type).unwrap();
        let (facts, _) = without_appendage(facts, len);
        assert_eq!(declared(layout), facts, "{name}");
        for seed in 0..=u8::MAX {
            let (bytes, text) = sample(message_type, name, &facts, seed);
            assert_eq!(bytes.len(), len);
            assert_eq!(format!("{:?}", Outbound::parse(&bytes).unwrap()), format!("{name}({text})"));
        }
    }
}

#[test]
fn ouch_inbound_fields_are_where_the_document_has_them() {
    let facts = of_protocol("ouch-in");
    assert_eq!(facts.len(), 8);
    assert_eq!(Inbound::LAYOUTS.len(), 8);
    for (message_type, facts) in facts {
        let &(name, _, len, appendage, layout) =
            Inbound::LAYOUTS.iter().find(|layout| layout.1 == message_type).unwrap();
        let (facts, has_appendage) = without_appendage(facts, len);
        assert_eq!(appendage, has_appendage, "{name}");
        assert_eq!(declared(layout), facts, "{name}");
        for seed in 0..=u8::MAX {
            let (bytes, text) = sample(message_type, name, &facts, seed);
            assert_eq!(bytes.len(), len);
            let message = Inbound::parse(&bytes).unwrap();
            assert_eq!(format!("{message:?}"), format!("{name}({text}, Options([]))"));
            // Written back, it is the same bytes, with the appendage length where the document of 2023 has one.
            let mut out = [0xEE; 64];
            let emitted = emit(&message, &mut out);
            assert_eq!(&out[..len], bytes);
            assert_eq!(&out[len..emitted], if appendage { &[0, 0][..] } else { &[] });
        }
    }
}

fn emit(message: &Inbound<'_>, out: &mut [u8]) -> usize {
    match message {
        Inbound::EnterOrder(order, options) => order.emit_with(out, *options),
        Inbound::ReplaceOrder(order, options) => order.emit_with(out, *options),
        Inbound::CancelOrder(order, options) => order.emit_with(out, *options),
        Inbound::ModifyOrder(order, options) => order.emit_with(out, *options),
        Inbound::MassCancel(order, options) => order.emit_with(out, *options),
        Inbound::DisableOrderEntry(order, options) => order.emit_with(out, *options),
        Inbound::EnableOrderEntry(order, options) => order.emit_with(out, *options),
        Inbound::AccountQuery(query, options) => query.emit_with(out, *options),
    }
    .unwrap()
}

/// The bytes of one field of a message.
fn field<'a>(bytes: &'a [u8], facts: &[Fact], name: &str) -> &'a [u8] {
    let fact = facts.iter().find(|fact| fact.field == name).unwrap();
    &bytes[fact.offset..fact.offset + fact.len]
}

#[test]
fn moldudp64_headers_are_as_the_document_has_them() {
    let facts = facts();
    let request =
        moldudp64::Request { session: *b"ABCDEFGHIJ", sequence: 0x0102_0304_0506_0708, count: 0x090A };
    let mut bytes = [0; moldudp64::HEADER_LEN];
    request.emit(&mut bytes).unwrap();
    for message in ["packet", "request"] {
        let facts = &facts[&("moldudp64".to_owned(), message.to_owned())];
        assert_eq!(field(&bytes, facts, "session"), b"ABCDEFGHIJ");
        assert_eq!(field(&bytes, facts, "sequence"), [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(field(&bytes, facts, "count"), [9, 10]);
        assert_eq!(facts.last().map(|last| last.offset + last.len), Some(moldudp64::HEADER_LEN));
    }
    bytes[18..].fill(0);
    let packet = moldudp64::Packet::new_checked(&bytes).unwrap();
    assert_eq!((packet.session(), packet.sequence()), (request.session, request.sequence));
}

#[test]
fn soup_logins_are_as_the_document_has_them() {
    let facts = facts();
    let mut bytes = [0; 64];

    let request = soup::LoginRequest {
        username: *b"user  ",
        password: *b"pass      ",
        session: *b"       ABC",
        sequence: 42,
    };
    let len = request.emit(&mut bytes).unwrap();
    let rows = &facts[&("soup".to_owned(), "L".to_owned())];
    assert_eq!(rows.last().map(|last| last.offset + last.len), Some(len));
    assert_eq!(field(&bytes, rows, "length"), (len as u16 - 2).to_be_bytes());
    assert_eq!(field(&bytes, rows, "type"), b"L");
    assert_eq!(field(&bytes, rows, "username"), b"user  ");
    assert_eq!(field(&bytes, rows, "password"), b"pass      ");
    assert_eq!(field(&bytes, rows, "session"), b"       ABC");
    assert_eq!(field(&bytes, rows, "sequence"), b"                  42");

    let accepted = soup::LoginAccepted { session: *b"       ABC", sequence: 42 };
    let len = accepted.emit(&mut bytes).unwrap();
    let rows = &facts[&("soup".to_owned(), "A".to_owned())];
    assert_eq!(rows.last().map(|last| last.offset + last.len), Some(len));
    assert_eq!(field(&bytes, rows, "length"), (len as u16 - 2).to_be_bytes());
    assert_eq!(field(&bytes, rows, "type"), b"A");
    assert_eq!(field(&bytes, rows, "session"), b"       ABC");
    assert_eq!(field(&bytes, rows, "sequence"), b"                  42");
}
