//! The operations, in one table.
//!
//! A new operation is a row here; if no [`Action`] fits it, an action here and its two arms in [`crate::client`].

use clap::{ValueEnum, builder::PossibleValue};
use serde::{Serialize, Serializer};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// What a client does once per operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// `statx` of an open file with `AT_STATX_FORCE_SYNC`, so that no cached attributes answer it.
    Stat,
    /// Open and close a file.
    Open,
    /// An `O_DIRECT` `pread` of that many bytes, at offsets that cycle within the file.
    Read {
        /// Bytes of one read.
        bytes: usize,
    },
    /// An `O_DIRECT` `pwrite` of that many bytes, at offsets that cycle within the file.
    Write {
        /// Bytes of one write.
        bytes: usize,
    },
    /// Create a file that must be new, close and unlink it.
    Create,
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

/// Every operation, in the order of reports.
#[rustfmt::skip]
pub static OPERATIONS: [Operation; 9] = [
    Operation { name: "stat",       help: "statx with AT_STATX_FORCE_SYNC on an open file", action: Action::Stat },
    Operation { name: "open",       help: "open and close of a file",                       action: Action::Open },
    Operation { name: "read-4k",    help: "O_DIRECT pread of 4 KiB",                        action: Action::Read { bytes: 4 * KIB } },
    Operation { name: "read-128k",  help: "O_DIRECT pread of 128 KiB",                      action: Action::Read { bytes: 128 * KIB } },
    Operation { name: "read-1m",    help: "O_DIRECT pread of 1 MiB",                        action: Action::Read { bytes: MIB } },
    Operation { name: "write-4k",   help: "O_DIRECT pwrite of 4 KiB",                       action: Action::Write { bytes: 4 * KIB } },
    Operation { name: "write-128k", help: "O_DIRECT pwrite of 128 KiB",                     action: Action::Write { bytes: 128 * KIB } },
    Operation { name: "write-1m",   help: "O_DIRECT pwrite of 1 MiB",                       action: Action::Write { bytes: MIB } },
    Operation { name: "create",     help: "create of a new file, close and unlink",         action: Action::Create },
];

impl Operation {
    /// The bytes of data that one operation moves.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self.action {
            Action::Read { bytes } | Action::Write { bytes } => bytes,
            Action::Stat | Action::Open | Action::Create => 0,
        }
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
