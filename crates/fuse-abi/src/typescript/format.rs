//! TypeScript as a formatter would lay it out.

const WIDTH: usize = 100;

/// An exported number, or a bigint beyond the exact numbers.
pub(super) fn constant(name: &str, value: u64) -> String {
    const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;
    if value > MAX_SAFE_INTEGER {
        format!("export const {name} = 0x{value:x}n;\n")
    } else {
        format!("export const {name} = {value};\n")
    }
}

/// An exported object of numbers, on one line if it fits.
pub(super) fn object(name: &str, entries: impl Iterator<Item = (String, u64)>) -> String {
    let entries: Vec<_> = entries.map(|(key, value)| format!("{key}: {value}")).collect();
    let line = format!("export const {name} = {{ {} }} as const;\n", entries.join(", "));
    if columns(&line) <= WIDTH {
        return line;
    }
    format!("export const {name} = {{\n  {},\n}} as const;\n", entries.join(",\n  "))
}

/// A documentation comment, on one line if it fits.
pub(super) fn doc(paragraphs: &[&str]) -> String {
    if let [text] = paragraphs {
        let line = format!("/** {text} */\n");
        if columns(&line) <= WIDTH {
            return line;
        }
    }
    let paragraphs: Vec<_> = paragraphs.iter().map(|text| wrapped(text)).collect();
    format!("/**\n{} */\n", paragraphs.join(" *\n"))
}

/// A paragraph of a documentation comment.
fn wrapped(text: &str) -> String {
    let mut lines = String::new();
    let mut line = " *".to_owned();
    for word in text.split_whitespace() {
        if columns(&line) + 1 + columns(word) > WIDTH {
            lines += &line;
            line.clear();
            line += "\n *";
        }
        line.push(' ');
        line += word;
    }
    lines + &line + "\n"
}

fn columns(line: &str) -> usize {
    line.trim_matches('\n').chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(count: u64) -> impl Iterator<Item = (String, u64)> {
        (0..count).map(|at| (format!("field_{at:02}"), at))
    }

    #[test]
    fn an_object_that_fits_is_one_line() {
        assert_eq!(object("FEW", entries(2)), "export const FEW = { field_00: 0, field_01: 1 } as const;\n");
    }

    #[test]
    fn an_object_that_does_not_fit_has_a_line_for_each_entry() {
        let text = object("MANY", entries(9));
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 11);
        assert_eq!(lines[0], "export const MANY = {");
        assert_eq!(lines[9], "  field_08: 8,");
        assert_eq!(lines[10], "} as const;");
    }

    #[test]
    fn a_line_may_have_a_hundred_columns_and_no_more() {
        let key = |len: usize| std::iter::once(("k".repeat(len), 0));
        let around = "export const A = { : 0 } as const;".len();
        assert_eq!(object("A", key(100 - around)).lines().count(), 1);
        assert_eq!(object("A", key(101 - around)).lines().count(), 3);
    }

    #[test]
    fn a_value_beyond_the_exact_numbers_is_a_bigint() {
        assert_eq!(constant("EXACT", (1 << 53) - 1), "export const EXACT = 9007199254740991;\n");
        assert_eq!(constant("WIDE", 1 << 63), "export const WIDE = 0x8000000000000000n;\n");
    }

    #[test]
    fn a_long_comment_is_wrapped() {
        let text = doc(&["Short.", &"word ".repeat(30)]);
        assert!(text.starts_with("/**\n * Short.\n *\n * word word"), "{text}");
        assert!(text.lines().all(|line| columns(line) <= WIDTH), "{text}");
    }
}
