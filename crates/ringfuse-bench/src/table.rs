//! The table that people read.

use comfy_table::{CellAlignment, Table, presets::UTF8_FULL};

use crate::{
    document::Comparison,
    summary::{self, Cell, Cpu},
};

/// Rows of points, columns of servers; ratios are to the first of them.
#[must_use]
pub fn table(comparison: &Comparison) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL);
    let labels = ["operation", "clients", "pinned"];
    let first = comparison.servers.first().map_or("", |server| &server.name);
    table.set_header(labels.into_iter().chain(comparison.servers.iter().map(|server| server.name.as_str())));
    for row in summary::rows(comparison) {
        let point = &row.point;
        let labels = [point.operation.name.to_owned(), point.clients.to_string(), point.pinned.to_string()];
        table.add_row(labels.into_iter().chain(row.servers.iter().map(|cell| text(cell, first))));
    }
    for column in table.column_iter_mut().skip(labels.len()) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// The rate with its spread; below it the ratio, the bytes and the server's CPU time.
fn text(cell: &Cell, first: &str) -> String {
    let Some(figures) = &cell.figures else {
        return if cell.failures > 0 { "failed" } else { "–" }.to_owned();
    };
    let rate = figures.operations_per_second;
    let mut details = Vec::new();
    if let Some(ratio) = cell.ratios.get(first) {
        details.push(format!("×{:.2}", ratio.median));
    }
    if figures.bytes_per_second.median > 0.0 {
        details.push(format!("{}B/s", spaced(figures.bytes_per_second.median)));
    }
    if let Some(Cpu { user, system }) = figures.server_cpu {
        details.push(format!("{} µs CPU", significant(user.median + system.median)));
    }
    if cell.failures > 0 {
        details.push(format!("{} failed", cell.failures));
    }
    format!("{}/s ({}–{})\n{}", short(rate.median), short(rate.min), short(rate.max), details.join(" · "))
}

/// A figure in three digits with its prefix, as `184k`.
#[must_use]
pub fn short(value: f64) -> String {
    let (scaled, prefix) = scale(value);
    format!("{}{prefix}", significant(scaled))
}

/// A figure in three digits and the prefix of the unit that follows, as `4.71 G`.
#[must_use]
pub fn spaced(value: f64) -> String {
    let (scaled, prefix) = scale(value);
    format!("{} {prefix}", significant(scaled))
}

fn scale(value: f64) -> (f64, &'static str) {
    [(1e9, "G"), (1e6, "M"), (1e3, "k")]
        .into_iter()
        .find(|(unit, _)| value >= *unit)
        .map_or((value, ""), |(unit, prefix)| (value / unit, prefix))
}

/// A figure in three digits.
#[must_use]
pub fn significant(value: f64) -> String {
    let decimals = match value {
        value if value < 10.0 => 2,
        value if value < 100.0 => 1,
        _ => 0,
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_written_in_three_digits() {
        let figures =
            [(0.0, "0.00"), (7.318, "7.32"), (812.4, "812"), (4_712.0, "4.71k"), (184_233.0, "184k")];
        for (value, text) in figures {
            assert_eq!(short(value), text);
        }
        assert_eq!(spaced(4.712e9), "4.71 G");
    }
}
