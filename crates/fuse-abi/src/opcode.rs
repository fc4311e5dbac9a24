//! What a request asks for.

use crate::codes::codes;

codes! {
    /// What a request asks for: [`InHeader::opcode`](crate::InHeader::opcode).
    pub enum Opcode {
        /// Find a name in a directory; a successful reply counts one lookup of the inode.
        Lookup = 1, "lookup", since 0;
        /// Take back lookups of an inode. Has no reply.
        Forget = 2, "forget", since 0;
        /// Read an inode's attributes.
        Getattr = 3, "getattr", since 0;
        /// Change an inode's attributes.
        Setattr = 4, "setattr", since 1;
        /// Read the target of a symbolic link.
        Readlink = 5, "readlink", since 0;
        /// Make a symbolic link.
        Symlink = 6, "symlink", since 1;
        /// Make a file, a device node, a FIFO or a socket.
        Mknod = 8, "mknod", since 1;
        /// Make a directory.
        Mkdir = 9, "mkdir", since 1;
        /// Remove a name that is not a directory's.
        Unlink = 10, "unlink", since 1;
        /// Remove a directory.
        Rmdir = 11, "rmdir", since 1;
        /// Rename without flags.
        Rename = 12, "rename", since 1;
        /// Give an inode one more name.
        Link = 13, "link", since 1;
        /// Open a file.
        Open = 14, "open", since 1;
        /// Read from an open file.
        Read = 15, "read", since 1;
        /// Write to an open file.
        Write = 16, "write", since 1;
        /// Describe the filesystem.
        Statfs = 17, "statfs", since 0;
        /// The last reference to an open file is gone.
        Release = 18, "release", since 1;
        /// Make a file's data durable.
        Fsync = 20, "fsync", since 1;
        /// Set an extended attribute.
        Setxattr = 21, "setxattr", since 1;
        /// Read an extended attribute, or its length.
        Getxattr = 22, "getxattr", since 1;
        /// List the names of extended attributes, or measure the list.
        Listxattr = 23, "listxattr", since 1;
        /// Remove an extended attribute.
        Removexattr = 24, "removexattr", since 1;
        /// A file descriptor of an open file was closed.
        Flush = 25, "flush", since 1;
        /// Agree on the version and the features; the first request of a connection.
        Init = 26, "init", since 0;
        /// Open a directory.
        Opendir = 27, "opendir", since 1;
        /// List a directory.
        Readdir = 28, "readdir", since 1;
        /// The last reference to an open directory is gone.
        Releasedir = 29, "releasedir", since 1;
        /// Make a directory's content durable.
        Fsyncdir = 30, "fsyncdir", since 2;
        /// Find the lock that would be in the way.
        Getlk = 31, "getlk", since 7;
        /// Take or drop a lock without waiting.
        Setlk = 32, "setlk", since 7;
        /// Take or drop a lock, waiting for it.
        Setlkw = 33, "setlkw", since 7;
        /// Check permissions.
        Access = 34, "access", since 3;
        /// Make a file and open it.
        Create = 35, "create", since 3;
        /// The caller of another request has been interrupted.
        Interrupt = 36, "interrupt", since 7;
        /// Map a block of a file to a block of the device.
        Bmap = 37, "bmap", since 8;
        /// The filesystem is being unmounted.
        Destroy = 38, "destroy", since 8;
        /// Control an open file.
        Ioctl = 39, "ioctl", since 11;
        /// Ask which events are ready.
        Poll = 40, "poll", since 11;
        /// The data that [`NotifyCode::Retrieve`](crate::NotifyCode::Retrieve) asked for. Has no reply.
        NotifyReply = 41, "notify_reply", since 15;
        /// Take back lookups of many inodes. Has no reply.
        BatchForget = 42, "batch_forget", since 16;
        /// Allocate or free a range of a file.
        Fallocate = 43, "fallocate", since 19;
        /// List a directory together with the entries' attributes.
        Readdirplus = 44, "readdirplus", since 21;
        /// Rename with flags.
        Rename2 = 45, "rename2", since 23;
        /// Find data or a hole.
        Lseek = 46, "lseek", since 24;
        /// Copy between two files; the reply holds at most 32 bits of length.
        CopyFileRange = 47, "copy_file_range", since 28;
        /// Map a range of a file into the DAX window (virtiofs).
        Setupmapping = 48, "setupmapping", since 31;
        /// Drop mappings from the DAX window (virtiofs).
        Removemapping = 49, "removemapping", since 31;
        /// Make the whole filesystem durable.
        Syncfs = 50, "syncfs", since 34;
        /// Make a file without a name and open it.
        Tmpfile = 51, "tmpfile", since 37;
        /// Read an inode's attributes in the form of `statx(2)`.
        Statx = 52, "statx", since 39;
        /// Copy between two files; the reply holds 64 bits of length.
        CopyFileRange64 = 53, "copy_file_range_64", since 45;
        /// Agree on the version and the features of a character device.
        CuseInit = 4096, "cuse_init", since 12;
    }
}
