//! Results as tables of a Markdown document.

use comfy_table::{CellAlignment, Table, presets::ASCII_MARKDOWN};

use crate::{
    document::{Comparison, Skipped, Subject},
    load::Point,
    operation::Operation,
    statistics::Spread,
    summary::{self, BASELINES, Cell, Row},
    table::{NOTHING, short, significant},
    verdict::describe,
    work::{self, Work},
};

/// The server whose rates are written in full; the others are multiples of them.
const REFERENCE: &str = "null";
/// The operations whose latencies are shown.
const LATENCIES: [&str; 4] = ["stat", "read-4k", "read-1m", "create"];

/// What a comparison was made with.
#[must_use]
pub fn subjects(servers: &[Subject], skipped: &[Skipped]) -> String {
    let mut table = markdown(["server", "what it is"]);
    for server in servers {
        table.add_row([&server.name, &server.description]);
    }
    for Skipped { server, reason, .. } in skipped {
        table.add_row([server, &format!("unavailable: {}", reason.lines().next().unwrap_or_default())]);
    }
    table.to_string()
}

/// Operations of free clients: the reference's rates, and the others' ratios to them.
#[must_use]
pub fn rates(comparison: &Comparison) -> String {
    let rows = summary::rows(comparison);
    let servers = names(comparison);
    let mut table = markdown(["operation", "clients", REFERENCE].into_iter().chain(others(&servers)));
    for row in rows.iter().filter(|row| row.point.pinned.is_free()) {
        let labels = [row.point.operation.name.to_owned(), row.point.clients.to_string()];
        table.add_row(labels.into_iter().chain(cells(row, &servers)));
    }
    aligned(table, 2)
}

/// The same with clients that are held on CPUs.
#[must_use]
pub fn held(comparison: &Comparison) -> String {
    let rows = summary::rows(comparison);
    let servers = names(comparison);
    let mut table = markdown(["operation", "clients", "CPUs", REFERENCE].into_iter().chain(others(&servers)));
    for row in rows.iter().filter(|row| !row.point.pinned.is_free()) {
        let Point { operation, clients, pinned } = &row.point;
        let labels = [operation.name.to_owned(), clients.to_string(), pinned.to_string()];
        table.add_row(labels.into_iter().chain(cells(row, &servers)));
    }
    aligned(table, 3)
}

/// Each server against each baseline, at the points that people ask for first.
#[must_use]
pub fn baselines(comparison: &Comparison) -> String {
    let rows = summary::rows(comparison);
    let baselines = BASELINES.into_iter().filter(|baseline| names(comparison).contains(baseline));
    let mut table = markdown(["server", "point"].into_iter().chain(baselines.clone()));
    for server in &comparison.servers {
        for row in rows.iter().filter(|row| LATENCIES.contains(&row.point.operation.name)) {
            let Some(cell) = row.servers.iter().find(|cell| cell.server == server.name) else { continue };
            let ratios = baselines
                .clone()
                .map(|baseline| cell.ratios.get(baseline).copied().map_or_else(nothing, spread));
            table.add_row([server.name.clone(), describe(&row.point)].into_iter().chain(ratios));
        }
    }
    aligned(table, 2)
}

/// How long operations of one free client take, and what CPU time they cost.
#[must_use]
pub fn latencies(comparison: &Comparison) -> String {
    let rows = summary::rows(comparison);
    let percentiles = ["p50", "p90", "p99", "max"];
    let cpu = ["client user", "client system", "server user", "server system"];
    let mut table = markdown(["operation", "server"].into_iter().chain(percentiles).chain(cpu));
    for row in &rows {
        let Point { operation: Operation { name, .. }, clients, pinned } = &row.point;
        if clients.get() != 1 || !pinned.is_free() || !LATENCIES.contains(name) {
            continue;
        }
        for cell in &row.servers {
            let Some(figures) = &cell.figures else { continue };
            let latency = &figures.latency_microseconds;
            let latencies = [latency.p50, latency.p90, latency.p99, latency.max];
            let cpu = [figures.client_cpu, figures.server_cpu].into_iter().flat_map(|cpu| {
                let part =
                    |spread: Option<Spread>| spread.map_or_else(nothing, |spread| significant(spread.median));
                [part(cpu.map(|cpu| cpu.user)), part(cpu.map(|cpu| cpu.system))]
            });
            let latencies = latencies.into_iter().map(|spread| significant(spread.median));
            table.add_row([(*name).to_owned(), cell.server.clone()].into_iter().chain(latencies).chain(cpu));
        }
    }
    aligned(table, 2)
}

/// How long tasks take, and how much longer than on the plain directory.
#[must_use]
pub fn tasks(work: &Work) -> String {
    let mut table =
        markdown(["task"].into_iter().chain(work.servers.iter().map(|server| server.name.as_str())));
    for &task in &work.tasks {
        let cells = work.servers.iter().map(|server| work::cell(work, &server.name, task));
        table.add_row([task.name().to_owned()].into_iter().chain(cells));
    }
    aligned(table, 1)
}

fn names(comparison: &Comparison) -> Vec<&str> {
    comparison.servers.iter().map(|server| server.name.as_str()).collect()
}

fn others<'a>(servers: &[&'a str]) -> impl Iterator<Item = &'a str> {
    servers.iter().copied().filter(|server| *server != REFERENCE)
}

fn cells(row: &Row, servers: &[&str]) -> Vec<String> {
    let of = |name: &str| row.servers.iter().find(|cell| cell.server == name);
    let rate = of(REFERENCE).and_then(|cell| cell.figures.as_ref());
    let rate =
        rate.map_or_else(nothing, |figures| format!("{}/s", short(figures.operations_per_second.median)));
    [rate].into_iter().chain(others(servers).map(|server| of(server).map_or_else(nothing, ratio))).collect()
}

fn ratio(cell: &Cell) -> String {
    match cell.ratios.get(REFERENCE) {
        Some(ratio) => spread(*ratio),
        None if cell.failures > 0 => "failed".to_owned(),
        None => nothing(),
    }
}

fn spread(Spread { median, min, max }: Spread) -> String {
    format!("{} ({}–{})", significant(median), significant(min), significant(max))
}

fn nothing() -> String {
    NOTHING.to_owned()
}

fn markdown<'a>(header: impl IntoIterator<Item = &'a str>) -> Table {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN);
    table.set_header(header);
    table
}

fn aligned(mut table: Table, labels: usize) -> String {
    for column in table.column_iter_mut().skip(labels) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::samples::{comparison, session};

    #[test]
    fn rates_are_the_references_in_full_and_the_others_in_multiples_of_it() {
        let rounds = vec![
            vec![session("null", Some(100_000.0)), session("fuser", Some(50_000.0))],
            vec![session("null", Some(80_000.0)), session("fuser", Some(20_000.0))],
        ];
        let text = rates(&comparison(&["null", "fuser"], rounds));
        let lines: Vec<_> =
            text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(lines[0], "| operation | clients | null | fuser |");
        assert_eq!(lines[2], "| stat | 1 | 90.0k/s | 0.38 (0.25–0.50) |");
        assert_eq!(lines[3], "| stat | 2 | – | – |");
    }
}
