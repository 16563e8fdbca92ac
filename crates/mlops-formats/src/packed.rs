//! Compressed files: recognises how a file is packed and unpacks it, within limits.
//!
//! Not for archives of several files: see [`crate::archive`].

use std::io::{self, BufReader, Read};

use mlops_core::config::Compression;

use crate::file::Stream;
use crate::gzip;

/// A file may unpack to this many bytes whatever its size.
const ALWAYS: u64 = 1 << 28;
/// Beyond that, to this many times its size.
const RATIO: u64 = 1000;
/// No file may unpack to more.
const MOST: u64 = 1 << 40;
/// The memory that a decoder may take.
const WINDOW_LOG: u32 = 27;

/// How a file that begins with `head` is packed; `None` if it is not.
pub(crate) fn recognise(head: &[u8]) -> Option<Compression> {
    let known: [(&[u8], Compression); 6] = [
        (b"\x1f\x8b\x08", Compression::Gzip),
        (b"\x28\xb5\x2f\xfd", Compression::Zstd),
        (b"BZh", Compression::Bzip2),
        (b"\xfd7zXZ\0", Compression::Xz),
        (b"PK\x03\x04", Compression::Zip),
        (b"PK\x05\x06", Compression::Zip),
    ];
    // A frame that a decoder of Zstandard skips may come first.
    let skipped = head.len() >= 4 && head[0] & 0xf0 == 0x50 && head[1..4] == *b"\x2a\x4d\x18";
    let found = known.iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, found)| *found);
    let found = found.or(skipped.then_some(Compression::Zstd));
    // A text may begin with the letters BZh.
    let digit = head.get(3).is_some_and(|b| (b'1'..=b'9').contains(b));
    let block = |magic: &[u8]| head.get(4..10) == Some(magic);
    let bzip2 = digit && (block(b"1AY&SY") || block(b"\x17\x72\x45\x38\x50\x90"));
    found.filter(|found| *found != Compression::Bzip2 || bzip2)
}

/// The bytes that `packed` unpacks to. `position` tells how many bytes of the file were read.
pub(crate) fn unpack(
    compression: Compression,
    packed: impl Read + Send + 'static,
    size: impl Fn() -> u64 + Send + 'static,
) -> io::Result<Box<dyn Read + Send>> {
    let packed = BufReader::with_capacity(1 << 16, packed);
    let unpacked: Box<dyn Read + Send> = match compression {
        Compression::None | Compression::Zip => Box::new(packed),
        Compression::Gzip => Box::new(gzip::Members::of(packed)),
        Compression::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(packed)),
        Compression::Xz => {
            Box::new(lzma_rust2::XzReader::new_mem_limit(packed, true, 1 << (WINDOW_LOG - 9)))
        }
        Compression::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(packed)?;
            decoder.window_log_max(WINDOW_LOG)?;
            Box::new(decoder)
        }
    };
    Ok(guarded(unpacked, size))
}

/// The bytes of `unpacked`, within limits, of which `size` tells how many were read in their packing.
pub(crate) fn guarded(
    unpacked: Box<dyn Read + Send>,
    size: impl Fn() -> u64 + Send + 'static,
) -> Box<dyn Read + Send> {
    Box::new(Guarded { unpacked, size: Box::new(size), given: 0 })
}

/// The bytes that a file unpacks to.
pub(crate) fn stream(
    compression: Compression,
    stream: &Stream,
) -> io::Result<Box<dyn Read + Send>> {
    if compression == Compression::None {
        return Ok(Box::new(stream.clone()));
    }
    let read = stream.clone();
    unpack(compression, stream.clone(), move || read.position())
}

/// Ends with an error when far more bytes come out than went in, and says of damage what it is.
struct Guarded {
    unpacked: Box<dyn Read + Send>,
    size: Box<dyn Fn() -> u64 + Send>,
    given: u64,
}

impl Read for Guarded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.unpacked.read(buffer).map_err(|e| match e.kind() {
            io::ErrorKind::UnexpectedEof => {
                io::Error::new(e.kind(), "the compressed file is cut off: copy it again")
            }
            io::ErrorKind::InvalidData
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::OutOfMemory
            | io::ErrorKind::Unsupported
            | io::ErrorKind::Other => io::Error::new(
                io::ErrorKind::InvalidData,
                format!("it cannot be unpacked: {e}: copy it again, or unpack it yourself"),
            ),
            _ => e,
        })?;
        self.given += n as u64;
        if self.given > MOST || (self.given > ALWAYS && self.given / RATIO > (self.size)()) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!(
                    "it unpacks to more than {RATIO} times its size, or to more than {} TiB, as only \
                     decompression bombs do: unpack it yourself if it is meant",
                    MOST >> 40
                ),
            ));
        }
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unpacked(compression: Compression, packed: Vec<u8>) -> io::Result<Vec<u8>> {
        let size = packed.len() as u64;
        let mut bytes = Vec::new();
        unpack(compression, io::Cursor::new(packed), move || size)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    #[test]
    fn several_members_are_one_text_and_damage_is_told() {
        let member = |text: &[u8]| {
            let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            io::Write::write_all(&mut packer, text).unwrap();
            packer.finish().unwrap()
        };
        let whole = [member(b"a,b\n1,"), member(b"2\n")].concat();
        assert_eq!(recognise(&whole), Some(Compression::Gzip));
        assert_eq!(unpacked(Compression::Gzip, whole.clone()).unwrap(), b"a,b\n1,2\n");
        let cut = unpacked(Compression::Gzip, whole[..whole.len() - 5].to_vec()).unwrap_err();
        assert!(cut.to_string().contains("cut off"), "{cut}");
        // A last block is filled with zeros, which is no reason to refuse it; anything else is one.
        let padded = [&whole[..], &[0; 512]].concat();
        assert_eq!(unpacked(Compression::Gzip, padded).unwrap(), b"a,b\n1,2\n");
        let followed = unpacked(Compression::Gzip, [&whole[..], b"garbage"].concat()).unwrap_err();
        assert!(followed.to_string().contains("follows its end"), "{followed}");
        let mut damaged = whole;
        let last = damaged.len() - 6;
        damaged[last] ^= 1;
        let damaged = unpacked(Compression::Gzip, damaged).unwrap_err();
        assert!(damaged.to_string().contains("cannot be unpacked"), "{damaged}");
    }

    #[test]
    fn bombs_end_early() {
        let size = 1000;
        let mut bomb = guarded(Box::new(io::repeat(0)), move || size);
        let mut given = 0;
        let mut buffer = vec![0; 1 << 20];
        let error = loop {
            match bomb.read(&mut buffer) {
                Ok(n) => given += n as u64,
                Err(error) => break error.to_string(),
            }
        };
        assert!(error.contains("bomb") && given <= ALWAYS + RATIO * size, "{given}: {error}");
        // What unpacks to a little more than usual is none.
        let bytes = io::repeat(0).take(RATIO * size);
        let mut unpacked = guarded(Box::new(bytes), move || size);
        assert_eq!(io::copy(&mut unpacked, &mut io::sink()).unwrap(), RATIO * size);
    }

    #[test]
    fn letters_of_a_header_are_no_magic() {
        assert_eq!(recognise(b"BZh9,age,exited\n"), None);
        assert_eq!(recognise(b"BZh91AY&SYabc"), Some(Compression::Bzip2));
        assert_eq!(recognise(b"id,age"), None);
    }
}
