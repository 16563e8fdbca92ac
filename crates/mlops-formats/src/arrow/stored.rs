//! Buffers of an Arrow batch as they are in the file, compressed or not: read from front to back through a small
//! window, or at any place where values refer to places.
//!
//! Not for what the bytes mean: see [`super::column`].

use std::io::{self, Read};

use polars_arrow_format::ipc::CompressionType;

use crate::file::Window;
use crate::packed::guarded;

/// Bytes of a buffer with views that are read at a time.
const PAGE: usize = 1 << 16;

/// A file that cannot be what it is said to be.
pub(super) fn damaged(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// The bytes of a buffer, from front to back.
pub(super) struct Stored {
    input: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    at: usize,
    /// Bytes that are read at a time.
    size: usize,
}

/// The unpacked bytes of the buffer in `window`; `None` if it is not packed.
fn unpacked(
    mut window: Window,
    packing: Option<CompressionType>,
) -> io::Result<(Box<dyn Read + Send>, u64, bool)> {
    let length = window.len();
    let Some(packing) = packing.filter(|_| length > 0) else {
        return Ok((Box::new(window), length, false));
    };
    let mut size = [0; 8];
    window.read_exact(&mut size)?;
    let size = i64::from_le_bytes(size);
    let window = window.part(8, u64::MAX);
    let length = window.len();
    if size == -1 {
        return Ok((Box::new(window), length, false));
    }
    let size = u64::try_from(size).map_err(|_| damaged("a buffer has less than no bytes"))?;
    let unpacked: Box<dyn Read + Send> = match packing {
        CompressionType::Lz4Frame => Box::new(lz4_flex::frame::FrameDecoder::new(window)),
        CompressionType::Zstd => Box::new(zstd::stream::read::Decoder::new(window)?),
    };
    Ok((guarded(Box::new(unpacked.take(size)), move || length), size, true))
}

impl Stored {
    /// The buffer in `window`, of which `size` bytes are read at a time.
    pub(super) fn of(
        window: Window,
        packing: Option<CompressionType>,
        size: usize,
    ) -> io::Result<Self> {
        let (input, ..) = unpacked(window, packing)?;
        Ok(Self { input, buffer: Vec::new(), at: 0, size })
    }

    /// The next `n` bytes.
    pub(super) fn take(&mut self, n: usize) -> io::Result<&[u8]> {
        if self.buffer.len() - self.at < n {
            self.buffer.drain(..self.at);
            self.at = 0;
            let most = self.size.max(n) - self.buffer.len();
            self.input.by_ref().take(most as u64).read_to_end(&mut self.buffer)?;
            if self.buffer.len() < n {
                return Err(damaged("a column has fewer values than rows"));
            }
        }
        let at = self.at;
        self.at += n;
        Ok(&self.buffer[at..at + n])
    }

    /// The next `N` bytes.
    pub(super) fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    /// Passes over `n` bytes.
    pub(super) fn skip(&mut self, n: u64) -> io::Result<()> {
        let buffered = (self.buffer.len() - self.at) as u64;
        if n <= buffered {
            self.at += usize::try_from(n).unwrap_or(0);
            return Ok(());
        }
        self.buffer.clear();
        self.at = 0;
        let skipped = io::copy(&mut self.input.by_ref().take(n - buffered), &mut io::sink())?;
        if skipped < n - buffered {
            return Err(damaged("a column has fewer values than rows"));
        }
        Ok(())
    }
}

/// The bits of a buffer, from front to back.
pub(super) struct Bits {
    bytes: Stored,
    present: u8,
    left: u8,
}

impl Bits {
    /// The bits of `bytes`.
    pub(super) fn of(bytes: Stored) -> Self {
        Self { bytes, present: 0, left: 0 }
    }

    /// The next bit.
    pub(super) fn next(&mut self) -> io::Result<bool> {
        if self.left == 0 {
            [self.present] = self.bytes.array()?;
            self.left = 8;
        }
        let bit = self.present & 1 == 1;
        self.present >>= 1;
        self.left -= 1;
        Ok(bit)
    }
}

/// A buffer that is read at any place.
pub(super) enum Pool {
    /// As it lies in the file, with the page that was read last and where it begins.
    File(Window, Vec<u8>, u64),
    /// Unpacked.
    Memory(Vec<u8>),
}

impl Pool {
    /// The buffer in `window`, of which at most `left` bytes may be unpacked.
    pub(super) fn of(
        window: &Window,
        packing: Option<CompressionType>,
        left: &mut u64,
    ) -> io::Result<Self> {
        let (mut input, size, is_packed) = unpacked(window.clone(), packing)?;
        if !is_packed {
            let start = window.len() - size;
            return Ok(Self::File(window.part(start, size), Vec::new(), 0));
        }
        *left = left.checked_sub(size).ok_or_else(|| {
            damaged(
                "the texts of one batch take too much memory once they are unpacked: write batches of \
                 fewer rows",
            )
        })?;
        let mut bytes = Vec::new();
        input.read_to_end(&mut bytes)?;
        Ok(Self::Memory(bytes))
    }

    /// The `length` bytes from `start` on.
    pub(super) fn get(&mut self, start: u64, length: usize) -> io::Result<&[u8]> {
        let outside = || damaged("a text lies outside its buffer");
        let (page, first) = match self {
            Self::Memory(bytes) => (bytes, 0),
            Self::File(window, page, first) => {
                let end = start.saturating_add(length as u64);
                if start < *first || end > *first + page.len() as u64 {
                    page.clear();
                    let mut part = window.part(start, length.max(PAGE) as u64);
                    part.read_to_end(page)?;
                    *first = start;
                }
                (page, *first)
            }
        };
        let start = usize::try_from(start - first).map_err(|_| outside())?;
        page.get(start..).and_then(|rest| rest.get(..length)).ok_or_else(outside)
    }
}
