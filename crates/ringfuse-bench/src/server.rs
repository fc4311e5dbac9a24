//! The servers that can be compared, in one table.

use std::{
    env, io,
    path::{Path, PathBuf},
    process::Command,
};

use clap::{ValueEnum, builder::PossibleValue};
use serde::{Serialize, Serializer};

use crate::error::Error;

/// Stands for the directory to mount on among a server's arguments.
const DIRECTORY: &str = "DIR";

/// The beginning of the line by which ringfuse's own servers say that they are mounted.
const MOUNTED: &str = "ringfuse: mounted ";

/// The program of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Program {
    /// This binary.
    Own,
    /// `node` with a script of the repository.
    Node(&'static str),
}

/// A server: a program that mounts a directory, says so in a line, stays in the foreground, and unmounts and
/// exits with 0 on SIGTERM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Server {
    /// The name on the command line and in reports.
    pub name: &'static str,
    /// The line in `--help`.
    help: &'static str,
    program: Program,
    /// With [`DIRECTORY`] in its place.
    arguments: &'static [&'static str],
    /// How the line begins which says, on standard output, that the directory is mounted.
    pub ready: &'static str,
}

/// Every server.
static SERVERS: [Server; 3] = [
    Server {
        name: "null",
        help: "the null filesystem in Rust over io_uring: the limit of the transport",
        program: Program::Own,
        arguments: &["serve", "null", DIRECTORY, "--transport", "io_uring"],
        ready: MOUNTED,
    },
    Server {
        name: "null-dev-fuse",
        help: "the null filesystem in Rust over /dev/fuse",
        program: Program::Own,
        arguments: &["serve", "null", DIRECTORY, "--transport", "dev_fuse"],
        ready: MOUNTED,
    },
    Server {
        name: "memory",
        help: "the memory filesystem in TypeScript, caching off",
        program: Program::Node("packages/cli/bin/ringfuse.js"),
        arguments: &["mount", "memory", DIRECTORY, "--cache", "none"],
        ready: MOUNTED,
    },
];

impl Server {
    /// The command that serves on `directory`, with scripts from `repository`.
    ///
    /// # Errors
    ///
    /// [`Error::Start`] if the program or its script is not there.
    pub fn command(&self, repository: &Path, directory: &Path) -> Result<Command, Error> {
        let mut command = match self.program {
            Program::Own => Command::new(own_program()?),
            Program::Node(script) => {
                let script = existing(repository.join(script))?;
                let mut command = Command::new("node");
                command.arg(script);
                command
            }
        };
        for &argument in self.arguments {
            if argument == DIRECTORY {
                command.arg(directory);
            } else {
                command.arg(argument);
            }
        }
        Ok(command)
    }
}

impl ValueEnum for Server {
    fn value_variants<'a>() -> &'a [Self] {
        &SERVERS
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name).help(self.help))
    }
}

impl Serialize for Server {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name)
    }
}

fn own_program() -> Result<PathBuf, Error> {
    env::current_exe().map_err(|source| Error::Start { program: "/proc/self/exe".into(), source })
}

fn existing(path: PathBuf) -> Result<PathBuf, Error> {
    match path.try_exists() {
        Ok(true) => Ok(path),
        Ok(false) => Err(Error::Start { program: path, source: io::ErrorKind::NotFound.into() }),
        Err(source) => Err(Error::Start { program: path, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Server {
        Server::from_str(name, false).unwrap()
    }

    #[test]
    fn a_command_mounts_the_directory_it_is_given() {
        let command = named("null").command(Path::new("/nowhere"), Path::new("/mount")).unwrap();
        let arguments: Vec<_> = command.get_args().collect();
        assert_eq!(arguments, ["serve", "null", "/mount", "--transport", "io_uring"]);
    }

    #[test]
    fn a_script_that_is_missing_is_an_error_that_names_it() {
        let error = named("memory").command(Path::new("/nowhere"), Path::new("/mount")).unwrap_err();
        assert!(error.to_string().contains("/nowhere/packages/cli/bin/ringfuse.js"), "{error}");
    }
}
