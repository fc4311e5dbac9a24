//! Many files: what an operation costs among a million of them, against a thousand.

mod population;

use std::{
    num::NonZeroUsize,
    path::PathBuf,
    time::{Duration, Instant},
};

use clap::{Args, ValueEnum};
use comfy_table::{Table, TableStyle};
use procfs::process::Process;
use serde::{Deserialize, Serialize};

use self::population::Population;
use crate::{
    document,
    error::Error,
    load::seconds,
    machine::Machine,
    patience::within,
    profile::{Profile, REPOSITORY},
    running::Running,
    server::Server,
    statistics::{Spread, float},
    table::{NOTHING, short, significant},
};

/// How many files the others are held against.
const FEW: u64 = 1000;

/// How long it may take to make all files, or to measure an operation.
const LONGEST_STEP: Duration = Duration::from_secs(1800);

/// The arguments of `scale`.
#[derive(Debug, Args)]
pub struct Options {
    /// How many files there are, and how long everything is measured
    #[arg(long, value_enum, default_value = "quick")]
    profile: Profile,
    /// How many files there are
    #[arg(long, value_name = "N")]
    files: Option<u64>,
    /// How often every operation has its turn
    #[arg(long, value_name = "N")]
    rounds: Option<NonZeroUsize>,
    /// How long each operation is measured in a round, in seconds
    #[arg(long, value_name = "S", default_value = "0.5", value_parser = seconds)]
    seconds: Duration,
    /// The server, as `compare` has them
    #[arg(long, value_name = "NAME", default_value = "memory")]
    server: Server,
    /// Write the figures of every round there, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// The repository with the scripts of Node servers
    #[arg(long, value_name = "DIR", default_value = REPOSITORY)]
    repository: PathBuf,
}

/// How files lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// A thousand in one directory.
    Few,
    /// All in one directory.
    Flat,
    /// In directories of a thousand.
    Tree,
}

/// An operation on one of many files, chosen by chance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// `stat` by its path.
    Lookup,
    /// `stat` by its path, with attributes that the server is asked for.
    Stat,
    /// Create of another file beside it.
    Create,
    /// Unlink of that one.
    Unlink,
    /// Listing of its directory; each entry counts.
    Readdir,
}

/// What was found out.
#[derive(Debug, Serialize, Deserialize)]
pub struct Scale {
    /// Where it ran.
    pub machine: Machine,
    /// The server.
    pub server: String,
    /// How many files there were, but for the shape of few.
    pub files: u64,
    /// What making them came to.
    pub fills: Vec<Fill>,
    /// The time of operations, in interleaved rounds.
    pub rounds: Vec<Vec<Measurement>>,
}

/// What making the files of a shape came to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Fill {
    /// The shape.
    pub shape: Shape,
    /// How many files.
    pub files: u64,
    /// Files made per second, one after the other.
    pub per_second: f64,
    /// The memory of the server's process afterwards, in MiB.
    pub mebibytes: Option<f64>,
}

/// The time of an operation in a round.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Measurement {
    /// The shape.
    pub shape: Shape,
    /// The operation.
    pub operation: Operation,
    /// The mean time, in microseconds.
    pub microseconds: f64,
}

impl Scale {
    /// The time of an operation.
    fn time(&self, shape: Shape, operation: Operation) -> Option<Spread> {
        Spread::of(self.rounds.iter().filter_map(|round| microseconds(round, shape, operation)))
    }

    /// The same as a multiple of what it takes among few files, round by round.
    fn ratio(&self, shape: Shape, operation: Operation) -> Option<Spread> {
        Spread::of(self.rounds.iter().filter_map(|round| {
            Some(microseconds(round, shape, operation)? / microseconds(round, Shape::Few, operation)?)
        }))
    }
}

fn microseconds(round: &[Measurement], shape: Shape, operation: Operation) -> Option<f64> {
    let found = round.iter().find(|found| found.shape == shape && found.operation == operation)?;
    Some(found.microseconds)
}

/// Makes the files, measures, prints the table and writes the JSON file.
///
/// # Errors
///
/// What of it cannot be had.
pub fn scale(options: &Options) -> Result<(), Error> {
    let (files, rounds) = match options.profile {
        Profile::Quick => (20_000, 2),
        Profile::Full => (1_000_000, 5),
    };
    let files = options.files.unwrap_or(files);
    let rounds = options.rounds.map_or(rounds, NonZeroUsize::get);
    options.server.prepare(&options.repository)?;

    let (mut mounts, mut fills) = (Vec::new(), Vec::new());
    for &shape in Shape::value_variants() {
        let files = if shape == Shape::Few { FEW } else { files };
        let running = Running::start(&options.server, &options.repository)?;
        let begin = Instant::now();
        let directory = running.directory().to_owned();
        let population = within(LONGEST_STEP, move || Population::make(&directory, shape, files))?;
        let per_second = float(files) / begin.elapsed().as_secs_f64();
        let mebibytes = running.process().map(resident_mebibytes).transpose()?;
        eprintln!("{shape:?}: {files} files, {} per second", short(per_second));
        fills.push(Fill { shape, files, per_second, mebibytes });
        mounts.push((shape, running, population));
    }
    let mut measured = Vec::new();
    for round in 1..=rounds {
        let mut measurements = Vec::new();
        for &operation in Operation::value_variants() {
            for (shape, running, population) in &mut mounts {
                let (mut files, window) = (population.clone(), options.seconds);
                let (microseconds, files) = within(LONGEST_STEP, move || {
                    files.measure(operation, window).map(|microseconds| (microseconds, files))
                })?;
                running.check()?;
                *population = files;
                eprintln!(
                    "round {round}/{rounds}: {operation:?}, {shape:?}: {} µs",
                    significant(microseconds)
                );
                measurements.push(Measurement { shape: *shape, operation, microseconds });
            }
        }
        mounts.rotate_left(1);
        measured.push(measurements);
    }
    let server = options.server.name.to_owned();
    let scale = Scale { machine: Machine::current(), server, files, fills, rounds: measured };
    if let Some(file) = &options.json {
        document::write(&scale, file)?;
    }
    println!("{}", table(&scale, comfy_table::presets::UTF8_FULL_CONDENSED));
    Ok(())
}

fn resident_mebibytes(process: i32) -> Result<f64, Error> {
    let status = Process::new(process)
        .and_then(|process| process.status())
        .map_err(|source| Error::Proc { what: "the memory of the server", source })?;
    Ok(float(status.vmrss.unwrap_or_default()) / 1024.0)
}

/// The table that people read: a row for each operation, and what the files cost.
#[must_use]
pub fn table(scale: &Scale, style: TableStyle) -> Table {
    let mut table = Table::new();
    table.load_style(style);
    let header = |fill: &Fill| match fill.shape {
        Shape::Few | Shape::Flat => format!("{} in one directory", fill.files),
        Shape::Tree => format!("{} in directories of {FEW}", fill.files),
    };
    table.set_header([scale.server.clone()].into_iter().chain(scale.fills.iter().map(header)));
    let name = |operation: Operation| match operation {
        Operation::Lookup => "stat by path",
        Operation::Stat => "the same, attributes forced",
        Operation::Create => "create",
        Operation::Unlink => "unlink",
        Operation::Readdir => "readdir, an entry",
    };
    for &operation in Operation::value_variants() {
        let cells = scale.fills.iter().map(|fill| cell(scale, fill.shape, operation));
        table.add_row([name(operation).to_owned()].into_iter().chain(cells));
    }
    let fills = scale.fills.iter().map(|fill| format!("{}/s", short(fill.per_second)));
    table.add_row(["made, one after the other".to_owned()].into_iter().chain(fills));
    let memory = |fill: &Fill| {
        fill.mebibytes.map_or(NOTHING.to_owned(), |memory| format!("{} MiB", significant(memory)))
    };
    table.add_row(["memory of the server".to_owned()].into_iter().chain(scale.fills.iter().map(memory)));
    table
}

fn cell(scale: &Scale, shape: Shape, operation: Operation) -> String {
    let Some(time) = scale.time(shape, operation) else { return NOTHING.to_owned() };
    let time = format!("{} µs", significant(time.median));
    match scale.ratio(shape, operation).filter(|_| shape != Shape::Few) {
        Some(Spread { median, min, max }) => format!("{time} · ×{median:.2} ({min:.2}–{max:.2})"),
        None => time,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_held_against_those_among_few_files_of_the_same_round() {
        let measurement =
            |shape, microseconds| Measurement { shape, operation: Operation::Lookup, microseconds };
        let scale = Scale {
            machine: Machine::current(),
            server: "memory".to_owned(),
            files: 10,
            fills: Vec::new(),
            rounds: vec![
                vec![measurement(Shape::Few, 10.0), measurement(Shape::Flat, 20.0)],
                vec![measurement(Shape::Flat, 40.0), measurement(Shape::Few, 40.0)],
            ],
        };
        let expected = Spread { median: 1.5, min: 1.0, max: 2.0 };
        assert_eq!(scale.ratio(Shape::Flat, Operation::Lookup), Some(expected));
        assert_eq!(scale.ratio(Shape::Tree, Operation::Lookup), None);
    }
}
