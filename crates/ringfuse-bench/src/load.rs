//! The load: client threads that run one operation for a while.

use std::{
    num::NonZeroUsize,
    panic,
    path::{Path, PathBuf},
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use clap::Args;
use serde::{Deserialize, Serialize};

use crate::{
    client::Client,
    cpu_time::{CpuPerOperation, CpuTime},
    error::Error,
    operation::Operation,
    patience::within,
    placement::Placement,
    statistics::{Latencies, Percentiles, float},
};

/// How long the clients run before they are measured.
const WARM_UP: Duration = Duration::from_millis(200);
/// How much longer than planned a load may take, preparation included, until it counts as stalled.
const GRACE: Duration = Duration::from_secs(20);
/// The same where preparing means to make the files of a long directory.
const LISTING_GRACE: Duration = Duration::from_secs(120);

/// How long repetitions may take.
const LONGEST_REPETITION: Duration = Duration::from_secs(300);

/// The arguments of `load`.
#[derive(Debug, Args)]
pub struct Options {
    /// The directory to load: the mount point or a directory below it
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// What each client does
    #[arg(long)]
    operation: Operation,
    /// How many threads do it
    #[arg(long, value_name = "N")]
    clients: NonZeroUsize,
    /// How long it is measured, in seconds
    #[arg(long, value_name = "S", default_value = "1", value_parser = seconds)]
    seconds: Duration,
    /// CPUs that the clients are pinned to, in turn (`0,2-3`), or `free`
    #[arg(long, value_name = "CPUS", default_value = "free")]
    pin: Placement,
}

/// One row of a report: what is done, by how many, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    /// What each client does.
    pub operation: Operation,
    /// How many threads do it.
    pub clients: NonZeroUsize,
    /// Where the threads run.
    pub pinned: Placement,
}

/// A load to be measured.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What is done.
    pub point: Point,
    /// The directory that is loaded.
    pub directory: PathBuf,
    /// How long it is measured.
    pub window: Duration,
    /// The process whose CPU time is taken over the same window.
    pub server: Option<i32>,
}

impl From<Options> for Plan {
    fn from(options: Options) -> Self {
        let Options { dir, operation, clients, seconds, pin } = options;
        let point = Point { operation, clients, pinned: pin };
        Self { point, directory: dir, window: seconds, server: None }
    }
}

/// What a load came to, with what was done.
#[derive(Debug, Serialize)]
pub struct Report {
    /// What was done.
    #[serde(flatten)]
    pub point: Point,
    /// What it came to.
    #[serde(flatten)]
    pub figures: Figures,
}

/// What a load came to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Figures {
    /// The time that the operations of the slowest client took.
    pub seconds: f64,
    /// The operations of all clients; of a listing, its entries.
    pub operations: u64,
    /// The sum of the clients' rates, each over its own time.
    pub operations_per_second: f64,
    /// The bytes of data in these operations, per second.
    pub bytes_per_second: f64,
    /// The time of an operation, of a listing as a whole, in microseconds.
    pub latency_microseconds: Percentiles,
    /// The CPU time of all clients for each operation, where it tells something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_cpu: Option<CpuPerOperation>,
    /// The CPU time of the server for each operation, where there is one to look at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_cpu: Option<CpuPerOperation>,
}

/// Runs a load and returns its figures.
///
/// # Errors
///
/// [`Error::Stalled`] if the filesystem does not answer. The clients then stay behind, blocked in the kernel, until
/// their requests are answered or aborted.
pub fn measure(plan: Plan) -> Result<Report, Error> {
    let grace = if plan.point.operation.is_listing() { LISTING_GRACE } else { GRACE };
    let limit = WARM_UP + plan.window + grace;
    within(limit, move || run(plan))
}

/// Has one client perform an operation so many times, unmeasured. Returns how many there were.
///
/// # Errors
///
/// [`Error::Operation`] if one fails, [`Error::Stalled`] if they do not end, and what the client needs and cannot have.
pub fn repeat(operation: Operation, directory: &Path, times: u64) -> Result<u64, Error> {
    let directory = directory.to_owned();
    within(LONGEST_REPETITION, move || {
        let failed = |source| Error::Operation { operation: operation.name, source };
        let mut client = Client::prepare(operation, &directory, 0)?;
        for _ in 0..times {
            client.set_stage().map_err(failed)?;
            client.perform().map_err(failed)?;
        }
        Ok(times)
    })
}

fn run(plan: Plan) -> Result<Report, Error> {
    let Plan { point, directory, window, server } = plan;
    let clients = (0..point.clients.get())
        .map(|number| Client::prepare(point.operation, &directory, number))
        .collect::<Result<Vec<_>, _>>()?;
    let server_time = || server.map(CpuTime::of_process).transpose();

    let ready = Barrier::new(clients.len() + 1);
    let (server_before, server_after, shares) = thread::scope(|scope| {
        let (point, ready) = (&point, &ready);
        let threads: Vec<_> = clients
            .into_iter()
            .enumerate()
            .map(|(number, client)| scope.spawn(move || work(point, number, client, window, ready)))
            .collect();
        ready.wait();
        thread::sleep(WARM_UP);
        let server_before = server_time();
        thread::sleep(window);
        let server_after = server_time();
        let shares: Result<Vec<_>, _> = threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| panic::resume_unwind(panic)))
            .collect();
        (server_before, server_after, shares)
    });

    let mut figures = figures(&point, &shares?);
    if !point.operation.is_staged() {
        figures.server_cpu = server_after?
            .zip(server_before?)
            .map(|(after, before)| CpuPerOperation::new(after - before, figures.operations));
    }
    Ok(Report { point, figures })
}

/// What one client did in its window.
#[derive(Debug)]
struct Share {
    operations: u64,
    /// The time that the operations took.
    time: Duration,
    latencies: Latencies,
    cpu: CpuTime,
}

/// The life of one client's thread. An operation counts if it began within the window.
fn work(
    point: &Point,
    number: usize,
    mut client: Client,
    window: Duration,
    ready: &Barrier,
) -> Result<Share, Error> {
    let pinned = point.pinned.apply(number);
    // Every thread comes here, so that none waits for one that failed.
    ready.wait();
    pinned?;
    let failed = |source| Error::Operation { operation: point.operation.name, source };

    let warm = Instant::now() + WARM_UP;
    while Instant::now() < warm {
        client.set_stage().map_err(failed)?;
        client.perform().map_err(failed)?;
    }

    let (mut latencies, mut operations, mut time) = (Latencies::new(), 0, Duration::ZERO);
    let cpu = CpuTime::of_this_thread()?;
    let mut now = Instant::now();
    let end = now + window;
    while now < end {
        if client.set_stage().map_err(failed)? {
            now = Instant::now();
        }
        operations += client.perform().map_err(failed)?;
        let latency = now.elapsed();
        now += latency;
        time += latency;
        latencies.record(latency);
    }
    Ok(Share { operations, time, latencies, cpu: CpuTime::of_this_thread()? - cpu })
}

fn figures(point: &Point, shares: &[Share]) -> Figures {
    let mut latencies = Latencies::new();
    for share in shares {
        latencies.add(&share.latencies);
    }
    let operations = shares.iter().map(|share| share.operations).sum();
    let operations_per_second =
        shares.iter().map(|share| float(share.operations) / share.time.as_secs_f64()).sum();
    let cpu = shares.iter().map(|share| share.cpu).sum();
    Figures {
        seconds: shares.iter().map(|share| share.time).max().unwrap_or_default().as_secs_f64(),
        operations,
        operations_per_second,
        bytes_per_second: operations_per_second * float(point.operation.bytes() as u64),
        latency_microseconds: latencies.percentiles(),
        client_cpu: (!point.operation.is_staged()).then(|| CpuPerOperation::new(cpu, operations)),
        server_cpu: None,
    }
}

/// Reads a length of time in seconds, for the command line.
///
/// # Errors
///
/// [`Error::Seconds`] if it is none, or nothing.
pub fn seconds(text: &str) -> Result<Duration, Error> {
    text.parse()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| Error::Seconds(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    fn share(operations: u32, milliseconds: u64) -> Share {
        let mut latencies = Latencies::new();
        let time = Duration::from_millis(milliseconds);
        (0..operations).for_each(|_| latencies.record(time / operations));
        Share {
            operations: operations.into(),
            time,
            latencies,
            cpu: CpuTime { user_seconds: 0.25, system_seconds: 0.5 },
        }
    }

    fn point(operation: &str) -> Point {
        Point {
            operation: Operation::from_str(operation, false).unwrap(),
            clients: NonZeroUsize::MIN,
            pinned: Placement::default(),
        }
    }

    #[test]
    fn rates_are_summed_over_clients_each_in_its_own_time() {
        let figures = figures(&point("read-4k"), &[share(100, 1000), share(100, 2000)]);
        assert_eq!(figures.operations, 200);
        assert!((figures.operations_per_second - 150.0).abs() < 1e-6);
        assert!((figures.bytes_per_second - 150.0 * 4096.0).abs() < 1e-3);
        assert!((figures.seconds - 2.0).abs() < 1e-9);
        assert_eq!(figures.client_cpu, Some(CpuPerOperation { user: 2500.0, system: 5000.0 }));
    }

    #[test]
    fn a_client_that_cannot_be_pinned_is_an_error_and_no_hang() {
        let directory = tempfile::tempdir().unwrap();
        let point = Point { pinned: "1023".parse().unwrap(), ..point("stat") };
        let window = Duration::from_millis(50);
        let plan = Plan { point, directory: directory.path().to_owned(), window, server: None };
        assert!(matches!(measure(plan), Err(Error::Pin { cpu: 1023, .. })));
    }

    #[test]
    fn seconds_are_above_zero() {
        assert_eq!(seconds("0.5").unwrap(), Duration::from_millis(500));
        for text in ["0", "-1", "nan", "inf", "soon", ""] {
            assert!(matches!(seconds(text), Err(Error::Seconds(_))), "{text}");
        }
    }
}
