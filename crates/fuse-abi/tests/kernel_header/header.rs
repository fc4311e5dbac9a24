//! The names in a C header: its structs with their fields, and its constants.
//!
//! This is no parser of C: it knows the style of `fuse.h` and nothing else.

/// What a header defines.
pub struct Header {
    /// Its `FUSE_KERNEL_MINOR_VERSION`.
    pub minor: u32,
    pub structs: Vec<Struct>,
    /// Names of macros and enumerators that have a number.
    pub constants: Vec<String>,
}

pub struct Struct {
    pub name: String,
    pub fields: Vec<Field>,
}

pub struct Field {
    pub name: String,
    /// As `fuse_abi::Kind::name` has it.
    pub kind: String,
}

/// Names that stand for no number, or for one that differs from header to header.
const NOT_CONSTANT: &[&str] = &[
    "FUSE_KERNEL_MINOR_VERSION",
    // The count of codes, up to 7.44.
    "FUSE_NOTIFY_CODE_MAX",
    // Depends on `PAGE_SIZE`, which user space does not have.
    "FUSE_REMOVEMAPPING_MAX_ENTRY",
];

pub fn parse(text: &str) -> Header {
    let text = without_comments(text);
    let minor = text
        .lines()
        .find_map(|line| line.strip_prefix("#define FUSE_KERNEL_MINOR_VERSION"))
        .and_then(|number| number.trim().parse().ok())
        .expect("the header has a minor version");
    let structs = blocks(&text, "struct ")
        .map(|(name, body)| Struct {
            name: name.to_owned(),
            fields: body.split(';').filter_map(field).collect(),
        })
        .collect();
    let enumerators = blocks(&text, "enum ")
        .flat_map(|(_, body)| body.split(','))
        .filter_map(|row| row.split_whitespace().next());
    let constants = text
        .lines()
        .filter_map(macro_name)
        .chain(enumerators)
        .filter(|name| !NOT_CONSTANT.contains(name))
        .map(str::to_owned)
        .collect();
    Header { minor, structs, constants }
}

fn without_comments(text: &str) -> String {
    let mut parts = text.split("/*");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.filter_map(|part| part.split_once("*/")).fold(first, |text, (_, code)| text + code)
}

/// The name and the body of each `keyword name { body };`.
fn blocks<'a>(text: &'a str, keyword: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
    text.split("};").filter_map(move |text| {
        let (head, body) = text.rsplit_once('{')?;
        let (_, name) = head.rsplit_once('\n')?;
        Some((name.strip_prefix(keyword)?.trim(), body))
    })
}

/// A field from its declaration, unless it is an array of no length, which takes no room.
fn field(declaration: &str) -> Option<Field> {
    let (c_type, declarator) = declaration.trim().rsplit_once(char::is_whitespace)?;
    let (name, array) =
        declarator.split_once('[').map_or((declarator, None), |(name, len)| (name, Some(len)));
    let kind = match (array, c_type.trim()) {
        (Some("]"), _) => return None,
        (Some(_), _) => "bytes".to_owned(),
        (None, "uint8_t") => "u8".to_owned(),
        (None, "uint16_t") => "u16".to_owned(),
        (None, "uint32_t") => "u32".to_owned(),
        (None, "uint64_t") => "u64".to_owned(),
        (None, "int32_t") => "i32".to_owned(),
        (None, "int64_t") => "i64".to_owned(),
        (None, c_type) => camel_case(c_type.trim_start_matches("struct fuse_")),
    };
    Some(Field { name: name.to_owned(), kind })
}

fn camel_case(snake: &str) -> String {
    snake
        .split('_')
        .flat_map(|word| word[..1].to_uppercase().chars().chain(word[1..].chars()).collect::<Vec<_>>())
        .collect()
}

/// The name of a macro that has a value and no arguments.
fn macro_name(line: &str) -> Option<&str> {
    let (name, value) = line.strip_prefix("#define ")?.split_once(char::is_whitespace)?;
    let ours = ["FUSE_", "FATTR_", "FOPEN_", "CUSE_"].iter().any(|prefix| name.starts_with(prefix));
    (ours && !name.contains('(') && !value.trim().is_empty()).then_some(name)
}
