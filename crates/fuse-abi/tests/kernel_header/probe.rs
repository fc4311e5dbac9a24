//! What a C compiler makes of a header.

use std::collections::HashMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::header::Header;

/// Numbers by what they are: `size fuse_attr`, `offset fuse_attr.ino`, `value FUSE_LOOKUP`.
pub struct Facts(HashMap<String, u64>);

impl Facts {
    /// The size of a struct or of one of its fields.
    pub fn size(&self, path: &str) -> usize {
        self.fact("size", path).try_into().expect("a size")
    }

    /// The offset of a field.
    pub fn offset(&self, path: &str) -> usize {
        self.fact("offset", path).try_into().expect("an offset")
    }

    /// The value of a constant.
    pub fn value(&self, name: &str) -> u64 {
        self.fact("value", name)
    }

    fn fact(&self, what: &str, of: &str) -> u64 {
        self.0[&format!("{what} {of}")]
    }
}

/// Compiles and runs a program that prints everything in the header, or tells why there is no compiler.
pub fn run(path: &str, header: &Header) -> Result<Facts, String> {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let source = directory.join("kernel_header.c");
    let program: PathBuf = directory.join("kernel_header");
    std::fs::write(&source, text(path, header)).expect("the source can be written");
    let compiler = Command::new("cc")
        .args(["-Wall", "-Werror", "-o"])
        .args([&program, &source])
        .output()
        .map_err(|error| format!("`cc` cannot be run: {error}"))?;
    succeeded("cc", &compiler);
    let output = Command::new(&program).output().expect("the program can be run");
    succeeded("the program", &output);
    let lines = String::from_utf8(output.stdout).expect("text");
    let fact = |line: &str| {
        let (what, number) = line.rsplit_once(' ')?;
        Some((what.to_owned(), number.parse().ok()?))
    };
    Ok(Facts(lines.lines().filter_map(fact).collect()))
}

fn succeeded(what: &str, output: &Output) {
    assert!(output.status.success(), "{what} failed:\n{}", String::from_utf8_lossy(&output.stderr));
}

fn text(path: &str, header: &Header) -> String {
    let mut text = format!(
        r#"#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include "{path}"

/* A negative number of 32 bits is a flag in the sign bit. */
#define VALUE(x) (sizeof(x) == 4 ? (unsigned long long)(uint32_t)(x) : (unsigned long long)(x))
#define PRINT(what, number) printf("%s %llu\n", what, (unsigned long long)(number))

int main(void) {{
"#
    );
    for structure in &header.structs {
        let name = &structure.name;
        writeln!(text, "    PRINT(\"size {name}\", sizeof(struct {name}));").expect("memory");
        for field in &structure.fields {
            let field = &field.name;
            writeln!(text, "    PRINT(\"size {name}.{field}\", sizeof(((struct {name} *)0)->{field}));")
                .expect("memory");
            writeln!(text, "    PRINT(\"offset {name}.{field}\", offsetof(struct {name}, {field}));")
                .expect("memory");
        }
    }
    for name in &header.constants {
        writeln!(text, "    PRINT(\"value {name}\", VALUE({name}));").expect("memory");
    }
    text + "    return 0;\n}\n"
}
