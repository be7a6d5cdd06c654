//! Files: BinaryFILE ITCH, read and written, and pcap, written.
//!
//! BinaryFILE: each message behind its length (u16, big-endian); a length of 0 ends the session, as does the end of
//! the file. Pcap: the classic format with ns time stamps (magic 0xA1B23C4D), Ethernet, in the writer's byte order
//! fixed to little-endian.

use std::io::{self, Read, Write};

/// Writes a BinaryFILE.
#[derive(Debug)]
pub struct ItchWriter<W> {
    to: W,
}

impl<W: Write> ItchWriter<W> {
    /// A file with no message yet. Give it a buffered writer.
    pub fn new(to: W) -> Self {
        Self { to }
    }

    /// Appends a message.
    ///
    /// # Errors
    /// Those of the writer, and `InvalidInput` for a message of 65,536 bytes or more.
    pub fn write(&mut self, message: &[u8]) -> io::Result<()> {
        let len = u16::try_from(message.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        self.to.write_all(&len.to_be_bytes())?;
        self.to.write_all(message)
    }

    /// Flushes and gives the writer back.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn finish(mut self) -> io::Result<W> {
        self.to.flush()?;
        Ok(self.to)
    }
}

/// Reads a BinaryFILE.
#[derive(Debug)]
pub struct ItchReader<R> {
    from: R,
    message: Vec<u8>,
    read: u64,
}

impl<R: Read> ItchReader<R> {
    /// Reads from the start. Give it a buffered reader.
    pub fn new(from: R) -> Self {
        Self { from, message: Vec::new(), read: 0 }
    }

    /// The next message; `None` at the end.
    ///
    /// # Errors
    /// Those of the reader, and `UnexpectedEof` naming the place when the file ends within a message.
    #[expect(clippy::should_implement_trait, reason = "it lends its buffer, which an Iterator cannot")]
    pub fn next(&mut self) -> io::Result<Option<&[u8]>> {
        let cut = |read: u64| {
            io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("the file ends within a message, at byte {read}"),
            )
        };
        let mut len = [0; 2];
        loop {
            match self.from.read(&mut len[..1]) {
                Ok(0) => return Ok(None),
                Ok(_) => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.from.read_exact(&mut len[1..]).map_err(|_| cut(self.read))?;
        let len = u16::from_be_bytes(len);
        if len == 0 {
            return Ok(None);
        }
        self.message.resize(usize::from(len), 0);
        self.from.read_exact(&mut self.message).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => cut(self.read),
            _ => error,
        })?;
        self.read += 2 + u64::from(len);
        Ok(Some(&self.message))
    }
}

/// The time stamp inside an ITCH message, ns since midnight; `None` when it is too short to have one.
#[must_use]
pub fn itch_time(message: &[u8]) -> Option<u64> {
    let time = message.get(5..11)?;
    Some(time.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

/// Writes a pcap file.
#[derive(Debug)]
pub struct PcapWriter<W> {
    to: W,
}

/// The most bytes of a frame that a pcap reader has to expect.
const SNAP: u32 = 65_535;

impl<W: Write> PcapWriter<W> {
    /// A file with no frame yet. Give it a buffered writer.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn new(mut to: W) -> io::Result<Self> {
        let mut header = [0; 24];
        header[..4].copy_from_slice(&0xA1B2_3C4D_u32.to_le_bytes());
        header[4..6].copy_from_slice(&2u16.to_le_bytes());
        header[6..8].copy_from_slice(&4u16.to_le_bytes());
        header[16..20].copy_from_slice(&SNAP.to_le_bytes());
        header[20..].copy_from_slice(&1u32.to_le_bytes());
        to.write_all(&header)?;
        Ok(Self { to })
    }

    /// Appends a frame that was seen `time` ns after 1970.
    ///
    /// # Errors
    /// Those of the writer, and `InvalidInput` for a time after 2106 or a frame longer than 65,535 bytes.
    pub fn write(&mut self, time: u64, frame: &[u8]) -> io::Result<()> {
        let seconds = u32::try_from(time / 1_000_000_000).map_err(|_| io::ErrorKind::InvalidInput)?;
        let len = u32::try_from(frame.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        if len > SNAP {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut header = [0; 16];
        header[..4].copy_from_slice(&seconds.to_le_bytes());
        header[4..8].copy_from_slice(&((time % 1_000_000_000) as u32).to_le_bytes());
        header[8..12].copy_from_slice(&len.to_le_bytes());
        header[12..].copy_from_slice(&len.to_le_bytes());
        self.to.write_all(&header)?;
        self.to.write_all(frame)
    }

    /// Flushes and gives the writer back.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn finish(mut self) -> io::Result<W> {
        self.to.flush()?;
        Ok(self.to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_back_and_a_cut_file_is_noticed() {
        let mut writer = ItchWriter::new(Vec::new());
        for message in [&b"abc"[..], b"d", &[9; 300]] {
            writer.write(message).expect("memory");
        }
        assert!(writer.write(&[0; 65_536]).is_err());
        let file = writer.finish().expect("memory");
        assert_eq!(&file[..8], b"\0\x03abc\0\x01d");
        let mut reader = ItchReader::new(&file[..]);
        assert_eq!(reader.next().expect("good"), Some(&b"abc"[..]));
        assert_eq!(reader.next().expect("good"), Some(&b"d"[..]));
        assert_eq!(reader.next().expect("good").map(<[u8]>::len), Some(300));
        assert_eq!(reader.next().expect("good"), None);
        for len in [6, 7, 9, file.len() - 1] {
            let mut reader = ItchReader::new(&file[..len]);
            let error = loop {
                match reader.next() {
                    Ok(Some(_)) => {}
                    Ok(None) => panic!("{len}: not noticed"),
                    Err(error) => break error,
                }
            };
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{len}");
        }
        let mut ended = ItchReader::new(&b"\0\x01x\0\0\0\x01y"[..]);
        assert_eq!(ended.next().expect("good"), Some(&b"x"[..]));
        assert_eq!(ended.next().expect("a length of 0 ends"), None);
    }

    #[test]
    fn bytes_of_a_pcap() {
        let mut writer = PcapWriter::new(Vec::new()).expect("memory");
        writer.write(1_000_000_007, b"frame").expect("memory");
        assert!(writer.write(u64::MAX, b"").is_err());
        let file = writer.finish().expect("memory");
        assert_eq!(file[..24], *b"\x4D\x3C\xB2\xA1\x02\0\x04\0\0\0\0\0\0\0\0\0\xFF\xFF\0\0\x01\0\0\0");
        assert_eq!(file[24..], *b"\x01\0\0\0\x07\0\0\0\x05\0\0\0\x05\0\0\0frame");
    }

    #[test]
    fn the_time_of_a_message() {
        assert_eq!(itch_time(b"X\0\0\0\0\0\0\0\0\x01\x02rest"), Some(0x0102));
        assert_eq!(itch_time(b"X\0\0\0\0\0\0\0\0\x01"), None);
    }
}
