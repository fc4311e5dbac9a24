//! What a mount costs when nothing is asked of it, what is left of each request, and how it answers beside other work.

use std::{
    fs,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use clap::Args;
use comfy_table::Table;
use procfs::process::Process;
use serde::{Deserialize, Serialize};

use crate::{
    cpu_time::CpuTime,
    document,
    error::Error,
    load::{self, Plan, Point},
    machine::Machine,
    operation::Operation,
    placement::Placement,
    profile::{Profile, REPOSITORY},
    running::Running,
    server::Server,
    statistics::{Percentiles, Spread, float},
    table::significant,
};

/// The server that is looked at: a filesystem in TypeScript, mounted with the default options.
const SERVER: &str = "memory";
/// How long a mount is left alone before it counts as idle.
const SETTLING: Duration = Duration::from_secs(2);
/// The length of a turn of the busy event loop.
const TURN: Duration = Duration::from_millis(5);
/// The extended attribute that tells the bytes of the heap that are in use; see `__bench__/heap.ts`.
const HEAP: &str = "user.ringfuse-bench.heap";
/// What is done while the heap is looked at, in turn.
const HEAP_OPERATIONS: [&str; 6] = ["stat", "open", "read-4k", "write-4k", "create", "rename"];
/// How often the heap is looked at over the requests.
const HEAP_SAMPLES: u64 = 10;

/// The arguments of `footprint`.
#[derive(Debug, Args)]
pub struct Options {
    /// How long everything is looked at
    #[arg(long, value_enum, default_value = "quick")]
    profile: Profile,
    /// How often the idle and the busy mount are looked at
    #[arg(long, value_name = "N")]
    rounds: Option<NonZeroUsize>,
    /// Over how many requests the heap is looked at
    #[arg(long, value_name = "N")]
    requests: Option<u64>,
    /// Write the figures there, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// The repository with the scripts of Node servers
    #[arg(long, value_name = "DIR", default_value = REPOSITORY)]
    repository: PathBuf,
}

/// What was found out.
#[derive(Debug, Serialize, Deserialize)]
pub struct Footprint {
    /// Where it ran.
    pub machine: Machine,
    /// The memory of an idle mount's process, Node.js and all, in MiB.
    pub idle_mebibytes: Spread,
    /// What of that no other process shares.
    pub idle_private_mebibytes: Spread,
    /// How long the mount was idle in each round, in seconds.
    pub idle_seconds: f64,
    /// The CPU time of an idle mount's process, of one CPU.
    pub idle_cpu_percent: Spread,
    /// The length of a turn of the busy event loop, in milliseconds.
    pub turn_milliseconds: f64,
    /// How long `stat` took beside it, of one client, in each round.
    pub busy_microseconds: Vec<Percentiles>,
    /// The heap in use after a full collection, along the requests.
    pub heap: Vec<HeapSample>,
}

/// The heap at a time.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct HeapSample {
    /// Operations so far, each of them a request or more.
    pub operations: u64,
    /// Bytes in use.
    pub bytes: u64,
}

impl Footprint {
    /// The time that 99 % of the answers beside other work keep to, in turns of that work.
    #[must_use]
    pub fn busy_turns(&self) -> Spread {
        let turns = self.busy_microseconds.iter().map(|latency| latency.p99 / 1e3 / self.turn_milliseconds);
        Spread::of(turns).expect("there is a round")
    }

    /// By how much the heap grew from the first sample to each later one, in MiB: the median is that of them.
    #[must_use]
    pub fn heap_growth(&self) -> Spread {
        let first = self.heap.first().map_or(0.0, |sample| float(sample.bytes));
        let later = self.heap.iter().skip(1).map(|sample| mebibytes(float(sample.bytes) - first));
        Spread::of(later).expect("there are samples")
    }
}

/// Looks at all of it, prints it and writes the JSON file.
///
/// # Errors
///
/// What of it cannot be measured.
pub fn footprint(options: &Options) -> Result<(), Error> {
    let (rounds, idle, busy, requests) = match options.profile {
        Profile::Quick => (2, Duration::from_secs(5), Duration::from_secs(1), 100_000),
        Profile::Full => (5, Duration::from_secs(30), Duration::from_secs(5), 1_000_000),
    };
    let rounds = options.rounds.map_or(rounds, NonZeroUsize::get);
    let requests = options.requests.unwrap_or(requests);
    let (mut memory, mut private, mut cpu, mut latencies) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for round in 1..=rounds {
        eprintln!("round {round}/{rounds}: idle for {} s …", idle.as_secs());
        let look = look_at_idle(&options.repository, idle)?;
        memory.push(look.mebibytes);
        private.push(look.private_mebibytes);
        cpu.push(look.cpu_percent);
        eprintln!(
            "round {round}/{rounds}: {} MiB, {:.4} % CPU; busy …",
            significant(look.mebibytes),
            look.cpu_percent
        );
        latencies.push(look_at_busy(&options.repository, busy)?);
    }
    let footprint = Footprint {
        machine: Machine::current(),
        idle_mebibytes: Spread::of(memory).expect("there is a round"),
        idle_private_mebibytes: Spread::of(private).expect("there is a round"),
        idle_seconds: idle.as_secs_f64(),
        idle_cpu_percent: Spread::of(cpu).expect("there is a round"),
        turn_milliseconds: TURN.as_secs_f64() * 1e3,
        busy_microseconds: latencies,
        heap: look_at_heap(&options.repository, requests)?,
    };
    if let Some(file) = &options.json {
        document::write(&footprint, file)?;
    }
    println!("{}", table(&footprint, comfy_table::presets::UTF8_FULL_CONDENSED));
    Ok(())
}

struct Idle {
    mebibytes: f64,
    private_mebibytes: f64,
    cpu_percent: f64,
}

fn look_at_idle(repository: &Path, time: Duration) -> Result<Idle, Error> {
    let running = Running::start(&server(&[]), repository)?;
    let process = running.process().expect("the server is a process");
    // It is used once, as every mount is.
    fs::read_dir(running.directory()).map_err(|source| failed("read", running.directory(), source))?;
    thread::sleep(SETTLING);
    let before = CpuTime::of_process(process)?;
    thread::sleep(time);
    let used = CpuTime::of_process(process)? - before;
    let rollup = Process::new(process)
        .and_then(|process| process.smaps_rollup())
        .map_err(|source| Error::Proc { what: "the memory of the server", source })?;
    let bytes = |name: &str| {
        rollup.memory_map_rollup.iter().filter_map(|map| map.extension.map.get(name)).copied().sum::<u64>()
    };
    let private = bytes("Private_Clean") + bytes("Private_Dirty");
    Ok(Idle {
        mebibytes: mebibytes(float(bytes("Rss"))),
        private_mebibytes: mebibytes(float(private)),
        cpu_percent: used.seconds() / time.as_secs_f64() * 100.0,
    })
}

/// Latencies of `stat` on a mount whose event loop has turns of other work.
fn look_at_busy(repository: &Path, time: Duration) -> Result<Percentiles, Error> {
    let milliseconds: &'static str = Box::leak(TURN.as_millis().to_string().into_boxed_str());
    let running = Running::start(&server(&["--busy", milliseconds]), repository)?;
    let report = load::measure(Plan {
        point: point("stat"),
        directory: running.directory().to_owned(),
        window: time,
        server: running.process(),
    })?;
    running.check()?;
    Ok(report.figures.latency_microseconds)
}

/// The heap after so many operations of each kind in turn. What the filesystem keeps of them is the same throughout:
/// the files of the clients, made before the first look.
fn look_at_heap(repository: &Path, requests: u64) -> Result<Vec<HeapSample>, Error> {
    let running = Running::start(&server(&[]), repository)?;
    let kinds = HEAP_OPERATIONS.len() as u64;
    let mut operations = 0;
    let mut samples = Vec::new();
    for sample in 0..=HEAP_SAMPLES {
        for name in HEAP_OPERATIONS {
            operations +=
                load::repeat(operation(name), running.directory(), requests / HEAP_SAMPLES / kinds)?;
        }
        // The first is taken when all code is warm.
        let bytes = heap(running.directory())?;
        eprintln!(
            "{sample}/{HEAP_SAMPLES}: {operations} operations, {} MiB of heap",
            mebibytes(float(bytes))
        );
        samples.push(HeapSample { operations, bytes });
    }
    running.check()?;
    Ok(samples)
}

fn heap(directory: &Path) -> Result<u64, Error> {
    let mut value = [0; 32];
    let length = rustix::fs::getxattr(directory, HEAP, &mut value)
        .map_err(|source| failed("read the heap from", directory, source.into()))?;
    let text = String::from_utf8_lossy(&value[..length]).into_owned();
    text.parse().map_err(|_| Error::Input(format!("the heap in use is `{text}`, which is no number")))
}

/// The server with more arguments.
fn server(more: &[&'static str]) -> Server {
    Server::named(SERVER).expect("the table has it").with(more)
}

fn point(name: &str) -> Point {
    Point { operation: operation(name), clients: NonZeroUsize::MIN, pinned: Placement::default() }
}

fn operation(name: &str) -> Operation {
    Operation::named(name).expect("the table has it")
}

/// The table that people read.
#[must_use]
pub fn table(footprint: &Footprint, style: comfy_table::TableStyle) -> Table {
    let spread = |Spread { median, min, max }: Spread, unit: &str| {
        format!("{} {unit} ({}–{})", significant(median), significant(min), significant(max))
    };
    let latency = |percentile: fn(&Percentiles) -> f64| {
        let values = footprint.busy_microseconds.iter().map(|latency| percentile(latency) / 1e3);
        spread(Spread::of(values).expect("there is a round"), "ms")
    };
    let mut table = Table::new();
    table.load_style(style);
    table.set_header(["an idle mount of memory(), and a busy one", "median (least–most)"]);
    table.add_row(["memory, Node.js and all", &spread(footprint.idle_mebibytes, "MiB")]);
    table.add_row(["memory that no other process shares", &spread(footprint.idle_private_mebibytes, "MiB")]);
    table.add_row([
        &format!("CPU, over {} s without a request", footprint.idle_seconds),
        &spread(footprint.idle_cpu_percent, "%"),
    ]);
    let turn = footprint.turn_milliseconds;
    table.add_row([
        &format!("stat beside other work in turns of {turn} ms, p50"),
        &latency(|latency| latency.p50),
    ]);
    table.add_row([
        &format!("stat beside other work in turns of {turn} ms, p99"),
        &latency(|latency| latency.p99),
    ]);
    table.add_row([
        &format!("stat beside other work in turns of {turn} ms, max"),
        &latency(|latency| latency.max),
    ]);
    let operations = footprint.heap.last().map_or(0, |sample| sample.operations);
    table.add_row([
        &format!("growth of the heap in use, over {operations} operations"),
        &spread(footprint.heap_growth(), "MiB"),
    ]);
    table
}

fn mebibytes(bytes: f64) -> f64 {
    bytes / f64::from(1 << 20)
}

fn failed(action: &'static str, path: &Path, source: std::io::Error) -> Error {
    Error::Path { action, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_counted_from_the_first_look_at_the_heap() {
        let sample = |operations, mebibytes: u64| HeapSample { operations, bytes: mebibytes << 20 };
        let one = Spread { median: 1.0, min: 1.0, max: 1.0 };
        let footprint = Footprint {
            machine: Machine::current(),
            idle_mebibytes: one,
            idle_private_mebibytes: one,
            idle_seconds: 1.0,
            idle_cpu_percent: one,
            turn_milliseconds: 5.0,
            busy_microseconds: vec![Percentiles { p50: 1.0, p90: 1.0, p99: 5500.0, p99_9: 1.0, max: 1.0 }],
            heap: vec![sample(10, 8), sample(20, 9), sample(30, 11)],
        };
        assert_eq!(footprint.heap_growth(), Spread { median: 2.0, min: 1.0, max: 3.0 });
        assert!((footprint.busy_turns().median - 1.1).abs() < 1e-9);
    }
}
