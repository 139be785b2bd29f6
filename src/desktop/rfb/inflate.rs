//! One zlib stream that lives for many rectangles, decompressed within a bound.

use flate2::{Decompress, FlushDecompress, Status};

use super::ProtocolError;

/// A zlib stream of the connection and the bytes of its last piece.
pub(super) struct Inflate {
    stream: Decompress,
    plain: Vec<u8>,
    /// The encoding that uses it, for messages.
    encoding: &'static str,
}

impl Inflate {
    pub(super) fn new(encoding: &'static str) -> Inflate {
        Inflate {
            stream: Decompress::new(true),
            plain: Vec::new(),
            encoding,
        }
    }

    /// Starts the stream anew.
    pub(super) fn reset(&mut self) {
        self.stream.reset(true);
    }

    /// Decompresses one piece, which ends at a flush point; at most `bound` bytes come out.
    pub(super) fn piece(&mut self, mut data: &[u8], bound: usize) -> Result<&[u8], ProtocolError> {
        let encoding = self.encoding;
        let damaged = |what| ProtocolError::Damaged { encoding, what };
        let too_much = damaged("decompresses to more than its rectangle can hold");
        self.plain.clear();
        loop {
            if self.plain.len() == self.plain.capacity() {
                if self.plain.len() > bound {
                    return Err(too_much);
                }
                self.plain.reserve(self.plain.len().clamp(1 << 16, 1 << 23));
            }
            let (before_in, before_out) = (self.stream.total_in(), self.plain.len());
            let status = self
                .stream
                .decompress_vec(data, &mut self.plain, FlushDecompress::Sync)
                .map_err(|_| damaged("not a zlib stream"))?;
            data = &data[(self.stream.total_in() - before_in) as usize..];
            let grew = self.plain.len() > before_out;
            if status == Status::StreamEnd && !data.is_empty() {
                return Err(damaged("the zlib stream ended early"));
            }
            // Done only when the input is used up and the output had room to spare.
            if data.is_empty() && self.plain.len() < self.plain.capacity() {
                break;
            }
            if !grew && self.stream.total_in() == before_in && self.plain.len() < self.plain.capacity() {
                return Err(damaged("the zlib stream does not advance"));
            }
        }
        if self.plain.len() > bound {
            return Err(too_much);
        }
        Ok(&self.plain)
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.plain.capacity()
    }
}
