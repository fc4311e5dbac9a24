//! Serving threads that fail.

mod support;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::thread;

use nix::errno::Errno;
use ringfuse::request::{Operation, Request};
use ringfuse::{Answer, Filesystem, ServeOptions, Transport, serve};
use support::received;

/// Fails at one name; nothing else is there.
struct Fragile;

impl Filesystem for Fragile {
    fn request(&self, request: Request<'_>) -> Answer {
        assert!(!matches!(request.operation(), Operation::Lookup { name: b"broken" }), "as the test wants");
        Answer::Error(Errno::ENOENT)
    }
}

#[test]
fn one_thread_that_fails_ends_the_mount() {
    for transport in [Transport::Auto, Transport::DevFuse] {
        let directory = tempfile::tempdir().unwrap();
        let (mounted_sender, mounted) = mpsc::channel();
        let (ended_sender, ended) = mpsc::channel();
        let path = directory.path().to_owned();
        thread::spawn(move || {
            let options = ServeOptions { transport, ..ServeOptions::default() };
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                serve(&path, &options, &Fragile, |_| mounted_sender.send(()).unwrap())
            }));
            drop(mounted_sender);
            ended_sender.send(outcome.map_err(drop)).unwrap();
        });
        if mounted.recv().is_err() {
            return eprintln!("not tested: FUSE cannot be mounted here");
        }
        let ask = |name| {
            let error = fs::symlink_metadata(directory.path().join(name)).unwrap_err();
            Errno::from_raw(error.raw_os_error().unwrap())
        };
        assert_eq!(ask("nothing"), Errno::ENOENT);
        assert_eq!(ask("broken"), Errno::ECONNABORTED);
        assert!(received(&ended).is_err(), "the panic is not told");
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains(directory.path().to_str().unwrap()), "it is mounted still");
    }
}
