//! One function a decoder: its check on the fuzzer's bytes. The checks are those of `tests/wire_hostile.rs`.

#[path = "../../tests/wire_support/checks.rs"]
mod checks;
#[path = "../../tests/wire_support/samples.rs"]
mod samples;

macro_rules! decoders {
    ($($name:ident for $decoder:ident,)+) => {
        $(
            #[doc = concat!("The check of the decoder `", stringify!($name), "`: panics where it finds a fault.")]
            pub fn $name(bytes: &[u8]) {
                // Either verdict will do; that there is one is what is tested.
                let _ = checks::$name(bytes);
            }
        )+

        /// Name of the target and bytes, for every valid message that we have.
        #[must_use]
        pub fn seeds() -> Vec<(&'static str, Vec<u8>)> {
            let samples = samples::valid().into_iter().chain(samples::strangers());
            samples
                .map(|(decoder, bytes)| match decoder {
                    $( samples::Decoder::$decoder => (stringify!($name), bytes), )+
                })
                .collect()
        }
    };
}

decoders! {
    frame for Frame,
    ethernet for Ethernet,
    ipv4 for Ipv4,
    udp for Udp,
    arp for Arp,
    igmp for Igmp,
    mold for Mold,
    itch for Itch,
    ouch_in for OuchIn,
    ouch_out for OuchOut,
    soup for Soup,
    soup_login for SoupLogin,
    wutf for Wutf,
}

/// Any bytes as a journal, then as records behind a sound head, each as it is and with the checksum that it should have.
pub fn journal(bytes: &[u8]) {
    use wirebook::journal::file::Head;
    use wirebook::journal::{RECORD, checksum};
    read_journal(bytes);
    let head = Head { run: 1, workers: 1, ..Head::default() }.to_bytes();
    read_journal(&[&head, bytes].concat());
    let mut sealed = head;
    for chunk in bytes.chunks_exact(RECORD) {
        let word = |at: &[u8]| at.first_chunk().map_or(0, |word| u64::from_le_bytes(*word));
        let words: Vec<u64> = chunk[8..].chunks_exact(8).map(word).collect();
        sealed.extend(checksum(1, &words).to_le_bytes());
        sealed.extend(&chunk[8..]);
    }
    read_journal(&sealed);
}

/// Reads to the end; every record has a line.
fn read_journal(bytes: &[u8]) {
    use wirebook::journal::{RECORD, file::Reader};
    let Ok(mut reader) = Reader::new(bytes) else { return };
    let mut records = 0;
    // Reading from memory does not fail.
    while let Ok(Some(record)) = reader.next_record() {
        records += 1;
        assert!(!record.line(reader.head()).is_empty());
    }
    assert!(records <= bytes.len() / RECORD);
}
