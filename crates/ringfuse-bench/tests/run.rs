//! `compare` with a pretended server, in a mount namespace of its own.

use std::{
    env,
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use tempfile::TempDir;

/// Stands in for `node`, called with `--expose-gc SCRIPT memory DIR`.
const MOUNTS_TMPFS: &str = r#"#!/bin/sh
[ "$1" = --version ] && echo v0 && exit
mount -t tmpfs none "$4" || exit 1
trap 'umount "$4"; exit 0' TERM
echo "mounted $4 (pretended)"
while :; do sleep 0.02; done
"#;

const FAILS: &str = "#!/bin/sh\necho 'there is no FUSE here' >&2\nexit 1\n";

/// A `node` and a repository that pretend.
struct Stage {
    home: TempDir,
}

impl Stage {
    fn new(node: &str) -> Self {
        let stage = Self { home: tempfile::tempdir().unwrap() };
        for folder in ["bin", "temporary", "repository/build/__bench__"] {
            fs::create_dir_all(stage.path(folder)).unwrap();
        }
        fs::write(stage.path("repository/build/__bench__/server.js"), "").unwrap();
        fs::write(stage.path("bin/node"), node).unwrap();
        fs::set_permissions(stage.path("bin/node"), Permissions::from_mode(0o755)).unwrap();
        stage
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.home.path().join(relative)
    }

    /// `ringfuse-bench compare` of the pretended server.
    fn run(&self, seconds: &str) -> Command {
        let mut command = Command::new("unshare");
        command
            .args(["--map-root-user", "--mount", "--", env!("CARGO_BIN_EXE_ringfuse-bench"), "compare"])
            .args(["--server", "memory", "--operations", "stat", "--clients", "1,2", "--rounds", "2"])
            .args(["--seconds", seconds, "--repository"])
            .arg(self.path("repository"))
            .arg("--json")
            .arg(self.path("report.json"))
            .env("TMPDIR", self.path("temporary"))
            .env("PATH", format!("{}:{}", self.path("bin").display(), env::var("PATH").unwrap()));
        command
    }

    fn assert_nothing_is_left(&self) {
        let left: Vec<_> = fs::read_dir(self.path("temporary")).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

/// Whether this machine lets the tests mount; where it does not, they cannot say anything.
fn can_mount() -> bool {
    let status = Command::new("unshare")
        .args(["--map-root-user", "--mount", "--", "mount", "-t", "tmpfs", "none", "/mnt"])
        .stderr(Stdio::null())
        .status();
    let can = status.is_ok_and(|status| status.success());
    if !can {
        eprintln!("not tested: mounting needs user namespaces here");
    }
    can
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_run_reports_every_round_and_leaves_nothing_behind() {
    if !can_mount() {
        return;
    }
    let stage = Stage::new(MOUNTS_TMPFS);
    let output = stage.run("0.1").output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("memory"), "{}", text(&output));
    let report = json(&stage.path("report.json"));
    assert_eq!(report["machine"]["node"], "v0");
    let rounds = report["rounds"].as_array().unwrap();
    assert_eq!(rounds.len(), 2);
    for round in rounds {
        assert_eq!(round[0]["server"], "memory");
        assert!(round[0]["ready"].as_str().unwrap().ends_with("(pretended)"));
        assert_eq!(round[0]["attempts"].as_array().unwrap().len(), 2);
        assert!(round[0]["attempts"][1]["server_cpu"]["system"].is_f64());
    }
    for row in report["summary"].as_array().unwrap() {
        assert_eq!(row["servers"][0]["server"], "memory");
        let rate = &row["servers"][0]["operations_per_second"];
        assert!(rate["min"].as_f64() <= rate["median"].as_f64(), "{row}");
        assert!(rate["median"].as_f64() <= rate["max"].as_f64(), "{row}");
    }
    stage.assert_nothing_is_left();
}

#[test]
fn an_interrupted_run_ends_its_server_and_leaves_nothing_behind() {
    if !can_mount() {
        return;
    }
    let stage = Stage::new(MOUNTS_TMPFS);
    let mut run = stage.run("60").stderr(Stdio::null()).spawn().unwrap();
    let limit = Instant::now() + Duration::from_secs(20);
    while fs::read_dir(stage.path("temporary")).unwrap().next().is_none() {
        assert!(Instant::now() < limit, "the run did not begin");
        thread::sleep(Duration::from_millis(10));
    }
    thread::sleep(Duration::from_millis(300));
    kill(Pid::from_raw(i32::try_from(run.id()).unwrap()), Signal::SIGINT).unwrap();
    assert!(!run.wait().unwrap().success());
    stage.assert_nothing_is_left();
}

#[test]
fn a_server_that_cannot_be_had_is_skipped_with_its_reason() {
    if !can_mount() {
        return;
    }
    let stage = Stage::new(FAILS);
    let output = stage.run("0.1").output().unwrap();
    assert!(!output.status.success());
    assert!(
        text(&output).contains("skipped memory: not mounted: there is no FUSE here"),
        "{}",
        text(&output)
    );
    let report = json(&stage.path("report.json"));
    assert_eq!(report["skipped"][0]["server"], "memory");
    assert_eq!(report["skipped"][0]["round"], 1);
    stage.assert_nothing_is_left();
}
