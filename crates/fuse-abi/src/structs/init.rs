//! Agreeing on the version and the features.

super::protocol! {
    /// Argument of `init`: what the kernel offers. Ends after `flags` before 7.36.
    pub struct InitIn {
        /// Major version of the kernel's protocol.
        pub major: u32,
        /// Minor version of the kernel's protocol.
        pub minor: u32,
        /// The greatest readahead in bytes. Since 7.6.
        pub max_readahead: u32,
        /// Lower half of the [`InitFlags`](crate::InitFlags). Since 7.6.
        pub flags: u32,
        /// Upper half of the [`InitFlags`](crate::InitFlags). Since 7.36.
        pub flags2: u32,
        /// Zeros.
        pub unused: [u32; 11],
    }

    /// Reply to `init`: what the server takes.
    pub struct InitOut {
        /// Major version of the server's protocol.
        pub major: u32,
        /// Minor version of the server's protocol; the smaller one of both sides counts.
        pub minor: u32,
        /// The greatest readahead in bytes, at most what was offered. Since 7.6.
        pub max_readahead: u32,
        /// Lower half of the [`InitFlags`](crate::InitFlags). Since 7.5.
        pub flags: u32,
        /// How many background requests may be under way, 0 for the default. Since 7.13.
        pub max_background: u16,
        /// At how many background requests the device counts as congested, 0 for the default. Since 7.13.
        pub congestion_threshold: u16,
        /// The greatest write in bytes. Since 7.5.
        pub max_write: u32,
        /// Granularity of time stamps in nanoseconds. Since 7.23.
        pub time_gran: u32,
        /// The greatest request in pages, with [`InitFlags::MAX_PAGES`](crate::InitFlags::MAX_PAGES). Since 7.28.
        pub max_pages: u16,
        /// Base-2 logarithm of the alignment of DAX mappings. Since 7.31.
        pub map_alignment: u16,
        /// Upper half of the [`InitFlags`](crate::InitFlags). Since 7.36.
        pub flags2: u32,
        /// How deep filesystems may be stacked on this one, with passthrough. Since 7.40.
        pub max_stack_depth: u32,
        /// Seconds after which an unanswered request aborts the connection, 0 for never. Since 7.43.
        pub request_timeout: u16,
        /// Zeros.
        pub unused: [u16; 11],
    }

    /// Argument of `cuse_init`. Since 7.12.
    pub struct CuseInitIn {
        /// Major version of the kernel's protocol.
        pub major: u32,
        /// Minor version of the kernel's protocol.
        pub minor: u32,
        /// Zero.
        pub unused: u32,
        /// The [`CuseInitFlags`](crate::CuseInitFlags) on offer.
        pub flags: u32,
    }

    /// Reply to `cuse_init`; the device's description, `KEY=value` ended by zero bytes, follows. Since 7.12.
    pub struct CuseInitOut {
        /// Major version of the server's protocol.
        pub major: u32,
        /// Minor version of the server's protocol.
        pub minor: u32,
        /// Zero.
        pub unused: u32,
        /// The [`CuseInitFlags`](crate::CuseInitFlags) that the server takes.
        pub flags: u32,
        /// The greatest read in bytes.
        pub max_read: u32,
        /// The greatest write in bytes.
        pub max_write: u32,
        /// Major number of the device, 0 for any.
        pub dev_major: u32,
        /// Minor number of the device.
        pub dev_minor: u32,
        /// Zeros.
        pub spare: [u32; 10],
    }
}
