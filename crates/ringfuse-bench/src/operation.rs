//! The operations, in one table.
//!
//! A new operation is a row here; if no [`Action`] fits it, an action here and its two arms in [`crate::client`].

use clap::{ValueEnum, builder::PossibleValue};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// What a client does once per operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// `statx` of an open file with `AT_STATX_FORCE_SYNC`, so that no cached attributes answer it.
    Stat,
    /// Open and close a file.
    Open,
    /// Move one block of a file.
    Transfer(Transfer),
    /// Create a file that must be new, close and unlink it.
    Create,
    /// Unlink a file that was made for it outside of what is measured.
    Unlink,
    /// Rename a file, there and back in turn.
    Rename,
    /// List a long directory; each entry counts.
    List {
        /// Whether the attributes of each entry are asked for as well, as `ls -l` does.
        attributes: bool,
    },
}

/// One block of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transfer {
    /// From the file, or into it.
    pub direction: Direction,
    /// Bytes of the block.
    pub bytes: usize,
    /// Past the page cache or through it.
    pub path: Path,
    /// Which block is next.
    pub order: Order,
}

/// Which way data goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// `pread`.
    Read,
    /// `pwrite`.
    Write,
}

/// Which way data takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Path {
    /// `O_DIRECT`.
    Direct,
    /// Through the page cache, which is emptied before it could answer by itself.
    Buffered,
}

/// In which order blocks are moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// One after the other, and from the start again.
    Sequential,
    /// By chance.
    Random,
}

/// A row of the table: a name, its explanation and its action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    /// The name on the command line and in reports.
    pub name: &'static str,
    /// The line in `--help`.
    help: &'static str,
    /// What a client does.
    pub action: Action,
}

const fn direct(direction: Direction, bytes: usize, order: Order) -> Action {
    Action::Transfer(Transfer { direction, bytes, path: Path::Direct, order })
}

const fn buffered(direction: Direction, bytes: usize, order: Order) -> Action {
    Action::Transfer(Transfer { direction, bytes, path: Path::Buffered, order })
}

/// Every operation, in the order of reports.
#[rustfmt::skip]
pub static OPERATIONS: [Operation; 19] = {
    use {Direction::{Read, Write}, Order::{Random, Sequential}};
    [
        Operation { name: "stat",             help: "statx with AT_STATX_FORCE_SYNC on an open file",      action: Action::Stat },
        Operation { name: "open",             help: "open and close of a file",                            action: Action::Open },
        Operation { name: "read-4k",          help: "O_DIRECT pread of 4 KiB, in order",                   action: direct(Read, 4 * KIB, Sequential) },
        Operation { name: "read-4k-random",   help: "O_DIRECT pread of 4 KiB, anywhere",                   action: direct(Read, 4 * KIB, Random) },
        Operation { name: "read-128k",        help: "O_DIRECT pread of 128 KiB, in order",                 action: direct(Read, 128 * KIB, Sequential) },
        Operation { name: "read-1m",          help: "O_DIRECT pread of 1 MiB, in order",                   action: direct(Read, MIB, Sequential) },
        Operation { name: "read-buffered",    help: "pread of 128 KiB, in order, through the page cache",  action: buffered(Read, 128 * KIB, Sequential) },
        Operation { name: "read-buffered-4k", help: "pread of 4 KiB, anywhere, through the page cache",    action: buffered(Read, 4 * KIB, Random) },
        Operation { name: "write-4k",         help: "O_DIRECT pwrite of 4 KiB, in order",                  action: direct(Write, 4 * KIB, Sequential) },
        Operation { name: "write-4k-random",  help: "O_DIRECT pwrite of 4 KiB, anywhere",                  action: direct(Write, 4 * KIB, Random) },
        Operation { name: "write-128k",       help: "O_DIRECT pwrite of 128 KiB, in order",                action: direct(Write, 128 * KIB, Sequential) },
        Operation { name: "write-1m",         help: "O_DIRECT pwrite of 1 MiB, in order",                  action: direct(Write, MIB, Sequential) },
        Operation { name: "write-buffered",   help: "pwrite of 128 KiB, in order, through the page cache", action: buffered(Write, 128 * KIB, Sequential) },
        Operation { name: "write-buffered-4k", help: "pwrite of 4 KiB, anywhere, through the page cache",  action: buffered(Write, 4 * KIB, Random) },
        Operation { name: "create",           help: "create of a new file, close and unlink",              action: Action::Create },
        Operation { name: "unlink",           help: "unlink of a file",                                    action: Action::Unlink },
        Operation { name: "rename",           help: "rename of a file",                                    action: Action::Rename },
        Operation { name: "readdir",          help: "listing of 100,000 entries; each counts",             action: Action::List { attributes: false } },
        Operation { name: "readdirplus",      help: "the same, with statx of each entry",                  action: Action::List { attributes: true } },
    ]
};

impl Operation {
    /// The operation of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        OPERATIONS.into_iter().find(|operation| operation.name == name)
    }

    /// The bytes of data that one operation moves.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self.action {
            Action::Transfer(Transfer { bytes, .. }) => bytes,
            _ => 0,
        }
    }

    /// Whether it lists a long directory.
    #[must_use]
    pub fn is_listing(&self) -> bool {
        matches!(self.action, Action::List { .. })
    }

    /// Whether what comes before each operation is a good part of the work, so that CPU time tells nothing about it.
    #[must_use]
    pub fn is_staged(&self) -> bool {
        self.action == Action::Unlink
    }
}

impl ValueEnum for Operation {
    fn value_variants<'a>() -> &'a [Self] {
        &OPERATIONS
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name).help(self.help))
    }
}

impl Serialize for Operation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name)
    }
}

impl<'de> Deserialize<'de> for Operation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::named(&name).ok_or_else(|| de::Error::custom(format!("there is no operation {name}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_parses_to_its_own_row() {
        for operation in OPERATIONS {
            assert_eq!(Operation::from_str(operation.name, false), Ok(operation));
        }
    }
}
