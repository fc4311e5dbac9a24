//! What every request and reply begins with, and what a request may end with.

super::protocol! {
    /// Head of every request.
    pub struct InHeader {
        /// Bytes of the whole request: this header, the arguments and the extensions.
        pub len: u32,
        /// What is asked: an [`Opcode`](crate::Opcode).
        pub opcode: u32,
        /// Names the request until it is answered. An odd one belongs to an `interrupt`;
        /// [`UNIQUE_RESEND`](crate::UNIQUE_RESEND) marks one that is sent again.
        pub unique: u64,
        /// The inode that is meant, or 0.
        pub nodeid: u64,
        /// The caller's filesystem uid.
        pub uid: u32,
        /// The caller's filesystem gid.
        pub gid: u32,
        /// The caller's thread id in the mount's pid namespace, 0 if it has none there.
        pub pid: u32,
        /// Length of the extensions at the end of the request, in units of 8 bytes. Since 7.38.
        pub total_extlen: u16,
        /// Padding.
        pub padding: u16,
    }

    /// Head of every reply and notification.
    pub struct OutHeader {
        /// Bytes of the whole reply: this header and what follows. Ignored on the ring.
        pub len: u32,
        /// 0, or an errno negated. In a notification its [`NotifyCode`](crate::NotifyCode).
        pub error: i32,
        /// The request that is answered, or 0 in a notification.
        pub unique: u64,
    }

    /// Head of an extension of a request. Since 7.38.
    ///
    /// Types up to [`MAX_NR_SECCTX`](crate::MAX_NR_SECCTX) make it a [`SecctxHeader`].
    pub struct ExtHeader {
        /// Bytes of the extension with this header.
        pub size: u32,
        /// What the extension is: [`EXT_GROUPS`](crate::EXT_GROUPS), or a count of security contexts.
        pub r#type: u32,
    }

    /// Head of the security contexts of a new inode. Since 7.36.
    pub struct SecctxHeader {
        /// Bytes of all contexts with this header.
        pub size: u32,
        /// How many [`Secctx`] follow.
        pub nr_secctx: u32,
    }

    /// One security context: its name, ended by a zero byte, and its bytes follow. Since 7.36.
    pub struct Secctx {
        /// Bytes of the context.
        pub size: u32,
        /// Padding.
        pub padding: u32,
    }

    /// The caller's supplementary groups, a `u32` each, follow. Since 7.38.
    pub struct SuppGroups {
        /// How many groups follow.
        pub nr_groups: u32,
    }
}

impl OutHeader {
    /// The head of a reply whose payload has `payload` bytes; a length that does not fit is cut to the largest.
    #[must_use]
    pub fn new(unique: u64, error: i32, payload: usize) -> Self {
        let len = u32::try_from(size_of::<Self>() + payload).unwrap_or(u32::MAX);
        Self { len, error, unique }
    }
}
