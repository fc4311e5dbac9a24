//! Any bytes as a request: the parser refuses them, or says where things lie inside of them.
#![no_main]

use fuse_abi::InHeader;
use libfuzzer_sys::fuzz_target;
use zerocopy::FromBytes;

fuzz_target!(|data: (bool, Vec<u8>)| {
    let (setxattr_ext, bytes) = data;
    let Ok((header, rest)) = InHeader::read_from_prefix(&bytes) else { return };
    let Ok((arguments, payload)) = <[u8; 128]>::read_from_prefix(rest) else { return };
    let Ok(record) = ringfuse::parse(&header, &arguments, payload, setxattr_ext) else { return };
    for (offset, length) in [
        (record.name_offset, record.name_length),
        (record.name2_offset, record.name2_length),
        (record.data_offset, record.data_length),
        (record.extensions_offset, record.extensions_length),
    ] {
        assert!(offset as usize + length as usize <= payload.len());
    }
    let name = &payload[record.name_offset as usize..][..record.name_length as usize];
    assert!(!name.contains(&0));
});
