//! What requests and replies cost in this crate, by operation and size: `cargo bench -p ringfuse --bench encoding`.

use divan::{Bencher, black_box, counter::BytesCount};
use fuse_abi::{
    Attr, AttrOut, CreateIn, EntryOut, GetattrIn, InHeader, Opcode, OpenOut, ReadIn, Rename2In, SetattrIn,
    StatfsOut, WriteIn,
};
use nix::errno::Errno;
use ringfuse::{Answer, parse, request::Request};
use zerocopy::{Immutable, IntoBytes};

/// A request as it comes from the kernel.
#[derive(Clone)]
struct Raw {
    header: InHeader,
    arguments: [u8; 128],
    payload: Vec<u8>,
}

/// Bytes of a payload, as the default mount has them.
const PAYLOAD: usize = 1 << 20;

fn raw(opcode: Opcode, arguments: &(impl IntoBytes + Immutable), payload: &[u8]) -> Raw {
    let header = InHeader { opcode: opcode.into(), nodeid: 2, ..InHeader::default() };
    let mut area = [0; 128];
    area[..size_of_val(arguments)].copy_from_slice(arguments.as_bytes());
    Raw { header, arguments: area, payload: payload.to_vec() }
}

/// The requests that are most of what filesystems are asked.
fn requests() -> Vec<(&'static str, Raw)> {
    vec![
        ("getattr", raw(Opcode::Getattr, &GetattrIn::default(), b"")),
        ("lookup", raw(Opcode::Lookup, &[0_u8; 0], b"a-name-of-some-length\0")),
        ("read", raw(Opcode::Read, &ReadIn { size: 4096, ..ReadIn::default() }, b"")),
        ("write", raw(Opcode::Write, &WriteIn { size: 4096, ..WriteIn::default() }, &[0x5a; 4096])),
        ("create", raw(Opcode::Create, &CreateIn::default(), b"a-name-of-some-length\0")),
        ("unlink", raw(Opcode::Unlink, &[0_u8; 0], b"a-name-of-some-length\0")),
        ("rename2", raw(Opcode::Rename2, &Rename2In::default(), b"a-name\0another-name\0")),
        ("setattr", raw(Opcode::Setattr, &SetattrIn::default(), b"")),
        ("readdir", raw(Opcode::Readdir, &ReadIn { size: 4096, ..ReadIn::default() }, b"")),
    ]
}

const NAMES: [&str; 9] =
    ["getattr", "lookup", "read", "write", "create", "unlink", "rename2", "setattr", "readdir"];

fn named(name: &str) -> Raw {
    requests().into_iter().find(|(known, _)| *known == name).expect("a request of that name").1
}

/// Checks a request and finds its parts.
#[divan::bench(args = NAMES)]
fn parsing(bencher: Bencher<'_, '_>, name: &str) {
    let Raw { header, arguments, payload } = named(name);
    bencher.bench_local(|| parse(black_box(&header), black_box(&arguments), black_box(&payload), true));
}

/// Checks a request, and tells the filesystem its operation with all of its parts.
#[divan::bench(args = NAMES)]
fn dispatch(bencher: Bencher<'_, '_>, name: &str) {
    let Raw { header, arguments, mut payload } = named(name);
    bencher.bench_local(move || {
        let request = Request::parse(black_box(header), black_box(arguments), &mut payload);
        let request = request.expect("the request is one");
        black_box(request.operation());
        request.fail(Errno::ENOSYS)
    });
}

const REPLIES: [&str; 5] = ["attributes", "entry", "create", "statfs", "error"];

/// Encodes a reply. The request is a WRITE, whose payload leaves room for all of them.
#[divan::bench(args = REPLIES)]
fn reply(bencher: Bencher<'_, '_>, kind: &str) {
    let attr = Attr { ino: 2, mode: 0o100_644, nlink: 1, size: 1 << 30, ..Attr::default() };
    let entry = EntryOut { nodeid: 2, attr, ..EntryOut::default() };
    answering(bencher, |request| match black_box(kind) {
        "attributes" => request.reply().attributes(AttrOut { attr, ..AttrOut::default() }),
        "entry" => request.reply().entry(entry),
        "create" => request.reply().create(entry, OpenOut::default()),
        "statfs" => request.reply().statfs(StatfsOut::default()),
        _ => request.fail(Errno::ENOENT),
    });
}

/// Copies bytes into the slot, as a filesystem does that has them elsewhere.
#[divan::bench(args = [4 << 10, 128 << 10, 1 << 20])]
fn read_reply(bencher: Bencher<'_, '_>, bytes: usize) {
    let contents = vec![0xa5; bytes];
    answering(bencher.counter(BytesCount::new(bytes)), |request| request.reply().bytes(black_box(&contents)));
}

/// Fills a listing of so many bytes with entries of 48.
#[divan::bench(args = [4096, 65_536])]
fn readdir_reply(bencher: Bencher<'_, '_>, size: u32) {
    answering(bencher, |request| {
        let mut directory = request.reply().directory(size);
        let mut ino = 1;
        while directory.add(ino, ino, 8, b"a-name-of-some-length") {
            ino += 1;
        }
        directory.end()
    });
}

/// The same with attributes.
#[divan::bench(args = [4096, 65_536])]
fn readdirplus_reply(bencher: Bencher<'_, '_>, size: u32) {
    answering(bencher, |request| {
        let mut directory = request.reply().directory(size);
        let mut ino = 1;
        while directory.add_plus(
            EntryOut { nodeid: ino, ..EntryOut::default() },
            ino,
            b"a-name-of-some-length",
        ) {
            ino += 1;
        }
        directory.end()
    });
}

fn answering(bencher: Bencher<'_, '_>, mut answer: impl FnMut(Request<'_>) -> Answer) {
    let size = u32::try_from(PAYLOAD).expect("1 MiB is no more than 4 GiB");
    let Raw { header, arguments, mut payload } =
        raw(Opcode::Write, &WriteIn { size, ..WriteIn::default() }, &vec![0; PAYLOAD]);
    bencher.bench_local(move || {
        let request = Request::parse(black_box(header), arguments, &mut payload);
        answer(request.expect("the request is one"))
    });
}

fn main() {
    divan::main();
}
