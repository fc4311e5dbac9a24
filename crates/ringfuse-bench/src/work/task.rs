//! The tasks, in one table: what people do on a filesystem.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    num::NonZeroU64,
    path::{Path, PathBuf},
    process::Command,
};

use rustix::fs::{Advice, fadvise};
use serde::{Deserialize, Serialize};

use crate::{
    error::Error,
    work::{
        inputs::Inputs,
        program::{Limit, run},
    },
};

/// How many transactions are made.
const TRANSACTIONS: usize = 200;
/// How often `git status` is asked for.
const STATUSES: usize = 5;
/// How often the tree is searched.
const SEARCHES: usize = 5;
/// Bytes of a read of the large file.
const READ_BYTES: usize = 1 << 20;

/// A task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// `git clone` of a repository of thousands of files
    GitClone,
    /// `git status` in that clone, 5 times
    GitStatus,
    /// `npm ci` of `ava` from a local cache, without network and scripts
    NpmInstall,
    /// `rg` of a word through the clone, 5 times
    Rg,
    /// `tar --extract` of thousands of files
    TarIn,
    /// `tar --create` of them
    TarOut,
    /// 200 transactions of one row in SQLite, as it is by default
    Sqlite,
    /// `cargo build` of a small program with one dependency
    CargoBuild,
    /// A large file from its start to its end in reads of 1 MiB, its data in the memory of the machine
    Video,
}

/// Where a task does its work.
#[derive(Debug)]
pub struct Place {
    /// The directory, in the filesystem that is measured.
    pub directory: PathBuf,
    /// The same directory beneath it, where there is one.
    pub beneath: Option<PathBuf>,
    /// Whether the directory is the machine's own, with no server.
    pub is_plain: bool,
}

impl Task {
    /// The name on the command line and in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::GitClone => "git-clone",
            Self::GitStatus => "git-status",
            Self::NpmInstall => "npm-install",
            Self::Rg => "rg",
            Self::TarIn => "tar-in",
            Self::TarOut => "tar-out",
            Self::Sqlite => "sqlite",
            Self::CargoBuild => "cargo-build",
            Self::Video => "video",
        }
    }

    /// Makes what the task finds when it begins, which is not measured.
    ///
    /// # Errors
    ///
    /// What a step says that fails.
    pub fn prepare(self, inputs: &Inputs, place: &Place) -> Result<(), Error> {
        let directory = &place.directory;
        match self {
            Self::GitClone | Self::TarIn => Ok(()),
            Self::GitStatus | Self::Rg => clone(inputs, directory),
            Self::TarOut => extract(inputs, directory),
            Self::NpmInstall => {
                let (project, _) = inputs.npm()?;
                for file in ["package.json", "package-lock.json"] {
                    copy(&project.join(file), &directory.join(file))?;
                }
                Ok(())
            }
            Self::Sqlite => run(
                Command::new("sqlite3").args(["database", "create table rows (text)"]).current_dir(directory),
                Limit::Task,
            ),
            Self::CargoBuild => {
                let program = inputs.rust()?;
                let source = directory.join("src");
                fs::create_dir(&source).map_err(|error| failed("create", &source, error))?;
                for file in ["Cargo.toml", "Cargo.lock", "src/main.rs"] {
                    copy(&program.join(file), &directory.join(file))?;
                }
                Ok(())
            }
            Self::Video => {
                copy(&inputs.large(), &directory.join("video"))?;
                warm(place)
            }
        }
    }

    /// Does the task.
    ///
    /// # Errors
    ///
    /// What its program says if it fails.
    pub fn perform(self, inputs: &Inputs, directory: &Path) -> Result<(), Error> {
        match self {
            Self::GitClone => clone(inputs, directory),
            Self::GitStatus => repeated(STATUSES, || {
                git(Command::new("git").args(["status", "--porcelain"]).current_dir(directory.join("clone")))
            }),
            Self::NpmInstall => {
                let (_, cache) = inputs.npm()?;
                let mut npm = Command::new("npm");
                npm.args(["ci", "--offline", "--ignore-scripts", "--no-audit", "--no-fund"]);
                run(npm.arg("--cache").arg(cache).current_dir(directory), Limit::Task)
            }
            Self::Rg => repeated(SEARCHES, || {
                let mut rg = Command::new("rg");
                rg.args(["--no-ignore", "--hidden", "--count", "--glob=!.git", "function", "clone"]);
                run(rg.current_dir(directory), Limit::Task)
            }),
            Self::TarIn => extract(inputs, directory),
            Self::TarOut => {
                // GNU tar reads no file that goes to /dev/null.
                let script = "tar --create --file=- tree | cat >/dev/null";
                run(Command::new("sh").args(["-c", script]).current_dir(directory), Limit::Task)
            }
            Self::Sqlite => transactions(directory),
            Self::CargoBuild => {
                let mut cargo = Command::new("cargo");
                cargo
                    .args(["build", "--offline", "--quiet"])
                    .env("CARGO_TARGET_DIR", directory.join("target"));
                run(cargo.current_dir(directory), Limit::Task)
            }
            Self::Video => {
                let bytes = read_through(&directory.join("video"))?;
                if bytes == inputs.large_bytes {
                    Ok(())
                } else {
                    Err(Error::Input(format!("{bytes} were read")))
                }
            }
        }
    }
}

fn repeated(times: usize, mut once: impl FnMut() -> Result<(), Error>) -> Result<(), Error> {
    (0..times).try_for_each(|_| once())
}

/// Whoever owns the directories, and without what the user's configuration adds.
fn git(command: &mut Command) -> Result<(), Error> {
    command
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "safe.directory")
        .env("GIT_CONFIG_VALUE_0", "*");
    run(command.env("GIT_CONFIG_GLOBAL", "/dev/null"), Limit::Task)
}

fn clone(inputs: &Inputs, directory: &Path) -> Result<(), Error> {
    let mut command = Command::new("git");
    // Hard links could be made on the plain directory only.
    command.args(["clone", "--quiet", "--no-hardlinks"]).arg(inputs.tree()).arg(directory.join("clone"));
    git(&mut command)
}

fn extract(inputs: &Inputs, directory: &Path) -> Result<(), Error> {
    let mut tar = Command::new("tar");
    run(tar.args(["--extract", "--file"]).arg(inputs.archive()).current_dir(directory), Limit::Task)
}

fn transactions(directory: &Path) -> Result<(), Error> {
    let mut script =
        tempfile::NamedTempFile::new().map_err(|error| failed("make a file in", directory, error))?;
    for number in 0..TRANSACTIONS {
        writeln!(script, "begin; insert into rows values ('{number}'); commit;")
            .map_err(|error| failed("write", script.path(), error))?;
    }
    let read = format!(".read {}", script.path().display());
    run(Command::new("sqlite3").args(["-bail", "database", &read]).current_dir(directory), Limit::Task)
}

/// Sees to it that what the file says is in the machine's memory, but in no cache that keeps it from the server.
fn warm(place: &Place) -> Result<(), Error> {
    let path = place.directory.join("video");
    if place.is_plain {
        return read_through(&path).map(drop);
    }
    let file = File::open(&path).map_err(|error| failed("open", &path, error))?;
    file.sync_all().map_err(|error| failed("sync", &path, error))?;
    fadvise(&file, 0, None::<NonZeroU64>, Advice::DontNeed)
        .map_err(|error| failed("empty the cache of", &path, error.into()))?;
    place.beneath.as_ref().map_or(Ok(()), |beneath| read_through(&beneath.join("video")).map(drop))
}

fn read_through(path: &Path) -> Result<u64, Error> {
    let cannot = |error| failed("read", path, error);
    let mut file = File::open(path).map_err(cannot)?;
    let (mut buffer, mut total) = (vec![0; READ_BYTES], 0);
    loop {
        match file.read(&mut buffer).map_err(cannot)? {
            0 => return Ok(total),
            bytes => total += bytes as u64,
        }
    }
}

fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    // Read and written, as whoever downloads it does: no copy within a filesystem, which some do faster than others.
    let bytes = fs::read(from).map_err(|error| failed("read", from, error))?;
    fs::write(to, bytes).map_err(|error| failed("write", to, error))
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> Error {
    Error::Path { action, path: path.to_owned(), source }
}
