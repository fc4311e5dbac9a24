//! The comparison: every server, every point, in interleaved rounds.

use std::{num::NonZeroUsize, path::PathBuf, time::Duration};

use clap::Args;

use crate::{
    document::{self, Attempt, Comparison, Session, Skipped, Subject},
    error::Error,
    listing,
    load::{self, Plan, Point, Report, seconds},
    machine::Machine,
    operation::{OPERATIONS, Operation},
    placement::Placement,
    profile::{Profile, REPOSITORY},
    running::Running,
    server::{self, Server},
    summary,
    table::{short, table},
};

/// The arguments of `compare`.
#[derive(Debug, Args)]
#[command(after_help = format!("Servers:\n{}", server::list()))]
pub struct Options {
    /// What the other options are where they are not given
    #[arg(long, value_enum, default_value = "quick")]
    profile: Profile,
    /// How often every server has its turn
    #[arg(long, value_name = "N")]
    rounds: Option<NonZeroUsize>,
    /// How long each load is measured, in seconds
    #[arg(long, value_name = "S", value_parser = seconds)]
    seconds: Option<Duration>,
    /// How many client threads, one load for each number
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_value = "1,2,4")]
    clients: Vec<NonZeroUsize>,
    /// What the clients do, one load for each
    #[arg(long, value_delimiter = ',')]
    operations: Option<Vec<Operation>>,
    /// CPUs that the clients are pinned to, in turn (`0,2-3`), or `free`; may be repeated, one load for each
    #[arg(long, value_name = "CPUS", default_value = "free")]
    pin: Vec<Placement>,
    /// The operations that are also measured with one client held on each CPU in turn, and more spread over all
    #[arg(long, value_delimiter = ',')]
    held: Option<Vec<Operation>>,
    /// The servers to compare (see below); may be repeated
    #[arg(long = "server", alias = "servers", value_name = "NAME", value_delimiter = ',')]
    servers: Option<Vec<Server>>,
    /// Write the figures of every round there, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// The repository with the scripts of Node servers
    #[arg(long, value_name = "DIR", default_value = REPOSITORY)]
    repository: PathBuf,
}

/// What of these a profile decides.
struct Settings {
    rounds: usize,
    seconds: Duration,
    operations: Vec<Operation>,
    held: Vec<Operation>,
    servers: Vec<Server>,
}

const QUICK_OPERATIONS: [&str; 3] = ["stat", "read-1m", "create"];
/// The servers that a quick run leaves out: each differs from another in one thing.
const NOT_QUICK: [&str; 4] = ["typescript-dev-fuse", "typescript-serve", "mirror-requests", "mirror-workers"];
const QUICK_HELD: [&str; 1] = ["stat"];
const FULL_HELD: [&str; 3] = ["stat", "read-4k", "create"];

fn named(operations: &[&str]) -> Vec<Operation> {
    OPERATIONS.into_iter().filter(|operation| operations.contains(&operation.name)).collect()
}

impl Settings {
    fn of(options: &Options) -> Self {
        let (rounds, milliseconds, operations, held) = match options.profile {
            Profile::Quick => (2, 150, named(&QUICK_OPERATIONS), &QUICK_HELD[..]),
            Profile::Full => (5, 500, OPERATIONS.to_vec(), &FULL_HELD[..]),
        };
        Self {
            rounds: options.rounds.map_or(rounds, NonZeroUsize::get),
            seconds: options.seconds.unwrap_or(Duration::from_millis(milliseconds)),
            held: options.held.clone().unwrap_or_else(|| match &options.operations {
                Some(_) => Vec::new(),
                None => named(held),
            }),
            operations: options.operations.clone().unwrap_or(operations),
            servers: options.servers.clone().unwrap_or_else(|| {
                let quick = options.profile == Profile::Quick;
                let wanted = |server: &Server| !(quick && NOT_QUICK.contains(&server.name));
                server::SERVERS.into_iter().filter(wanted).collect()
            }),
        }
    }
}

/// Measures all servers, prints the table and writes the JSON file.
///
/// # Errors
///
/// [`Error::NoServer`] if there is nothing to print. Loads that fail are part of the report.
pub fn compare(options: &Options) -> Result<(), Error> {
    if cfg!(debug_assertions) {
        eprintln!("this is a debug build: its figures say little, build with --release");
    }
    let settings = Settings::of(options);
    let points = points(options, &settings)?;
    let (rounds, skipped) = rounds(options, &settings, &points);
    let measured = |server: &Server| rounds.iter().flatten().any(|session| session.server == server.name);
    let subject =
        |server: &Server| Subject { name: server.name.to_owned(), description: server.help.to_owned() };
    let mut comparison = Comparison {
        machine: Machine::current(),
        seconds: settings.seconds.as_secs_f64(),
        servers: settings.servers.iter().filter(|server| measured(server)).map(subject).collect(),
        points,
        skipped,
        rounds,
        summary: Vec::new(),
    };
    comparison.summary = summary::rows(&comparison);
    if let Some(file) = &options.json {
        document::write(&comparison, file)?;
    }
    if comparison.servers.is_empty() {
        return Err(Error::NoServer);
    }
    println!("{}", table(&comparison));
    Ok(())
}

fn points(options: &Options, settings: &Settings) -> Result<Vec<Point>, Error> {
    let (each, all) = (Placement::each()?, Placement::all()?);
    let mut points = Vec::new();
    for &operation in &settings.operations {
        for &clients in &options.clients {
            let mut pins = options.pin.clone();
            if settings.held.contains(&operation) {
                pins.extend(if clients.get() == 1 { each.clone() } else { vec![all.clone()] });
            }
            points.extend(pins.into_iter().map(|pinned| Point { operation, clients, pinned }));
        }
    }
    Ok(points)
}

/// All rounds. Each begins with another server than the one before it, so that none always comes first.
fn rounds(options: &Options, settings: &Settings, points: &[Point]) -> (Vec<Vec<Session>>, Vec<Skipped>) {
    let mut servers = settings.servers.clone();
    let (mut rounds, mut skipped) = (Vec::new(), Vec::new());
    let mut skip = |server: &Server, round, error: Error| {
        let reason = error.to_string();
        eprintln!("skipped {}: {reason}", server.name);
        skipped.push(Skipped { server: server.name.to_owned(), round, reason });
        false
    };
    servers.retain(|server| {
        server.prepare(&options.repository).map_or_else(|error| skip(server, 0, error), |()| true)
    });
    for round in 1..=settings.rounds {
        let mut sessions = Vec::new();
        servers.retain(|server| match Running::start(server, &options.repository) {
            Ok(running) => {
                let label = format!("round {round}/{}, {}", settings.rounds, server.name);
                eprintln!("{label}: {}", running.ready());
                let attempts = session(&running, points, settings.seconds, &label);
                let ready = running.ready().to_owned();
                sessions.push(Session { server: server.name.to_owned(), ready, attempts });
                true
            }
            Err(error) => skip(server, round, error),
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
        let made = running.beneath().filter(|_| point.operation.is_listing()).map_or(Ok(()), listing::make);
        let result = made.and_then(|()| attempt(running, point, window));
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
