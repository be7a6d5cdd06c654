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
