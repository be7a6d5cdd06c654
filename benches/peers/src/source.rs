//! Streams: generated, or from a file of length-prefixed ITCH 5.0 (each message behind its 16-bit big-endian length).

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use crate::packets::{Packed, blocks};
use crate::stream::{Facts, Shape, Stream};

/// Messages that are made at once.
const BLOCK: usize = 1 << 16;

/// Where a stream comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// It is made.
    Shape(Shape),
    /// It is read.
    File(PathBuf),
}

impl Source {
    /// The stream called `name`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let shape = match name {
            "syn20m" => Shape::SYN20M,
            "syn40m" => Shape::SYN40M,
            "day" => Shape::DAY,
            _ => Shape::live_of(name.strip_prefix("live")?.parse().ok()?),
        };
        Some(Self::Shape(shape))
    }

    /// The stream in memory, packed; at most `most` messages of it. Of what was made also what the maker says of it.
    ///
    /// # Errors
    /// The file cannot be read, or ends within a message.
    pub fn load(&self, most: u64) -> io::Result<(Packed, Option<Facts>)> {
        match self {
            Self::Shape(shape) => {
                let shape = Shape { messages: shape.messages.min(most), ..*shape };
                let mut stream = Stream::new(&shape);
                let mut packed = Packed::with_room_for(shape.messages);
                each_block(&mut stream, |bytes| {
                    blocks(bytes).for_each(|block| packed.push(block));
                    Ok(())
                })?;
                packed.close();
                Ok((packed, Some(stream.facts())))
            }
            Self::File(path) => Ok((read(path, most)?, None)),
        }
    }

    /// Writes the stream to a file, each message behind its length.
    ///
    /// # Errors
    /// The file cannot be written, or the stream is a file itself.
    pub fn write(&self, path: &Path, most: u64) -> io::Result<u64> {
        let Self::Shape(shape) = self else { return Err(io::ErrorKind::InvalidInput.into()) };
        let shape = Shape { messages: shape.messages.min(most), ..*shape };
        let mut stream = Stream::new(&shape);
        let mut file = BufWriter::new(File::create(path)?);
        each_block(&mut stream, |bytes| file.write_all(bytes))?;
        file.flush()?;
        Ok(stream.facts().messages)
    }
}

fn each_block(stream: &mut Stream, mut each: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut bytes = Vec::new();
    while stream.fill(&mut bytes, BLOCK) > 0 {
        each(&bytes)?;
        bytes.clear();
    }
    Ok(())
}

fn read(path: &Path, most: u64) -> io::Result<Packed> {
    let file = File::open(path)?;
    // A message takes about 33 bytes; room for a few more.
    let room = file.metadata()?.len() / 33;
    let mut file = BufReader::with_capacity(1 << 20, file);
    let mut packed = Packed::with_room_for(room.min(most));
    let mut block = [0; 1 << 16];
    while packed.messages() < most {
        let mut length = [0; 2];
        if file.read(&mut length[..1])? == 0 {
            break;
        }
        file.read_exact(&mut length[1..])?;
        let block = &mut block[..usize::from(u16::from_be_bytes(length))];
        file.read_exact(block)?;
        if block.is_empty() {
            // The end of a session, as these files mark it.
            break;
        }
        packed.push(block);
    }
    packed.close();
    Ok(packed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let source = Source::named("syn20m").unwrap();
        let path = std::env::temp_dir().join(format!("book-bench-{}.itch", std::process::id()));
        assert_eq!(source.write(&path, 50_000).unwrap(), 50_000);
        let back = Source::File(path.clone()).load(u64::MAX).unwrap().0;
        std::fs::remove_file(&path).unwrap();
        let (made, facts) = source.load(50_000).unwrap();
        assert_eq!(facts.unwrap().messages, 50_000);
        let all = |packed: &Packed| -> Vec<u8> {
            packed.packets(u64::MAX).0.iter().flat_map(|packet| packet.payload.to_vec()).collect()
        };
        assert!(all(&back) == all(&made));
        assert_eq!(back.messages(), 50_000);
    }

    #[test]
    fn names() {
        assert!(
            matches!(Source::named("live100000"), Some(Source::Shape(shape)) if shape.live / 10_000 == 10)
        );
        assert!(Source::named("live").is_none() && Source::named("syn60m").is_none());
    }
}
