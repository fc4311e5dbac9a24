//! What an open file does apart from reading and writing: ioctl and poll.

super::protocol! {
    /// Argument of `ioctl`; the input data follow. Since 7.11.
    pub struct IoctlIn {
        /// The open file.
        pub fh: u64,
        /// [`IoctlFlags`](crate::IoctlFlags).
        pub flags: u32,
        /// The command.
        pub cmd: u32,
        /// The caller's argument.
        pub arg: u64,
        /// Bytes of input data.
        pub in_size: u32,
        /// Greatest length of the output data in bytes.
        pub out_size: u32,
    }

    /// A range of the caller's memory, in a reply that asks for a retry. Since 7.16.
    pub struct IoctlIovec {
        /// Where it begins.
        pub base: u64,
        /// Its length in bytes.
        pub len: u64,
    }

    /// Reply to `ioctl`; the output data, or [`IoctlIovec`]s for a retry, follow. Since 7.11.
    pub struct IoctlOut {
        /// What `ioctl(2)` returns.
        pub result: i32,
        /// [`IoctlFlags::RETRY`](crate::IoctlFlags::RETRY) or nothing.
        pub flags: u32,
        /// How many input iovecs follow.
        pub in_iovs: u32,
        /// How many output iovecs follow.
        pub out_iovs: u32,
    }

    /// Argument of `poll`. Since 7.11.
    pub struct PollIn {
        /// The open file.
        pub fh: u64,
        /// Names those who wait, for [`NotifyPollWakeupOut`](crate::NotifyPollWakeupOut).
        pub kh: u64,
        /// [`PollFlags`](crate::PollFlags).
        pub flags: u32,
        /// Events of interest: `POLL*`. Since 7.21.
        pub events: u32,
    }

    /// Reply to `poll`. Since 7.11.
    pub struct PollOut {
        /// Events that are ready: `POLL*`.
        pub revents: u32,
        /// Padding.
        pub padding: u32,
    }
}
