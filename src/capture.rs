//! Recorded market data: pcap, pcapng and Nasdaq BinaryFILE, read as a stream of records; pcapng also [written](mod@write).
//!
//! [`Reader::open`] tells the format by its first bytes; [`Reader::next_record`] hands out one record after the other,
//! borrowed from a buffer of fixed size, whatever the size of the file. Written here rather than taken from a crate,
//! because a replay has to name the offset of what it could not read, has to go on when only the last record is cut
//! off, and has to accept captures that were cut to a snap length.
//!
//! | format | magic | a record is | document |
//! |---|---|---|---|
//! | pcap, µs and ns, either byte order | `a1b2c3d4`, `a1b23c4d` | a link-layer frame | draft-ietf-opsawg-pcap |
//! | pcapng, either byte order | `0a0d0d0a` | a link-layer frame | draft-ietf-opsawg-pcapng |
//! | BinaryFILE | none: a plausible first message | one message behind a 16-bit big-endian length | Nasdaq BinaryFILE |
//!
//! Compressed files are refused, with the name of the tool that unpacks them.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

mod binary_file;
pub mod own;
mod pcap;
mod pcapng;
mod window;
pub mod write;

use own::Own;
use window::Window;

/// Longest record that is believed, in bytes: what libpcap takes for the largest snap length.
pub const MAX_RECORD: usize = 262_144;

/// Link type of Ethernet frames.
pub const LINK_ETHERNET: u16 = 1;

/// What kind of file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// libpcap's first format.
    Pcap,
    /// Its successor.
    PcapNg,
    /// Length-prefixed messages.
    BinaryFile,
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Pcap => "pcap",
            Self::PcapNg => "pcapng",
            Self::BinaryFile => "BinaryFILE",
        })
    }
}

/// One record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// The frame or message.
    pub bytes: &'a [u8],
    /// Capture time, ns since 1970; `None` where the file does not say.
    pub stamp_ns: Option<u64>,
    /// Length on the wire; more than `bytes.len()` where the capture was cut to a snap length.
    pub original_len: u32,
    /// What kind of frame, [`LINK_ETHERNET`] or another of libpcap's numbers; 0 in a BinaryFILE.
    pub link_type: u16,
    /// What the loop knew of it, in captures of our own ([`own`]).
    pub own: Option<Own>,
}

/// How the file ended, where it did not end cleanly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail {
    /// The last record is cut off: everything before `offset` was read.
    Truncated {
        /// Where the unfinished record begins.
        offset: u64,
        /// How many of its bytes are there.
        bytes: u64,
    },
    /// A record of length zero ended the session, and more follows that was not read.
    AfterEnd {
        /// Where the rest begins.
        offset: u64,
    },
}

impl std::fmt::Display for Tail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Truncated { offset, bytes } => {
                write!(
                    f,
                    "the last record, at offset {offset}, is cut off after {bytes} bytes and was left out"
                )
            }
            Self::AfterEnd { offset } => {
                write!(
                    f,
                    "a record of length 0 ends the session; what follows at offset {offset} was not read"
                )
            }
        }
    }
}

/// Why a file cannot be read, or no further.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// It cannot be opened.
    #[error("{name}: cannot be opened: {source}; give a readable capture")]
    Open {
        /// File name as given.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// It cannot be read any further.
    #[error("{name}: cannot read at offset {offset}: {source}")]
    Io {
        /// File name as given.
        name: String,
        /// How far it was read.
        offset: u64,
        /// What the system said.
        source: io::Error,
    },
    /// It is of no known format.
    #[error("{name}: {what}; {remedy}")]
    Format {
        /// File name as given.
        name: String,
        /// What it looks like.
        what: String,
        /// What to do about it.
        remedy: String,
    },
    /// A record makes no sense.
    #[error(
        "{name}: corrupt at offset {offset}: {what}; the records before it are good: `head -c {offset}` keeps them"
    )]
    Corrupt {
        /// File name as given.
        name: String,
        /// Where the record begins.
        offset: u64,
        /// What is wrong with it.
        what: String,
    },
}

/// Why a record is no good; the reader adds name and offset.
enum Fault {
    Io(io::Error),
    Corrupt(String),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// What a format's reader found at the window's start. The bytes it names are still in the window.
enum Step {
    /// A record: where it lies in the window, and how many bytes of the window it takes up.
    Record {
        at: usize,
        len: usize,
        stamp_ns: Option<u64>,
        original_len: u32,
        link_type: u16,
        own: Option<Own>,
        total: usize,
    },
    /// The file ends here.
    End,
    /// The file ends inside a record of which so many bytes are there.
    Truncated(usize),
    /// A mark of so many bytes ends the stream.
    EndMark(usize),
}

/// The format at hand and what its headers said.
enum Decoder {
    Pcap(pcap::Header),
    PcapNg(pcapng::Section),
    BinaryFile,
}

/// Reads the records of a file, one after the other.
pub struct Reader<R> {
    name: String,
    window: Window<R>,
    decoder: Decoder,
    /// Bytes of the record that was handed out last.
    handed_out: usize,
    tail: Option<Tail>,
    ended: bool,
    len: Option<u64>,
}

impl Reader<File> {
    /// Opens a file and finds out what it is.
    ///
    /// # Errors
    /// [`CaptureError`]: not readable, of no known format, or compressed.
    pub fn open(path: &Path) -> Result<Self, CaptureError> {
        let name = path.display().to_string();
        let failed = |source| CaptureError::Open { name: name.clone(), source };
        let file = File::open(path).map_err(failed)?;
        let meta = file.metadata().map_err(failed)?;
        if meta.is_dir() {
            return Err(failed(io::Error::from(io::ErrorKind::IsADirectory)));
        }
        // A pipe has no length; then there is none to show progress by.
        let len = meta.is_file().then_some(meta.len());
        let mut reader = Self::new(name, file)?;
        reader.len = len;
        Ok(reader)
    }
}

impl<R: Read> Reader<R> {
    /// Reads from anything; `name` is what messages call it.
    ///
    /// # Errors
    /// [`CaptureError`]: not readable, of no known format, or compressed.
    pub fn new(name: impl Into<String>, input: R) -> Result<Self, CaptureError> {
        let name = name.into();
        let mut window = Window::new(input);
        let decoder = match detect(&mut window) {
            Ok(decoder) => decoder,
            Err(Undetected::Io(source)) => return Err(CaptureError::Io { name, offset: 0, source }),
            Err(Undetected::Format { what, remedy }) => {
                return Err(CaptureError::Format { name, what, remedy });
            }
        };
        Ok(Self { name, window, decoder, handed_out: 0, tail: None, ended: false, len: None })
    }

    /// What kind of file it is.
    #[must_use]
    pub fn format(&self) -> Format {
        match self.decoder {
            Decoder::Pcap(_) => Format::Pcap,
            Decoder::PcapNg(_) => Format::PcapNg,
            Decoder::BinaryFile => Format::BinaryFile,
        }
    }

    /// Bytes read so far, the record handed out last included.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.window.offset() + self.handed_out as u64
    }

    /// Length of the file, if it has one.
    #[must_use]
    pub fn file_len(&self) -> Option<u64> {
        self.len
    }

    /// How the file ended, once [`Self::next_record`] has returned `None`; `None` = cleanly.
    #[must_use]
    pub fn tail(&self) -> Option<Tail> {
        self.tail
    }

    /// The next record; `None` at the end.
    ///
    /// # Errors
    /// [`CaptureError`]: not readable, or corrupt; then this and every later call fails or ends.
    pub fn next_record(&mut self) -> Result<Option<Record<'_>>, CaptureError> {
        if self.ended {
            return Ok(None);
        }
        self.window.consume(self.handed_out);
        self.handed_out = 0;
        let step = match &mut self.decoder {
            Decoder::Pcap(header) => header.step(&mut self.window),
            Decoder::PcapNg(section) => section.step(&mut self.window),
            Decoder::BinaryFile => binary_file::step(&mut self.window),
        };
        let offset = self.window.offset();
        match step {
            Ok(Step::Record { at, len, stamp_ns, original_len, link_type, own, total }) => {
                self.handed_out = total;
                let bytes = &self.window.bytes()[at..at + len];
                Ok(Some(Record { bytes, stamp_ns, original_len, link_type, own }))
            }
            Ok(Step::End) => {
                self.ended = true;
                Ok(None)
            }
            Ok(Step::Truncated(bytes)) => {
                self.ended = true;
                self.tail = Some(Tail::Truncated { offset, bytes: bytes as u64 });
                Ok(None)
            }
            Ok(Step::EndMark(len)) => {
                self.ended = true;
                let more = self.window.ensure(len + 1).map_err(|source| CaptureError::Io {
                    name: self.name.clone(),
                    offset,
                    source,
                })?;
                self.handed_out = len;
                if more > len {
                    self.tail = Some(Tail::AfterEnd { offset: offset + len as u64 });
                }
                Ok(None)
            }
            Err(fault) => {
                self.ended = true;
                let name = self.name.clone();
                Err(match fault {
                    Fault::Io(source) => CaptureError::Io { name, offset, source },
                    Fault::Corrupt(what) => CaptureError::Corrupt { name, offset, what },
                })
            }
        }
    }
}

/// Why no format was recognised.
enum Undetected {
    Io(io::Error),
    Format { what: String, remedy: String },
}

fn detect<R: Read>(window: &mut Window<R>) -> Result<Decoder, Undetected> {
    let unknown = |what: &str, remedy: &str| {
        Err(Undetected::Format { what: what.to_owned(), remedy: remedy.to_owned() })
    };
    let have = window.ensure(24).map_err(Undetected::Io)?;
    let head = window.bytes();
    if have == 0 {
        return unknown("the file is empty", "give a pcap, pcapng or BinaryFILE capture");
    }
    match *head {
        [0x1f, 0x8b, ..] => return unknown("compressed with gzip", "unpack it first: `gunzip FILE.gz`"),
        [b'B', b'Z', b'h', ..] => {
            return unknown("compressed with bzip2", "unpack it first: `bunzip2 FILE.bz2`");
        }
        [0xfd, b'7', b'z', b'X', b'Z', ..] => {
            return unknown("compressed with xz", "unpack it first: `unxz FILE.xz`");
        }
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            return unknown("compressed with zstd", "unpack it first: `unzstd FILE.zst`");
        }
        [b'P', b'K', 3, 4, ..] => return unknown("a zip archive", "unpack it first: `unzip FILE.zip`"),
        [0xa1, 0xb2, 0xcd, 0x34, ..] | [0x34, 0xcd, 0xb2, 0xa1, ..] => {
            return unknown("a modified pcap", "convert it first: `editcap -F pcap FILE OUT`");
        }
        _ => {}
    }
    if pcapng::is_section(head) {
        return Ok(Decoder::PcapNg(pcapng::Section::default()));
    }
    if pcap::is_pcap(head) {
        return match pcap::Header::parse(head) {
            Some(header) => {
                window.consume(pcap::FILE_HEADER);
                Ok(Decoder::Pcap(header))
            }
            None => unknown(
                "a pcap whose file header is cut off or of another version",
                "capture it again, or convert it: `editcap -F pcap FILE OUT`",
            ),
        };
    }
    if binary_file::is_plausible(head) {
        return Ok(Decoder::BinaryFile);
    }
    unknown(
        "neither pcap, pcapng nor BinaryFILE",
        "a BinaryFILE begins with a 16-bit big-endian length and an ITCH message",
    )
}

#[cfg(test)]
mod tests;
