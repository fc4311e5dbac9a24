//! The table that people read.

use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};

use crate::{
    document::Comparison,
    summary::{self, Cell, Cpu},
};

/// What stands for a figure that there is not.
pub const NOTHING: &str = "–";

/// A row for each server at each point; ratios are to the first server.
#[must_use]
pub fn table(comparison: &Comparison) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    let first = comparison.servers.first().map_or("", |server| &server.name);
    let labels = ["operation", "clients", "pinned", "server"];
    let figures =
        ["per second", "least–most", first, "bytes/s", "p50 µs", "p99 µs", "client CPU µs", "server CPU µs"];
    table.set_header(labels.into_iter().chain(figures));
    for row in summary::rows(comparison) {
        let point = &row.point;
        for cell in &row.servers {
            let labels = [
                point.operation.name.to_owned(),
                point.clients.to_string(),
                point.pinned.to_string(),
                cell.server.clone(),
            ];
            table.add_row(labels.into_iter().chain(figures_of(cell, first)));
        }
    }
    for column in table.column_iter_mut().skip(labels.len()) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn figures_of(cell: &Cell, first: &str) -> Vec<String> {
    let Some(figures) = &cell.figures else {
        return vec![if cell.failures > 0 { "failed" } else { NOTHING }.to_owned()];
    };
    let rate = figures.operations_per_second;
    let bytes = figures.bytes_per_second.median;
    vec![
        short(rate.median),
        format!("{}–{}", short(rate.min), short(rate.max)),
        cell.ratios.get(first).map_or(NOTHING.to_owned(), |ratio| format!("×{:.2}", ratio.median)),
        if bytes > 0.0 { short(bytes) } else { NOTHING.to_owned() },
        significant(figures.latency_microseconds.p50.median),
        significant(figures.latency_microseconds.p99.median),
        cpu(figures.client_cpu),
        cpu(figures.server_cpu),
    ]
}

fn cpu(cpu: Option<Cpu>) -> String {
    cpu.map_or(NOTHING.to_owned(), |Cpu { user, system }| significant(user.median + system.median))
}

/// A figure in three digits with its prefix, as `184k`.
#[must_use]
pub fn short(value: f64) -> String {
    let (scaled, prefix) = scale(value);
    format!("{}{prefix}", significant(scaled))
}

fn scale(value: f64) -> (f64, &'static str) {
    [(1e9, "G"), (1e6, "M"), (1e3, "k")]
        .into_iter()
        .find(|(unit, _)| value >= *unit)
        .map_or((value, ""), |(unit, prefix)| (value / unit, prefix))
}

/// A figure in three digits, or as many as it has below a hundredth.
#[must_use]
pub fn significant(value: f64) -> String {
    let decimals = match value {
        value if value > 0.0 && value < 0.01 => 4,
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
        assert_eq!(short(4.712e9), "4.71G");
    }
}
