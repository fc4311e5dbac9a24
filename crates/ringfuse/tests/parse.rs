//! Requests that are cut short, or contradict themselves, are refused.

use fuse_abi::{
    BatchForgetIn, ForgetOne, GetxattrIn, InHeader, NotifyRetrieveIn, Opcode, SetxattrIn, WriteIn,
};
use ringfuse::slot::RecordFlags;
use ringfuse::{Malformed, arguments_size, parse};
use zerocopy::IntoBytes;

fn header(opcode: Opcode) -> InHeader {
    InHeader { opcode: opcode.into(), ..InHeader::default() }
}

fn area(arguments: &[u8]) -> [u8; 128] {
    let mut area = [0; 128];
    area[..arguments.len()].copy_from_slice(arguments);
    area
}

#[test]
fn a_name_is_found_without_its_nul() {
    let record = parse(&header(Opcode::Lookup), &[0; 128], b"name\0", true).unwrap();
    assert_eq!((record.name_offset, record.name_length), (0, 4));
}

#[test]
fn two_names_are_told_apart() {
    let record = parse(&header(Opcode::Symlink), &[0; 128], b"link\0target\0", true).unwrap();
    assert_eq!((record.name_offset, record.name_length), (0, 4));
    assert_eq!((record.name2_offset, record.name2_length), (5, 6));
}

#[test]
fn a_name_that_does_not_end_is_refused() {
    for payload in [&b"name"[..], b""] {
        let parsed = parse(&header(Opcode::Lookup), &[0; 128], payload, true);
        assert_eq!(parsed, Err(Malformed::UnterminatedName));
    }
    let parsed = parse(&header(Opcode::Rename), &[0; 128], b"one\0two", true);
    assert_eq!(parsed, Err(Malformed::UnterminatedName));
}

#[test]
fn an_empty_name_is_refused() {
    assert_eq!(parse(&header(Opcode::Unlink), &[0; 128], b"\0", true), Err(Malformed::EmptyName));
}

#[test]
fn a_name_of_256_bytes_is_refused_and_a_target_is_not() {
    let name = |length: usize| [vec![0xff; length], vec![0]].concat();
    for opcode in [Opcode::Lookup, Opcode::Create, Opcode::Link, Opcode::Getxattr] {
        let arguments = [0; 128];
        assert!(parse(&header(opcode), &arguments, &name(255), true).is_ok(), "{opcode:?}");
        let parsed = parse(&header(opcode), &arguments, &name(256), true);
        assert_eq!(parsed, Err(Malformed::NameTooLong), "{opcode:?}");
    }
    let names = |first, second| [name(first), name(second)].concat();
    for (first, second) in [(256, 1), (1, 256)] {
        let parsed = parse(&header(Opcode::Rename), &[0; 128], &names(first, second), true);
        assert_eq!(parsed, Err(Malformed::NameTooLong));
    }
    let parsed = parse(&header(Opcode::Symlink), &[0; 128], &names(256, 1), true);
    assert_eq!(parsed, Err(Malformed::NameTooLong));
    let record = parse(&header(Opcode::Symlink), &[0; 128], &names(255, 4095), true).unwrap();
    assert_eq!(record.name2_length, 4095);
}

#[test]
fn what_follows_a_request_is_refused() {
    let parsed = parse(&header(Opcode::Lookup), &[0; 128], b"name\0more", true);
    assert_eq!(parsed, Err(Malformed::Length { have: 9, need: 5 }));
    assert!(parse(&header(Opcode::Getattr), &[0; 128], b"x", true).is_err());
}

#[test]
fn a_write_has_as_many_bytes_as_it_says() {
    let arguments = |size| area(WriteIn { size, ..WriteIn::default() }.as_bytes());
    let record = parse(&header(Opcode::Write), &arguments(3), b"abc", true).unwrap();
    assert_eq!((record.data_offset, record.data_length), (0, 3));
    for size in [2, 4, u32::MAX] {
        assert!(parse(&header(Opcode::Write), &arguments(size), b"abc", true).is_err(), "{size}");
    }
}

#[test]
fn an_extended_attribute_has_a_name_and_a_value() {
    let arguments = area(SetxattrIn { size: 3, ..SetxattrIn::default() }.as_bytes());
    let record = parse(&header(Opcode::Setxattr), &arguments, b"user.a\0xyz", true).unwrap();
    assert_eq!((record.name_length, record.data_offset, record.data_length), (6, 7, 3));
    assert_eq!(record.flags, RecordFlags::SETXATTR_EXT.bits());
    let record = parse(&header(Opcode::Setxattr), &arguments, b"user.a\0xyz", false).unwrap();
    assert_eq!(record.flags, 0);
    assert!(parse(&header(Opcode::Setxattr), &arguments, b"user.a\0xy", true).is_err());
    assert_eq!(arguments_size(Opcode::Setxattr.into(), true), size_of::<SetxattrIn>());
    assert_eq!(arguments_size(Opcode::Setxattr.into(), false), size_of::<GetxattrIn>());
}

#[test]
fn a_list_of_forgets_is_as_long_as_its_count() {
    let arguments = |count| area(BatchForgetIn { count, ..BatchForgetIn::default() }.as_bytes());
    let list = [0; 2 * size_of::<ForgetOne>()];
    assert!(parse(&header(Opcode::BatchForget), &arguments(2), &list, true).is_ok());
    for count in [1, 3, u32::MAX] {
        assert!(parse(&header(Opcode::BatchForget), &arguments(count), &list, true).is_err(), "{count}");
    }
}

#[test]
fn the_answer_to_a_retrieve_begins_with_its_struct() {
    let size = size_of::<NotifyRetrieveIn>();
    assert!(parse(&header(Opcode::NotifyReply), &[0; 128], &vec![0; size], true).is_ok());
    assert!(parse(&header(Opcode::NotifyReply), &[0; 128], &vec![0; size - 1], true).is_err());
}

#[test]
fn extensions_are_taken_off_the_end() {
    let extended = InHeader { total_extlen: 2, ..header(Opcode::Mkdir) };
    let record = parse(&extended, &[0; 128], b"dir\0................", true).unwrap();
    assert_eq!((record.name_length, record.extensions_offset, record.extensions_length), (3, 4, 16));
    assert_eq!(parse(&extended, &[0; 128], b"dir\0", true), Err(Malformed::Extensions));
}

#[test]
fn an_unknown_opcode_is_passed_on_with_its_bytes() {
    let unknown = InHeader { opcode: 4000, ..InHeader::default() };
    let record = parse(&unknown, &[0; 128], b"anything", true).unwrap();
    assert_eq!((record.opcode, record.data_length), (4000, 8));
}

#[test]
fn every_opcode_survives_every_length() {
    let payload: Vec<u8> = (0..=255).collect();
    for opcode in Opcode::ALL {
        // Miri takes its time.
        for length in (0..payload.len()).step_by(if cfg!(miri) { 16 } else { 1 }) {
            for fill in [0, 1, 0xff] {
                let _ = parse(&header(*opcode), &[fill; 128], &payload[..length], true);
            }
        }
    }
}
