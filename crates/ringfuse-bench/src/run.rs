//! The run: every server, every point, in interleaved rounds.

use std::{fs, num::NonZeroUsize, path::PathBuf, time::Duration};

use clap::Args;

use crate::{
    ending,
    error::Error,
    load::{self, Plan, Point, Report, seconds},
    machine::Machine,
    operation::Operation,
    placement::Placement,
    report::{Attempt, Document, Session, Skipped},
    running::Running,
    server::Server,
    summary,
    table::{short, table},
};

/// The repository that this binary was built from.
const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// The arguments of `run`.
#[derive(Debug, Args)]
pub struct Options {
    /// How often every server has its turn
    #[arg(long, value_name = "N", default_value = "3")]
    rounds: NonZeroUsize,
    /// How long each load is measured, in seconds
    #[arg(long, value_name = "S", default_value = "1", value_parser = seconds)]
    seconds: Duration,
    /// How many client threads, one load for each number
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_value = "1,2,4")]
    clients: Vec<NonZeroUsize>,
    /// What the clients do, one load for each
    #[arg(long, value_delimiter = ',', default_value = "stat,read-4k,read-1m,create")]
    operations: Vec<Operation>,
    /// CPUs that the clients are pinned to, in turn (`0,2-3`), or `free`; may be repeated, one load for each
    #[arg(long, value_name = "CPUS", default_value = "free")]
    pin: Vec<Placement>,
    /// The servers to compare; ratios are to the first
    #[arg(long, value_delimiter = ',', default_value = "null,memory")]
    servers: Vec<Server>,
    /// Write the figures of every round there, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// The repository with the scripts of Node servers
    #[arg(long, value_name = "DIR", default_value = REPOSITORY)]
    repository: PathBuf,
}

/// Measures all servers, prints the table and writes the JSON file.
///
/// # Errors
///
/// [`Error::NoServer`] if there is nothing to print. Loads that fail are part of the report.
pub fn run(options: &Options) -> Result<(), Error> {
    ending::end_with_this_program()?;
    if cfg!(debug_assertions) {
        eprintln!("this is a debug build: its figures say little, build with --release");
    }
    let points = points(options);
    let (rounds, skipped) = rounds(options, &points);
    let measured: Vec<_> = options
        .servers
        .iter()
        .copied()
        .filter(|server| rounds.iter().flatten().any(|session| session.server == *server))
        .collect();
    let rows = summary::rows(&points, &measured, &rounds);
    if !measured.is_empty() {
        println!("{}", table(&measured, &rows));
    }
    if let Some(file) = &options.json {
        let machine = Machine::current();
        let seconds = options.seconds.as_secs_f64();
        let document = Document { machine, seconds, skipped, rounds, summary: rows };
        fs::write(file, serde_json::to_string_pretty(&document)? + "\n").map_err(|source| Error::Path {
            action: "write",
            path: file.clone(),
            source,
        })?;
    }
    if measured.is_empty() { Err(Error::NoServer) } else { Ok(()) }
}

fn points(options: &Options) -> Vec<Point> {
    let mut points = Vec::new();
    for &operation in &options.operations {
        for &clients in &options.clients {
            for pinned in &options.pin {
                points.push(Point { operation, clients, pinned: pinned.clone() });
            }
        }
    }
    points
}

/// All rounds. Each begins with another server than the one before it, so that none always comes first.
fn rounds(options: &Options, points: &[Point]) -> (Vec<Vec<Session>>, Vec<Skipped>) {
    let mut servers = options.servers.clone();
    let (mut rounds, mut skipped) = (Vec::new(), Vec::new());
    for round in 1..=options.rounds.get() {
        let mut sessions = Vec::new();
        servers.retain(|server| match Running::start(server, &options.repository) {
            Ok(running) => {
                let label = format!("round {round}/{}, {}", options.rounds, server.name);
                eprintln!("{label}: {}", running.ready());
                let attempts = session(&running, points, options.seconds, &label);
                sessions.push(Session { server: *server, ready: running.ready().to_owned(), attempts });
                true
            }
            Err(error) => {
                println!("skipped {}: {error}", server.name);
                skipped.push(Skipped { server: *server, round, reason: error.to_string() });
                false
            }
        });
        if !servers.is_empty() {
            servers.rotate_left(1);
        }
        rounds.push(sessions);
    }
    (rounds, skipped)
}

/// One server's turn, as far as it lasts: nothing is asked of a server that stalled or went away.
fn session(running: &Running, points: &[Point], window: Duration, label: &str) -> Vec<Attempt> {
    let mut attempts = Vec::new();
    for point in points {
        let result = attempt(running, point, window);
        let lost = matches!(result, Err(Error::Stalled(_) | Error::NotMounted(_)));
        let Point { operation, clients, pinned } = point;
        let outcome = match &result {
            Ok(report) => format!("{}/s", short(report.figures.operations_per_second)),
            Err(error) => error.to_string(),
        };
        eprintln!("{label}: {} × {clients} ({pinned}): {outcome}", operation.name);
        attempts.push(Attempt::new(point.clone(), result));
        if lost {
            break;
        }
    }
    attempts
}

fn attempt(running: &Running, point: &Point, window: Duration) -> Result<Report, Error> {
    let directory = running.directory().to_owned();
    let plan = Plan { point: point.clone(), directory, window, server: running.process() };
    let result = load::measure(plan);
    // A server that went away leaves the bare directory, whose figures are not the server's.
    running.check()?;
    result
}
