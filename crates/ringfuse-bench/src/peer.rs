//! Servers on other libraries, which are built when they are wanted: crates and an npm package outside of the
//! workspace, in `crates/ringfuse-bench/peers`.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use crate::error::Error;

/// Where the peers' sources are, in the repository.
const SOURCES: &str = "crates/ringfuse-bench/peers";
/// Where they are built.
const BUILT: &str = "target/peers";
/// How many lines of a failed build are shown.
const EXPLANATION_LINES: usize = 6;

/// A peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// The folder of its sources.
    folder: &'static str,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A crate with one binary, `peer-FOLDER`.
    Cargo,
    /// An npm package with a `server.js`.
    Npm,
}

/// `fuser` of crates.io.
pub const FUSER: Peer = Peer { folder: "fuser", kind: Kind::Cargo };
/// `fractal-fuse` of crates.io.
pub const FRACTAL_FUSE: Peer = Peer { folder: "fractal-fuse", kind: Kind::Cargo };
/// `fuse-native` of npm.
pub const FUSE_NATIVE: Peer = Peer { folder: "fuse-native", kind: Kind::Npm };

impl Peer {
    /// Builds the peer; does only what is due.
    ///
    /// # Errors
    ///
    /// [`Error::Peer`] with the end of what the build said.
    pub fn build(&self, repository: &Path) -> Result<(), Error> {
        let sources = repository.join(SOURCES).join(self.folder);
        let built = repository.join(BUILT);
        match self.kind {
            Kind::Cargo => {
                let mut cargo = Command::new("cargo");
                cargo.args(["build", "--release", "--quiet", "--locked", "--target-dir"]).arg(built);
                self.run(cargo.current_dir(sources))
            }
            Kind::Npm => {
                let built = built.join(self.folder);
                self.copy(&sources, &built)?;
                if built.join("node_modules/.package-lock.json").exists() {
                    return Ok(());
                }
                let mut npm = Command::new("npm");
                npm.args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]);
                self.run(npm.current_dir(built))
            }
        }
    }

    /// The command that serves, without the directory to mount on.
    #[must_use]
    pub fn command(&self, repository: &Path) -> Command {
        let built = repository.join(BUILT);
        match self.kind {
            Kind::Cargo => Command::new(built.join("release").join(format!("peer-{}", self.folder))),
            Kind::Npm => {
                let mut command = Command::new("node");
                command.arg(built.join(self.folder).join("server.js"));
                command
            }
        }
    }

    /// The sources, where `node_modules` may lie beside them.
    fn copy(&self, sources: &Path, built: &Path) -> Result<(), Error> {
        let failed =
            |path: PathBuf| move |source: io::Error| self.failed(format!("{}: {source}", path.display()));
        fs::create_dir_all(built).map_err(failed(built.to_owned()))?;
        for file in ["package.json", "package-lock.json", "server.js"] {
            let from = sources.join(file);
            fs::copy(&from, built.join(file)).map_err(failed(from))?;
        }
        Ok(())
    }

    fn run(&self, command: &mut Command) -> Result<(), Error> {
        let program = command.get_program().to_string_lossy().into_owned();
        let output = command.output().map_err(|source| self.failed(format!("{program}: {source}")))?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<_> = said.lines().filter(|line| !line.trim().is_empty()).collect();
        Err(self.failed(lines[lines.len().saturating_sub(EXPLANATION_LINES)..].join("; ")))
    }

    fn failed(&self, reason: String) -> Error {
        Error::Peer { name: self.folder, reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_without_sources_is_an_error_that_says_so() {
        let error = FUSE_NATIVE.build(tempfile::tempdir().unwrap().path()).unwrap_err();
        assert!(error.to_string().starts_with("fuse-native cannot be built: "), "{error}");
    }
}
