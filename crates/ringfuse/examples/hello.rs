//! A filesystem with one file: `cargo run --example hello -- DIR`, then `cat DIR/hello`.

use std::path::PathBuf;

use fuse_abi::{Attr, AttrOut, EntryOut, OpenOut};
use nix::errno::Errno;
use ringfuse::request::{Operation, Request};
use ringfuse::{Answer, Filesystem, ServeOptions, serve};

const ROOT: u64 = 1;
const HELLO: u64 = 2;
const CONTENTS: &[u8] = b"Hello from Rust.\n";

struct Hello;

fn attributes(ino: u64) -> Attr {
    match ino {
        ROOT => Attr { ino, mode: 0o40_755, nlink: 2, ..Attr::default() },
        _ => Attr { ino, mode: 0o100_444, nlink: 1, size: CONTENTS.len() as u64, ..Attr::default() },
    }
}

impl Filesystem for Hello {
    fn request(&self, request: Request<'_>) -> Answer {
        let ino = request.nodeid();
        match request.operation() {
            Operation::Lookup { name: b"hello" } if ino == ROOT => request.reply().entry(EntryOut {
                nodeid: HELLO,
                entry_valid: 1,
                attr_valid: 1,
                attr: attributes(HELLO),
                ..EntryOut::default()
            }),
            Operation::Lookup { .. } => request.fail(Errno::ENOENT),
            Operation::Getattr(_) => request.reply().attributes(AttrOut {
                attr_valid: 1,
                attr: attributes(ino),
                ..AttrOut::default()
            }),
            Operation::Open(_) | Operation::Opendir(_) => request.reply().open(OpenOut::default()),
            Operation::Read(read) => {
                let start = usize::try_from(read.offset).map_or(CONTENTS.len(), |at| at.min(CONTENTS.len()));
                let end = (start + read.size as usize).min(CONTENTS.len());
                request.reply().bytes(&CONTENTS[start..end])
            }
            Operation::Readdir(read) => {
                let mut directory = request.reply().directory(read.size);
                let _full = read.offset == 0 && !directory.add(HELLO, 1, 0o10, b"hello");
                directory.end()
            }
            Operation::Release(_) | Operation::Releasedir(_) | Operation::Flush(_) => request.reply().empty(),
            _ => request.fail(Errno::ENOSYS),
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = std::env::args_os().nth(1).map(PathBuf::from).ok_or("usage: hello DIR")?;
    serve(&directory, &ServeOptions::default(), &Hello, |served| {
        println!("mounted on {}: {} queues", served.connection.mount().path().display(), served.queues);
        println!("without the ring: {:?}", served.no_ring);
    })?;
    Ok(())
}
