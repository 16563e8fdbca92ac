//! Gzip: several members as one text, padded with zeros or not.
//!
//! Not for limits: see [`crate::packed`].

use std::io::{self, BufRead, Read};

use flate2::bufread::GzDecoder;

/// The text of all members.
pub(crate) struct Members<R> {
    member: Option<GzDecoder<R>>,
    /// Something else follows the last member.
    spoilt: bool,
}

impl<R: BufRead> Members<R> {
    /// The text that `packed` unpacks to.
    pub(crate) fn of(packed: R) -> Self {
        Self { member: Some(GzDecoder::new(packed)), spoilt: false }
    }

    /// Goes to the next member, if there is one.
    fn advance(&mut self) -> io::Result<()> {
        let Some(member) = self.member.take() else { return Ok(()) };
        let mut packed = member.into_inner();
        loop {
            let rest = packed.fill_buf()?;
            // Tapes and mainframes fill the last block with zeros.
            let zeros = rest.iter().take_while(|b| **b == 0).count();
            match rest.get(zeros) {
                Some(0x1f) => {
                    packed.consume(zeros);
                    self.member = Some(GzDecoder::new(packed));
                    return Ok(());
                }
                Some(_) => {
                    self.spoilt = true;
                    return Ok(());
                }
                None if zeros == 0 => return Ok(()),
                None => packed.consume(zeros),
            }
        }
    }
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.spoilt {
                let message = "something that is not gzip follows its end";
                return Err(io::Error::new(io::ErrorKind::InvalidData, message));
            }
            let Some(member) = &mut self.member else { return Ok(0) };
            let read = member.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            self.advance()?;
        }
    }
}
