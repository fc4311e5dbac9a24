//! The protocol is what the C header says, as a C compiler reads it.
//!
//! The header is `/usr/include/linux/fuse.h`, or the file that the environment variable `FUSE_HEADER` names. Where
//! there is no such file or no C compiler, or the header is of another age, the tests say so and pass.

mod constants;
mod header;
mod probe;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use fuse_abi::{KERNEL_MINOR_VERSION, LayoutInfo, layouts};
use header::Header;
use probe::Facts;

/// The first minor version whose every header has the struct, for those that are younger than 7.38.
const STRUCTS_SINCE: &[(&str, u32)] = &[
    ("fuse_supp_groups", 39),
    ("fuse_sx_time", 39),
    ("fuse_statx", 39),
    ("fuse_statx_in", 39),
    ("fuse_statx_out", 39),
    ("fuse_backing_map", 40),
    ("fuse_uring_ent_in_out", 42),
    ("fuse_uring_req_header", 42),
    ("fuse_uring_cmd_req", 42),
    ("fuse_copy_file_range_out", 45),
    ("fuse_notify_prune_out", 45),
];

/// The first minor version with the field as it is now. `fuse_open_out.padding` is gone since.
const FIELDS_SINCE: &[(&str, &str, u32)] = &[
    ("fuse_open_out", "padding", 40),
    ("fuse_open_out", "backing_id", 40),
    ("fuse_init_out", "max_stack_depth", 40),
    ("fuse_init_out", "request_timeout", 43),
    ("fuse_init_out", "unused", 43),
];

/// Why there is nothing to compare, or the header and what the compiler makes of it.
static HEADER: LazyLock<Result<(Header, Facts), String>> = LazyLock::new(|| {
    let chosen = std::env::var("FUSE_HEADER").ok();
    let path = chosen.clone().unwrap_or_else(|| "/usr/include/linux/fuse.h".to_owned());
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if chosen.is_some() => panic!("FUSE_HEADER {path} cannot be read: {error}"),
        Err(error) => return Err(format!("{path} cannot be read: {error}")),
    };
    let header = header::parse(&text);
    if !(38..=KERNEL_MINOR_VERSION).contains(&header.minor) {
        return Err(format!(
            "{path} is of protocol 7.{}, neither 7.38 nor between it and ours",
            header.minor
        ));
    }
    let facts = probe::run(&path, &header)?;
    println!("compared with {path}, protocol 7.{}", header.minor);
    Ok((header, facts))
});

/// The header and its facts, unless there is a reason to compare nothing.
fn header() -> Option<&'static (Header, Facts)> {
    HEADER.as_ref().inspect_err(|reason| println!("nothing compared: {reason}")).ok()
}

/// Our structs by their names in C.
fn our_structs() -> BTreeMap<String, LayoutInfo> {
    let c_name = |layout: &LayoutInfo| match layout.snake_name() {
        name if name.starts_with("cuse_") => name,
        name => format!("fuse_{name}"),
    };
    layouts().map(|layout| (c_name(&layout), layout)).collect()
}

fn field_since(structure: &str, field: &str) -> u32 {
    FIELDS_SINCE
        .iter()
        .find(|(of, name, _)| (*of, *name) == (structure, field))
        .map_or(0, |(_, _, since)| *since)
}

#[test]
fn every_struct_of_the_header_is_ours() {
    let Some((header, facts)) = header() else { return };
    let ours = our_structs();
    assert!(header.structs.len() > 60, "only {} structs were found in the header", header.structs.len());
    for structure in &header.structs {
        let layout = ours.get(&structure.name).unwrap_or_else(|| panic!("we have no {}", structure.name));
        assert_eq!(layout.size, facts.size(&structure.name), "size of {}", structure.name);
    }
}

#[test]
fn every_field_of_the_header_is_ours() {
    let Some((header, facts)) = header() else { return };
    let ours = our_structs();
    for structure in &header.structs {
        let fields = ours.get(&structure.name).map_or(&[][..], |layout| layout.fields);
        for theirs in &structure.fields {
            if header.minor < field_since(&structure.name, &theirs.name) {
                continue;
            }
            let path = format!("{}.{}", structure.name, theirs.name);
            let field = fields.iter().find(|field| field.name == theirs.name);
            let field = field.unwrap_or_else(|| panic!("we have no {path}"));
            let place = (field.offset, field.size);
            assert_eq!(place, (facts.offset(&path), facts.size(&path)), "offset and size of {path}");
            assert_eq!(field.kind.name(), theirs.kind, "kind of {path}");
        }
    }
}

#[test]
fn what_the_header_lacks_is_younger_than_it() {
    let Some((header, _)) = header() else { return };
    for (name, layout) in our_structs() {
        let Some(theirs) = header.structs.iter().find(|structure| structure.name == name) else {
            let since = STRUCTS_SINCE.iter().find(|(of, _)| *of == name).map_or(0, |(_, since)| *since);
            assert!(header.minor < since, "the header has no {name}, though it is of 7.{}", header.minor);
            continue;
        };
        for field in layout.fields {
            let known = theirs.fields.iter().any(|theirs| theirs.name == field.name);
            let younger = header.minor < field_since(&name, field.name);
            assert!(known || younger, "the header has no {name}.{}", field.name);
        }
    }
}

#[test]
fn every_constant_of_the_header_is_ours() {
    let Some((header, facts)) = header() else { return };
    let ours = constants::ours();
    assert!(
        header.constants.len() > 150,
        "only {} constants were found in the header",
        header.constants.len()
    );
    for name in &header.constants {
        let value = ours.get(name.as_str()).unwrap_or_else(|| panic!("we have no {name}"));
        assert_eq!(*value, facts.value(name), "{name}");
    }
}

#[test]
fn a_header_of_our_minor_version_lacks_no_constant() {
    let Some((header, _)) = header() else { return };
    if header.minor == KERNEL_MINOR_VERSION {
        let ours: BTreeSet<_> = constants::ours().into_keys().collect();
        let theirs = header.constants.iter().cloned().collect();
        let missing: Vec<_> = ours.difference(&theirs).collect();
        assert!(missing.is_empty(), "the header lacks {missing:?}");
    }
}
