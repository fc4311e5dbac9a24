//! `serve null` on a real mount, in a mount namespace of its own.

use std::{
    fs::{self, File, OpenOptions},
    io::{BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom, Write},
    path::PathBuf,
    process::{Child, ChildStdout, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

const TRANSPORTS: [&str; 2] = ["auto", "dev_fuse"];

/// Serves in the background. The server's process says its id first; the shell says in the end how it ended, and
/// what is mounted still.
const SCRIPT: &str = r#"
sh -c 'echo $$; exec "$@"' sh "$1" serve null "$2" --transport "$3" &
exec 2>/dev/null
wait $!
echo "status $?"
cat /proc/self/mountinfo
"#;

/// A null filesystem, and the shell in its namespace that serves it.
struct Null {
    shell: Child,
    output: BufReader<ChildStdout>,
    server: Pid,
    ready: String,
    directory: TempDir,
}

impl Null {
    /// None where this machine cannot mount FUSE: the tests cannot say anything there.
    fn start(transport: &str) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let mut shell = Command::new("unshare")
            .args(["--map-root-user", "--mount", "--", "sh", "-c", SCRIPT, "sh"])
            .arg(env!("CARGO_BIN_EXE_ringfuse-bench"))
            .arg(directory.path())
            .arg(transport)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(shell.stdout.take().unwrap());
        let (mut server, mut ready) = (String::new(), String::new());
        output.read_line(&mut server).unwrap();
        output.read_line(&mut ready).unwrap();
        if !ready.starts_with("ringfuse: mounted ") {
            shell.wait().unwrap();
            eprintln!("not tested: FUSE cannot be mounted here");
            return None;
        }
        let server = Pid::from_raw(server.trim().parse().unwrap());
        Some(Self { shell, output, server, ready, directory })
    }

    /// A path in the filesystem, through the namespace that it is mounted in.
    fn path(&self, name: &str) -> PathBuf {
        let directory = self.directory.path().strip_prefix("/").unwrap();
        PathBuf::from(format!("/proc/{}/root", self.shell.id())).join(directory).join(name)
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("")).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    /// Ends the server by a signal; returns what the shell says afterwards.
    fn end(&mut self, signal: Signal) -> String {
        kill(self.server, signal).unwrap();
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        rest
    }
}

impl Drop for Null {
    /// The namespace ends with its last process, and the mount with the namespace.
    fn drop(&mut self) {
        if self.shell.try_wait().is_ok_and(|status| status.is_none()) {
            let _ = kill(self.server, Signal::SIGKILL);
            let _ = self.shell.wait();
        }
    }
}

#[test]
fn the_line_that_says_it_is_mounted_names_the_transport() {
    let Some(null) = Null::start("dev_fuse") else { return };
    let directory = null.directory.path().display();
    let expected = format!("ringfuse: mounted {directory} (dev_fuse: transport dev_fuse was asked for)\n");
    assert_eq!(null.ready, expected);
}

#[test]
fn a_signal_unmounts_and_ends_with_success() {
    for (transport, signal) in TRANSPORTS.into_iter().zip([Signal::SIGTERM, Signal::SIGINT]) {
        let Some(mut null) = Null::start(transport) else { return };
        assert!(null.path("file").exists());
        let rest = null.end(signal);
        assert!(rest.starts_with("status 0\n"), "{rest}");
        assert!(!rest.contains(null.directory.path().to_str().unwrap()), "{rest}");
    }
}

#[test]
fn a_second_signal_does_not_wait_for_open_files() {
    let Some(mut null) = Null::start("auto") else { return };
    let _open = File::open(null.path("file")).unwrap();
    kill(null.server, Signal::SIGTERM).unwrap();
    let limit = Instant::now() + Duration::from_secs(20);
    while null.path("file").exists() {
        assert!(Instant::now() < limit, "it was not unmounted");
        thread::sleep(Duration::from_millis(1));
    }
    let rest = null.end(Signal::SIGTERM);
    // By the abort of the connection, where the fuse control filesystem is mounted, or by the signal itself.
    assert!(rest.starts_with("status 0\n") || rest.starts_with("status 143\n"), "{rest}");
    assert!(!rest.contains(null.directory.path().to_str().unwrap()), "{rest}");
}

#[test]
fn a_name_exists_from_its_creation_to_its_unlinking() {
    for transport in TRANSPORTS {
        let Some(null) = Null::start(transport) else { return };
        let path = null.path("bench-0");
        assert_eq!(fs::metadata(&path).unwrap_err().kind(), ErrorKind::NotFound);
        drop(File::create_new(&path).unwrap());
        assert_eq!(File::create_new(&path).unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(null.names(), ["file", "bench-0"]);
        fs::remove_file(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(fs::remove_file(&path).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(null.names(), ["file"]);
    }
}

#[test]
fn every_name_is_listed_once_however_many_there_are() {
    let Some(null) = Null::start("auto") else { return };
    for number in 0..500 {
        drop(File::create_new(null.path(&format!("bench-{number}"))).unwrap());
    }
    let expected: Vec<_> =
        ["file".to_owned()].into_iter().chain((0..500).map(|number| format!("bench-{number}"))).collect();
    assert_eq!(null.names(), expected);
}

#[test]
fn reads_show_the_contents_up_to_the_end_of_the_file_and_writes_change_nothing() {
    for transport in TRANSPORTS {
        let Some(null) = Null::start(transport) else { return };
        let mut file = OpenOptions::new().read(true).write(true).open(null.path("file")).unwrap();
        file.write_all(&vec![0; 3 << 20]).unwrap();
        // What was written stays in the page cache until the file is opened again.
        let mut file = File::open(null.path("file")).unwrap();
        let mut bytes = vec![0; 3 << 20];
        file.read_exact(&mut bytes).unwrap();
        assert!(bytes.iter().all(|byte| *byte == 0xa5));

        let length = file.metadata().unwrap().len();
        file.seek(SeekFrom::Start(length - 10)).unwrap();
        assert_eq!(file.read_to_end(&mut Vec::new()).unwrap(), 10);
    }
}
