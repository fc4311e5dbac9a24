//! Memory that direct I/O accepts.

/// The strictest alignment that `O_DIRECT` asks for on the usual filesystems, and a page: an aligned buffer of
/// 1 MiB then fits into the 256 pages of one FUSE request.
const ALIGNMENT: usize = 4096;

/// A buffer that begins at a page boundary.
#[derive(Debug)]
pub struct AlignedBuffer {
    /// Never resized, so its address stays.
    memory: Vec<u8>,
    start: usize,
    length: usize,
}

impl AlignedBuffer {
    /// A buffer of `length` bytes, each of them `fill`.
    #[must_use]
    pub fn filled(fill: u8, length: usize) -> Self {
        let memory = vec![fill; length + ALIGNMENT];
        let start = memory.as_ptr().align_offset(ALIGNMENT);
        Self { memory, start, length }
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.memory[self.start..][..self.length]
    }

    /// The bytes, to be written to.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..][..self.length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_begins_at_a_page_and_has_its_length() {
        for length in [1, 4096, 1 << 20] {
            let buffer = AlignedBuffer::filled(7, length);
            assert_eq!(buffer.bytes().len(), length);
            assert_eq!(buffer.bytes().as_ptr().addr() % ALIGNMENT, 0);
        }
    }
}
