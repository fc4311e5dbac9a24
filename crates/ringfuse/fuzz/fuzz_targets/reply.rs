//! Any request that parses, answered with a listing of any names: every entry lies inside of the room.
#![no_main]

use fuse_abi::{Dirent, EntryOut, InHeader, dirent_size};
use libfuzzer_sys::fuzz_target;
use ringfuse::Answer;
use ringfuse::request::Request;
use zerocopy::FromBytes;

fuzz_target!(|data: (Vec<u8>, u16, bool, Vec<Vec<u8>>)| {
    let (bytes, size, plus, names) = data;
    let Ok((header, rest)) = InHeader::read_from_prefix(&bytes) else { return };
    let Ok((arguments, payload)) = <[u8; 128]>::read_from_prefix(rest) else { return };
    let mut payload = payload.to_vec();
    let Ok(request) = Request::parse(header, arguments, &mut payload) else { return };
    // Reading the request must not fail either.
    let _ = format!("{:?}", request.operation());
    let mut directory = request.reply().directory(size.into());
    let mut taken = Vec::new();
    for name in &names {
        let added = if plus {
            directory.add_plus(EntryOut::default(), 1, name)
        } else {
            directory.add(1, 1, 0, name)
        };
        if !added {
            break;
        }
        taken.push(name);
    }
    let Answer::Payload(length) = directory.end() else { panic!("a listing is a payload") };
    assert!(length <= usize::from(size).min(payload.len()));
    let mut at = 0;
    for name in taken {
        at += if plus { size_of::<EntryOut>() } else { 0 };
        let dirent = Dirent::read_from_bytes(&payload[at..][..size_of::<Dirent>()]).unwrap();
        assert_eq!(dirent.namelen as usize, name.len());
        assert_eq!(&payload[at + size_of::<Dirent>()..][..name.len()], name);
        at += dirent_size(name.len());
    }
    assert_eq!(at, length);
});
