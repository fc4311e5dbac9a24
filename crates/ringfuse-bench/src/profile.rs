//! How thoroughly everything is measured.

use clap::ValueEnum;

/// The repository that this binary was built from.
pub const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// How thoroughly everything is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    /// A look, in a minute or two: the most telling points, in few and short rounds.
    Quick,
    /// All points, in rounds that figures can be published from.
    Full,
}
