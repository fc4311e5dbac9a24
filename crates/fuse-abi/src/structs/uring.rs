//! FUSE over `io_uring`.

use crate::codes::codes;
use crate::{URING_IN_OUT_HEADER_SZ, URING_OP_IN_OUT_SZ};

super::protocol! {
    /// What kernel and server tell each other about a ring entry. Since 7.42.
    pub struct UringEntInOut {
        /// Zero: no flag is defined.
        pub flags: u64,
        /// Names the request for [`UringCmdReq::commit_id`]. Written by the kernel.
        pub commit_id: u64,
        /// Bytes of payload: of the request, then of the reply.
        pub payload_sz: u32,
        /// Padding.
        pub padding: u32,
        /// Zero.
        pub reserved: u64,
    }

    /// Header of a ring entry; the payload is elsewhere. Since 7.42.
    pub struct UringReqHeader {
        /// An [`InHeader`](crate::InHeader), then an [`OutHeader`](crate::OutHeader).
        pub in_out: [u8; URING_IN_OUT_HEADER_SZ],
        /// The first argument of the request. All others, and every reply, are in the payload.
        pub op_in: [u8; URING_OP_IN_OUT_SZ],
        /// The entry's own state.
        pub ring_ent_in_out: UringEntInOut,
    }

    /// What the command area of a 128-byte SQE holds. Since 7.42.
    pub struct UringCmdReq {
        /// Zero: no flag is defined.
        pub flags: u64,
        /// [`UringEntInOut::commit_id`] of the request that is answered.
        pub commit_id: u64,
        /// The queue, which is a possible CPU.
        pub qid: u16,
        /// Zeros.
        pub padding: [u8; 6],
    }
}

codes! {
    /// `cmd_op` of an `IORING_OP_URING_CMD` on `/dev/fuse`.
    pub enum UringCmd {
        /// No command.
        Invalid = 0, "invalid", since 42;
        /// Hand an entry to the kernel and wait for a request.
        Register = 1, "register", since 42;
        /// Answer a request and wait for the next one.
        CommitAndFetch = 2, "commit_and_fetch", since 42;
    }
}
