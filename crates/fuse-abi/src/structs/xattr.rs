//! Extended attributes.

super::protocol! {
    /// Argument of `setxattr`; the name and the value follow.
    ///
    /// Ends after `flags` unless [`InitFlags::SETXATTR_EXT`](crate::InitFlags::SETXATTR_EXT) is agreed on.
    pub struct SetxattrIn {
        /// Bytes of the value.
        pub size: u32,
        /// `XATTR_CREATE` or `XATTR_REPLACE`.
        pub flags: u32,
        /// [`SetxattrFlags`](crate::SetxattrFlags). Since 7.33.
        pub setxattr_flags: u32,
        /// Padding.
        pub padding: u32,
    }

    /// Argument of `getxattr`, whose name follows, and of `listxattr`.
    pub struct GetxattrIn {
        /// Room for the value in bytes, or 0 to ask for its length.
        pub size: u32,
        /// Padding.
        pub padding: u32,
    }

    /// Reply to `getxattr` and `listxattr` that asked for the length.
    pub struct GetxattrOut {
        /// Bytes of the value.
        pub size: u32,
        /// Padding.
        pub padding: u32,
    }
}
