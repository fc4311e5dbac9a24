//! The servers that can be compared, in one table.

use std::{
    env, io,
    path::{Path, PathBuf},
    process::Command,
    str::FromStr,
};

use crate::{
    error::Error,
    peer::{self, Peer},
};

/// Stands for the directory to mount on among a server's arguments.
const DIRECTORY: &str = "DIR";
/// Stands for the directory to be mirrored.
const BENEATH: &str = "BENEATH";

/// How the line of ringfuse's own servers begins, which says that they are mounted.
const OWN_READY: &str = "ringfuse: mounted ";
/// The same of the servers that only the benchmarks have.
const BENCH_READY: &str = "mounted ";

/// The script of TypeScript servers.
const SCRIPT: &str = "build/__bench__/server.js";

/// What the kernel may keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caching {
    /// No names, so that every operation on a path is a request.
    None,
    /// What the filesystem's users are told to let it keep.
    Default,
}

/// The program of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Program {
    /// None: the plain directory.
    None,
    /// This binary.
    Own,
    /// `node` with a script of the repository.
    Node(&'static str),
    /// Another library's.
    Peer(Peer),
    /// What the command line says.
    Given(&'static str),
}

/// A server: a program that mounts a directory, says so in a line, stays in the foreground, and unmounts and
/// exits with 0 on SIGTERM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Server {
    /// The name on the command line and in reports.
    pub name: &'static str,
    /// What it is, in a few words.
    pub help: &'static str,
    program: Program,
    /// With [`DIRECTORY`] and [`BENEATH`] in their places.
    arguments: &'static [&'static str],
    /// How the line begins which says, on standard output, that the directory is mounted.
    pub ready: &'static str,
}

/// Every server.
#[rustfmt::skip]
pub static SERVERS: [Server; 14] = [
    Server { name: "null", help: "Rust on ringfuse over io_uring: the limit of the transport", program: Program::Own, arguments: &["serve", "null", DIRECTORY, "--transport", "io_uring"], ready: OWN_READY },
    Server { name: "null-dev-fuse", help: "the same over /dev/fuse", program: Program::Own, arguments: &["serve", "null", DIRECTORY, "--transport", "dev_fuse"], ready: OWN_READY },
    Server { name: "typescript", help: "TypeScript on one thread, `for await`", program: Program::Node(SCRIPT), arguments: &["tiny", DIRECTORY], ready: BENCH_READY },
    Server { name: "typescript-dev-fuse", help: "the same over /dev/fuse", program: Program::Node(SCRIPT), arguments: &["tiny", DIRECTORY, "--transport", "dev_fuse"], ready: BENCH_READY },
    Server { name: "typescript-serve", help: "TypeScript on one thread, `serve`", program: Program::Node(SCRIPT), arguments: &["tiny", DIRECTORY, "--serve"], ready: BENCH_READY },
    Server { name: "typescript-workers", help: "TypeScript, a worker for each CPU", program: Program::Node(SCRIPT), arguments: &["tiny", DIRECTORY, "--workers"], ready: BENCH_READY },
    Server { name: "memory", help: "memory() on one thread", program: Program::Node(SCRIPT), arguments: &["memory", DIRECTORY], ready: BENCH_READY },
    Server { name: "mirror", help: "mirror() of the plain directory on one thread, with passthrough", program: Program::Node(SCRIPT), arguments: &["mirror", DIRECTORY, "--beneath", BENEATH], ready: BENCH_READY },
    Server { name: "mirror-requests", help: "the same without passthrough", program: Program::Node(SCRIPT), arguments: &["mirror", DIRECTORY, "--beneath", BENEATH, "--requests"], ready: BENCH_READY },
    Server { name: "mirror-workers", help: "mirror() with a worker for each CPU, with passthrough", program: Program::Node(SCRIPT), arguments: &["mirror", DIRECTORY, "--beneath", BENEATH, "--workers"], ready: BENCH_READY },
    Server { name: "directory", help: "the plain directory: the floor for mirror", program: Program::None, arguments: &[], ready: "" },
    Server { name: "fuser", help: "fuser over /dev/fuse, 2 threads, clone_fd", program: Program::Peer(peer::FUSER), arguments: &[DIRECTORY], ready: BENCH_READY },
    Server { name: "fractal-fuse", help: "fractal-fuse over io_uring, a thread for each CPU", program: Program::Peer(peer::FRACTAL_FUSE), arguments: &[DIRECTORY], ready: BENCH_READY },
    Server { name: "fuse-native", help: "fuse-native over /dev/fuse, libfuse 2", program: Program::Peer(peer::FUSE_NATIVE), arguments: &[DIRECTORY], ready: BENCH_READY },
];

impl Server {
    /// Builds what the server needs and does not have yet.
    ///
    /// # Errors
    ///
    /// [`Error::Peer`] with the reason if it cannot be had.
    pub fn prepare(&self, repository: &Path) -> Result<(), Error> {
        match self.program {
            Program::Peer(peer) => peer.build(repository),
            _ => Ok(()),
        }
    }

    /// The command that serves on `directory`, or shows `beneath` there, with scripts from `repository`; none for a
    /// directory without a server.
    ///
    /// # Errors
    ///
    /// [`Error::Start`] if the program or its script is not there.
    pub fn command(
        &self,
        repository: &Path,
        directory: &Path,
        beneath: &Path,
        caching: Caching,
    ) -> Result<Option<Command>, Error> {
        let mut command = match self.program {
            Program::None => return Ok(None),
            Program::Own => Command::new(own_program()?),
            Program::Node(script) => {
                let script = existing(repository.join(script))?;
                let mut command = Command::new("node");
                command.arg("--expose-gc").arg(script);
                command
            }
            Program::Peer(peer) => peer.command(repository),
            Program::Given(program) => Command::new(program),
        };
        for &argument in self.arguments {
            match argument {
                DIRECTORY => command.arg(directory),
                BENEATH => command.arg(beneath),
                _ => command.arg(argument),
            };
        }
        if caching == Caching::Default && matches!(self.program, Program::Node(_)) {
            command.arg("--cached");
        }
        Ok(Some(command))
    }

    /// The same server with more arguments.
    #[must_use]
    pub fn with(mut self, more: &[&'static str]) -> Self {
        // A server of the command line or of a section lives as long as the program.
        self.arguments = Box::leak([self.arguments, more].concat().into_boxed_slice());
        self
    }

    /// Whether the server shows the directory beneath.
    #[must_use]
    pub fn is_mirror(&self) -> bool {
        self.arguments.contains(&BENEATH)
    }

    /// The server of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        SERVERS.into_iter().find(|server| server.name == name)
    }
}

/// `NAME` of the table, or `NAME=COMMAND …` with `DIR` where the directory belongs.
impl FromStr for Server {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let Some((name, command)) = text.split_once('=') else {
            return Self::named(text).ok_or_else(|| Error::UnknownServer(text.to_owned()));
        };
        // A command line is read once, and what it says lives as long as the program.
        let words: Vec<&'static str> =
            command.split_whitespace().map(|word| &*Box::leak(word.to_owned().into_boxed_str())).collect();
        let Some((program, arguments)) = words.split_first().filter(|_| words.contains(&DIRECTORY)) else {
            return Err(Error::ServerCommand(text.to_owned()));
        };
        Ok(Self {
            name: Box::leak(name.to_owned().into_boxed_str()),
            help: Box::leak(command.to_owned().into_boxed_str()),
            program: Program::Given(program),
            arguments: Box::leak(arguments.to_owned().into_boxed_slice()),
            ready: "",
        })
    }
}

/// The table as text, for `--help`.
#[must_use]
pub fn list() -> String {
    let rows = SERVERS.iter().map(|server| format!("  {:20} {}", server.name, server.help));
    let given =
        format!("  {:20} any command that mounts DIR, says a line, and unmounts on SIGTERM", "NAME=COMMAND");
    rows.chain([given]).collect::<Vec<_>>().join("\n")
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

    fn command(server: &str) -> Result<Command, Error> {
        let server: Server = server.parse()?;
        let (mount, beneath) = (Path::new("/mount"), Path::new("/beneath"));
        server.command(Path::new("/nowhere"), mount, beneath, Caching::None).map(Option::unwrap)
    }

    #[test]
    fn a_command_mounts_the_directory_it_is_given() {
        let command = command("null").unwrap();
        let arguments: Vec<_> = command.get_args().collect();
        assert_eq!(arguments, ["serve", "null", "/mount", "--transport", "io_uring"]);
    }

    #[test]
    fn a_script_that_is_missing_is_an_error_that_names_it() {
        let error = command("memory").unwrap_err();
        assert!(error.to_string().contains("/nowhere/build/__bench__/server.js"), "{error}");
    }

    #[test]
    fn a_server_can_be_any_command() {
        let command = command("mine=/bin/mine --fast DIR").unwrap();
        assert_eq!(command.get_program(), "/bin/mine");
        assert_eq!(command.get_args().collect::<Vec<_>>(), ["--fast", "/mount"]);
    }

    #[test]
    fn what_is_neither_a_name_nor_a_command_with_a_directory_is_refused() {
        assert!(matches!("nul".parse::<Server>(), Err(Error::UnknownServer(_))));
        for text in ["mine=", "mine=/bin/mine"] {
            assert!(matches!(text.parse::<Server>(), Err(Error::ServerCommand(_))), "{text}");
        }
    }
}
