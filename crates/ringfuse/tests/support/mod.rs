//! A filesystem without files on a real mount, served by channels that a test turns itself.
#![expect(dead_code, reason = "each test uses a part")]

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use fuse_abi::{InHeader, Opcode};
use nix::errno::Errno;
use ringfuse::cpu::{pin_thread, possible_cpus};
use ringfuse::slot::{HEADER_STRIDE, SlotIndex};
use ringfuse::{
    Channel, Connection, Depth, Handshake, MountOptions, Transport, Unmount, Wait, Waiting, Wanted,
};
use tempfile::TempDir;

/// How long anything may take. A test that waits so long has failed.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// A mount; taken away when it is dropped, whoever waits for it.
pub struct Mounted {
    pub connection: Arc<Connection>,
    pub directory: TempDir,
}

impl Mounted {
    /// Mounts, with a channel for each CPU. None, with the reason said, where this machine cannot.
    pub fn new(transport: Transport, depth: usize, waiting: Waiting) -> Option<(Self, Vec<Channel>)> {
        let directory = tempfile::tempdir().unwrap();
        let begun = Handshake::begin(directory.path(), &MountOptions::default(), &Wanted::default());
        let handshake = begun.inspect_err(|error| eprintln!("not tested: {error}")).ok()?;
        let shares: Vec<_> = (0..possible_cpus()).map(|cpu| vec![u16::try_from(cpu).unwrap()]).collect();
        let depth = Depth { ring: depth, device: depth };
        let made = handshake.channels(transport, &shares, depth, waiting);
        let (channels, no_ring) = made.inspect_err(|error| eprintln!("not tested: {error}")).ok()?;
        let connection = handshake.finish(no_ring.is_none()).unwrap();
        Some((Self { connection, directory }, channels))
    }

    /// Asks for a name on a CPU: the errno that comes of it.
    pub fn ask(&self, cpu: usize, name: &str) -> Receiver<Errno> {
        let path = self.path(name);
        let (sender, receiver) = channel();
        thread::spawn(move || {
            pin_thread([cpu]);
            let outcome = path.symlink_metadata().map(drop);
            let errno = outcome
                .err()
                .and_then(|error| error.raw_os_error())
                .map_or(Errno::UnknownErrno, Errno::from_raw);
            // The test may have failed meanwhile.
            let _ = sender.send(errno);
        });
        receiver
    }

    /// How many requests the kernel has no answer to, by the fuse control filesystem.
    pub fn requests(&self) -> usize {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let path = self.directory.path().to_str().unwrap();
        let line = mounts.lines().find(|line| line.split(' ').nth(4) == Some(path)).unwrap();
        let (_, connection) = line.split(' ').nth(2).unwrap().split_once(':').unwrap();
        let waiting = fs::read_to_string(format!("/sys/fs/fuse/connections/{connection}/waiting"));
        waiting.expect("fusectl is mounted on /sys/fs/fuse/connections").trim().parse().unwrap()
    }

    /// Waits until [`Mounted::requests`] are so many.
    pub fn wait_for_requests(&self, count: usize) {
        let limit = Instant::now() + PATIENCE;
        while self.requests() != count {
            assert!(Instant::now() < limit, "the requests do not come");
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Ends the connection when the result is dropped, also by a failed test.
    pub fn end(&self) -> End<'_> {
        End(&self.connection)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

/// See [`Mounted::end`].
pub struct End<'a>(&'a Arc<Connection>);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.unmount(Unmount::Force).unwrap().recv().unwrap().unwrap();
    }
}

/// What comes, within [`PATIENCE`].
pub fn received<T>(receiver: &Receiver<T>) -> T {
    receiver.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no answer comes"))
}

/// Whether nothing comes for a while.
pub fn nothing_comes<T>(receiver: &Receiver<T>) -> bool {
    matches!(receiver.recv_timeout(Duration::from_millis(100)), Err(RecvTimeoutError::Timeout))
}

/// A request's operation.
pub fn opcode(channel: &Channel, slot: SlotIndex) -> Option<Opcode> {
    let header: InHeader = channel.slots().headers().read(slot as usize * HEADER_STRIDE);
    Opcode::try_from(header.opcode).ok()
}

/// The name that a LOOKUP asks for.
pub fn name(channel: &Channel, slot: SlotIndex) -> String {
    let at = slot as usize;
    let layout =
        channel.slots().payload_layouts().find(|layout| at < layout.first_slot + layout.slots).unwrap();
    let start = layout.offset + (at - layout.first_slot) * layout.stride;
    let bytes = (start..).map(|offset| layout.region.read::<u8>(offset)).take_while(|byte| *byte != 0);
    String::from_utf8(bytes.collect()).unwrap()
}

/// Turns a channel until LOOKUPs are ready, and returns their slots.
pub fn lookups(channel: &mut Channel) -> Vec<SlotIndex> {
    let limit = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < limit, "no request came");
        let ready = channel.turn(Wait::Poll(Duration::from_millis(1))).unwrap().to_vec();
        let (lookups, others): (Vec<_>, Vec<_>) =
            ready.into_iter().partition(|slot| opcode(channel, *slot) == Some(Opcode::Lookup));
        for slot in others {
            channel.commit(slot, ringfuse::Answer::Error(Errno::ENOSYS)).unwrap();
        }
        if !lookups.is_empty() {
            return lookups;
        }
    }
}
