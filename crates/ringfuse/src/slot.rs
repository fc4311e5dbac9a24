//! A *slot* is a request's place from its arrival to its reply.
//!
//! A slot has a header block of [`HEADER_STRIDE`] bytes and a payload. The block begins with the header as the
//! kernel lays it out for the ring (`struct fuse_uring_req_header`: in/out header, operation's argument, entry)
//! and goes on with a [`SlotRecord`], where the parser says where things lie. Both transports fill slots the
//! same way, so nothing above them knows which one is live. TypeScript reads the same memory by offsets
//! generated from these types.

use std::ops::Range;
use std::sync::Arc;

use fuse_abi::{InHeader, OutHeader, UringEntInOut, UringReqHeader, wire_struct};

use crate::error::Result;
use crate::memory::{PAGE_SIZE, Region};

/// Bytes between the header blocks of two slots.
pub const HEADER_STRIDE: usize = 512;

/// Where the operation's argument struct (`op_in`) begins in a header block.
pub const ARGUMENTS: usize = core::mem::offset_of!(UringReqHeader, op_in);

/// Where the [`SlotRecord`] begins in a header block.
pub const RECORD: usize = size_of::<UringReqHeader>();

pub(crate) const ENTRY: usize = core::mem::offset_of!(UringReqHeader, ring_ent_in_out);

wire_struct! {
    /// What the parser found in a slot's request: offsets count from the start of the slot's payload.
    pub struct SlotRecord {
        /// Opcode, as `in_header.opcode`; but an unlock that came as SETLKW, as `fcntl(2)` allows, is a SETLK: it
        /// never waits.
        pub opcode: u32,
        /// [`RecordFlags`] bits.
        pub flags: u32,
        /// Offset of the first name.
        pub name_offset: u32,
        /// Length of the first name, bytes, without its NUL.
        pub name_length: u32,
        /// Offset of the second name (new name, symlink target).
        pub name2_offset: u32,
        /// Length of the second name, bytes, without its NUL.
        pub name2_length: u32,
        /// Offset of the data (bytes to write, xattr value, ioctl input, forget list).
        pub data_offset: u32,
        /// Length of the data, bytes.
        pub data_length: u32,
        /// Offset of the extensions (`struct fuse_ext_header`).
        pub extensions_offset: u32,
        /// Length of the extensions, bytes.
        pub extensions_length: u32,
    }
}

bitflags::bitflags! {
    /// What a slot's record says besides the layout.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub struct RecordFlags: u32 {
        /// The kernel waits for no reply; the slot must be given back all the same.
        const NO_REPLY = 1 << 0;
        /// The argument struct of SETXATTR has `setxattr_flags`.
        const SETXATTR_EXT = 1 << 1;
    }
}

const _: () = assert!(RECORD + size_of::<SlotRecord>() <= HEADER_STRIDE);

/// A slot's index within its channel.
pub type SlotIndex = u32;

/// Payloads of equal size that share one mapping.
#[derive(Debug)]
struct PayloadRegion {
    region: Arc<Region>,
    first_slot: usize,
    slots: usize,
    /// Bytes between two payloads.
    stride: usize,
    /// Bytes before each payload, see [`Slots::add`].
    lead: usize,
}

/// A payload region as seen from outside, to be shown to JavaScript.
#[derive(Debug, Clone)]
pub struct PayloadLayout {
    /// The mapping.
    pub region: Arc<Region>,
    /// Index of the slot whose payload comes first.
    pub first_slot: usize,
    /// How many slots have their payload here.
    pub slots: usize,
    /// Bytes between the starts of two payloads.
    pub stride: usize,
    /// Offset of the first payload.
    pub offset: usize,
}

/// All slots of one channel: room for a number of header blocks, and payloads as they are needed.
#[derive(Debug)]
pub struct Slots {
    headers: Arc<Region>,
    payloads: Vec<PayloadRegion>,
    payload_size: usize,
    capacity: usize,
    count: usize,
    /// Lets a test have no memory for more.
    #[cfg(test)]
    pub(crate) full: bool,
}

impl Slots {
    /// Makes room for `capacity` slots with payloads of `payload_size` bytes (rounded up to pages), and makes none.
    ///
    /// # Errors
    /// [`crate::Error::Memory`].
    pub fn new(capacity: usize, payload_size: usize) -> Result<Self> {
        let headers = Region::new((capacity.max(1) * HEADER_STRIDE).next_multiple_of(PAGE_SIZE))?;
        Ok(Self {
            headers: Arc::new(headers),
            payloads: Vec::new(),
            payload_size: payload_size.next_multiple_of(PAGE_SIZE),
            capacity,
            count: 0,
            #[cfg(test)]
            full: false,
        })
    }

    /// Makes up to `slots` more, as far as there is room, and returns their indexes. With `lead`, each payload has a
    /// page before it, so that a read of /dev/fuse can begin at the address that puts the data of a WRITE at the
    /// payload's start.
    ///
    /// # Errors
    /// [`crate::Error::Memory`].
    pub(crate) fn add(&mut self, slots: usize, lead: bool) -> Result<Range<SlotIndex>> {
        let slots = slots.min(self.capacity - self.count);
        let first_slot = self.count;
        let lead = if lead { PAGE_SIZE } else { 0 };
        let stride = self.payload_size + lead;
        #[cfg(test)]
        if slots > 0 && self.full {
            let source = std::io::Error::from_raw_os_error(libc::ENOMEM);
            return Err(crate::Error::Memory { bytes: slots * stride, source });
        }
        if slots > 0 {
            let region = Arc::new(Region::new(slots * stride)?);
            self.payloads.push(PayloadRegion { region, first_slot, slots, stride, lead });
            self.count += slots;
        }
        let index = |slot| SlotIndex::try_from(slot).unwrap_or(SlotIndex::MAX);
        Ok(index(first_slot)..index(self.count))
    }

    /// Number of slots that there are.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Number of slots that there is room for.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Bytes of each payload.
    #[must_use]
    pub fn payload_size(&self) -> usize {
        self.payload_size
    }

    /// The mapping of all header blocks: slot `n` begins at `n` × [`HEADER_STRIDE`].
    #[must_use]
    pub fn headers(&self) -> &Arc<Region> {
        &self.headers
    }

    /// The mappings of the payloads that were made so far; those that are made later come behind.
    pub fn payload_layouts(&self) -> impl Iterator<Item = PayloadLayout> + '_ {
        self.payloads.iter().map(|payload| PayloadLayout {
            region: Arc::clone(&payload.region),
            first_slot: payload.first_slot,
            slots: payload.slots,
            stride: payload.stride,
            offset: payload.lead,
        })
    }

    /// The mapping that holds the slot's payload, and the payload's offset in it.
    pub(crate) fn payload(&self, slot: SlotIndex) -> (&Region, usize) {
        let slot = slot as usize;
        let index = self.payloads.partition_point(|payload| payload.first_slot + payload.slots <= slot);
        let payload = &self.payloads[index];
        (&payload.region, (slot - payload.first_slot) * payload.stride + payload.lead)
    }

    fn header_offset(slot: SlotIndex) -> usize {
        slot as usize * HEADER_STRIDE
    }

    /// Address of the slot's header block, for REGISTER.
    pub(crate) fn header_address(&self, slot: SlotIndex) -> *mut u8 {
        self.headers.at(Self::header_offset(slot), HEADER_STRIDE)
    }

    /// Address of the slot's payload, for REGISTER and replies.
    pub(crate) fn payload_address(&self, slot: SlotIndex) -> *mut u8 {
        let (region, offset) = self.payload(slot);
        region.at(offset, self.payload_size)
    }

    /// Shows the first `length` bytes of the slot's payload to `look`.
    pub(crate) fn with_payload<T>(&self, slot: SlotIndex, length: usize, look: impl FnOnce(&[u8]) -> T) -> T {
        let (region, offset) = self.payload(slot);
        region.with_bytes(offset, length, look)
    }

    /// Lends the slot's payload to `fill`.
    pub(crate) fn with_payload_mut<T>(&self, slot: SlotIndex, fill: impl FnOnce(&mut [u8]) -> T) -> T {
        let (region, offset) = self.payload(slot);
        region.with_bytes_mut(offset, self.payload_size, fill)
    }

    /// The request's header.
    pub(crate) fn in_header(&self, slot: SlotIndex) -> InHeader {
        self.headers.read(Self::header_offset(slot))
    }

    /// Writes the request's header: what the kernel does for the ring, done for /dev/fuse.
    pub(crate) fn set_in_header(&self, slot: SlotIndex, header: InHeader) {
        self.headers.write(Self::header_offset(slot), header);
    }

    /// The entry part of the header block.
    pub(crate) fn entry(&self, slot: SlotIndex) -> UringEntInOut {
        self.headers.read(Self::header_offset(slot) + ENTRY)
    }

    /// The operation's argument bytes.
    pub(crate) fn arguments(&self, slot: SlotIndex) -> [u8; 128] {
        self.headers.read(Self::header_offset(slot) + ARGUMENTS)
    }

    /// Where the operation's argument bytes begin in [`Slots::headers`].
    pub(crate) fn arguments_offset(slot: SlotIndex) -> usize {
        Self::header_offset(slot) + ARGUMENTS
    }

    /// What the parser found.
    pub(crate) fn record(&self, slot: SlotIndex) -> SlotRecord {
        self.headers.read(Self::header_offset(slot) + RECORD)
    }

    /// Leaves what the parser found.
    pub(crate) fn set_record(&self, slot: SlotIndex, record: SlotRecord) {
        self.headers.write(Self::header_offset(slot) + RECORD, record);
    }

    /// Whether the ring has put a request into the slot since it was last the kernel's: it writes the request's id
    /// into the entry part, where [`Slots::set_reply`] and [`Slots::clear_entry`] leave 0.
    pub(crate) fn has_request(&self, slot: SlotIndex) -> bool {
        self.entry(slot).commit_id != 0
    }

    /// Clears the entry part, before the slot is the kernel's.
    pub(crate) fn clear_entry(&self, slot: SlotIndex) {
        self.headers.write(Self::header_offset(slot) + ENTRY, UringEntInOut::default());
    }

    /// Writes the reply's header, for the ring.
    pub(crate) fn set_reply(&self, slot: SlotIndex, header: OutHeader, payload_size: u32) {
        let offset = Self::header_offset(slot);
        self.headers.write(offset, header);
        self.headers.write(offset + ENTRY, UringEntInOut { payload_sz: payload_size, ..Default::default() });
    }
}
