//! Real work: what people do on a filesystem, on each server and on the plain directory, in interleaved rounds.

mod inputs;
mod program;
mod task;

use std::{
    fs, io,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use clap::{Args, ValueEnum};
use comfy_table::Table;
use serde::{Deserialize, Serialize};

pub use self::task::Task;
use self::{inputs::Inputs, task::Place};
use crate::{
    document::{self, Skipped, Subject},
    error::Error,
    machine::Machine,
    patience::within,
    profile::{Profile, REPOSITORY},
    running::Running,
    server::{Caching, Server},
    statistics::Spread,
    table::significant,
};

/// The server that ratios are to.
pub const BASELINE: &str = "directory";
/// The servers that are measured where the command line says nothing else.
const SERVERS: &str = "directory,mirror,mirror-workers,memory";

/// How long a task may take, with what comes before it and after.
const LONGEST_TASK: Duration = Duration::from_secs(180);

/// The arguments of `work`.
#[derive(Debug, Args)]
pub struct Options {
    /// How large everything is, and how many rounds there are
    #[arg(long, value_enum, default_value = "quick")]
    profile: Profile,
    /// How often every server has its turn
    #[arg(long, value_name = "N")]
    rounds: Option<NonZeroUsize>,
    /// What is done
    #[arg(long, value_delimiter = ',')]
    tasks: Option<Vec<Task>>,
    /// The servers, as `compare` has them; ratios are to `directory`
    #[arg(long = "server", alias = "servers", value_name = "NAME", value_delimiter = ',', default_value = SERVERS)]
    servers: Vec<Server>,
    /// Write the figures of every round there, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// The repository with the scripts of Node servers
    #[arg(long, value_name = "DIR", default_value = REPOSITORY)]
    repository: PathBuf,
}

/// Everything that a run of real work found out.
#[derive(Debug, Serialize, Deserialize)]
pub struct Work {
    /// Where it ran.
    pub machine: Machine,
    /// How many files the trees have.
    pub files: usize,
    /// Bytes of the large file.
    pub large_bytes: u64,
    /// The servers, in the order of reports.
    pub servers: Vec<Subject>,
    /// What was done, in the order of reports.
    pub tasks: Vec<Task>,
    /// The servers that could not be had.
    pub skipped: Vec<Skipped>,
    /// Every round, in the order in which its servers took their turn.
    pub rounds: Vec<Vec<Turn>>,
}

/// One server's turn in one round.
#[derive(Debug, Serialize, Deserialize)]
pub struct Turn {
    /// The server.
    pub server: String,
    /// What came of the tasks.
    pub attempts: Vec<Attempt>,
}

/// What came of a task.
#[derive(Debug, Serialize, Deserialize)]
pub struct Attempt {
    /// The task.
    pub task: Task,
    /// How long it took, in seconds, if it succeeded.
    pub seconds: Option<f64>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Work {
    /// How long a task took on a server.
    #[must_use]
    pub fn seconds(&self, server: &str, task: Task) -> Option<Spread> {
        Spread::of(self.rounds.iter().filter_map(|round| seconds(round, server, task)))
    }

    /// The same as a multiple of what it took on the plain directory, round by round.
    #[must_use]
    pub fn ratio(&self, server: &str, task: Task) -> Option<Spread> {
        Spread::of(
            self.rounds
                .iter()
                .filter_map(|round| Some(seconds(round, server, task)? / seconds(round, BASELINE, task)?)),
        )
    }

    /// Why a task failed on a server, if it ever did.
    #[must_use]
    pub fn failure(&self, server: &str, task: Task) -> Option<&str> {
        let turns = self.rounds.iter().flatten().filter(|turn| turn.server == server);
        turns
            .flat_map(|turn| &turn.attempts)
            .find(|attempt| attempt.task == task && attempt.error.is_some())?
            .error
            .as_deref()
    }
}

fn seconds(round: &[Turn], server: &str, task: Task) -> Option<f64> {
    let turn = round.iter().find(|turn| turn.server == server)?;
    turn.attempts.iter().find(|attempt| attempt.task == task)?.seconds
}

/// Does all tasks on all servers, prints the table and writes the JSON file.
///
/// # Errors
///
/// [`Error::NoServer`] if there is nothing to print, and what the inputs cannot be made of. Tasks that fail are part of
/// the report.
pub fn work(options: &Options) -> Result<(), Error> {
    let rounds =
        options.rounds.map_or(if options.profile == Profile::Quick { 1 } else { 5 }, NonZeroUsize::get);
    let tasks = options.tasks.clone().unwrap_or_else(|| Task::value_variants().to_vec());
    eprintln!("making what the work is done with …");
    let inputs = Arc::new(Inputs::make(&options.repository, options.profile)?);
    let (rounds, skipped) = all_rounds(options, &inputs, &tasks, rounds);
    let measured = |server: &Server| rounds.iter().flatten().any(|turn| turn.server == server.name);
    let subject =
        |server: &Server| Subject { name: server.name.to_owned(), description: server.help.to_owned() };
    let work = Work {
        machine: Machine::current(),
        files: inputs.files,
        large_bytes: inputs.large_bytes,
        servers: options.servers.iter().filter(|server| measured(server)).map(subject).collect(),
        tasks,
        skipped,
        rounds,
    };
    if let Some(file) = &options.json {
        document::write(&work, file)?;
    }
    if work.servers.is_empty() {
        return Err(Error::NoServer);
    }
    println!("{}", table(&work));
    Ok(())
}

fn all_rounds(
    options: &Options,
    inputs: &Arc<Inputs>,
    tasks: &[Task],
    count: usize,
) -> (Vec<Vec<Turn>>, Vec<Skipped>) {
    let mut servers = options.servers.clone();
    let (mut rounds, mut skipped) = (Vec::new(), Vec::new());
    for round in 1..=count {
        let mut turns = Vec::new();
        servers.retain(|server| match Running::start_cached(server, &options.repository, Caching::Default) {
            Ok(running) => {
                let label = format!("round {round}/{count}, {}", server.name);
                eprintln!("{label}: {}", running.ready());
                let attempts = turn(tasks, inputs, &running, &label);
                turns.push(Turn { server: server.name.to_owned(), attempts });
                true
            }
            Err(error) => {
                eprintln!("skipped {}: {error}", server.name);
                skipped.push(Skipped { server: server.name.to_owned(), round, reason: error.to_string() });
                false
            }
        });
        if !servers.is_empty() {
            servers.rotate_left(1);
        }
        rounds.push(turns);
    }
    (rounds, skipped)
}

/// One server's turn, as far as it lasts: nothing is asked of a server that stalled or went away.
fn turn(tasks: &[Task], inputs: &Arc<Inputs>, running: &Running, label: &str) -> Vec<Attempt> {
    let mut attempts = Vec::new();
    for &task in tasks {
        let result = attempt(task, inputs, running);
        let lost = matches!(result, Err(Error::Stalled(_) | Error::NotMounted(_)));
        let outcome = match &result {
            Ok(seconds) => format!("{} s", significant(*seconds)),
            Err(error) => error.to_string(),
        };
        eprintln!("{label}: {}: {outcome}", task.name());
        let error = result.as_ref().err().map(ToString::to_string);
        attempts.push(Attempt { task, seconds: result.ok(), error });
        if lost {
            break;
        }
    }
    attempts
}

/// How long a task takes, in a directory of its own.
fn attempt(task: Task, inputs: &Arc<Inputs>, running: &Running) -> Result<f64, Error> {
    let place = Place {
        directory: running.directory().join(task.name()),
        beneath: running.beneath().map(|beneath| beneath.join(task.name())),
        is_plain: running.process().is_none(),
    };
    let inputs = Arc::clone(inputs);
    let seconds = within(LONGEST_TASK, move || timed(task, &inputs, &place))?;
    running.check()?;
    Ok(seconds)
}

fn timed(task: Task, inputs: &Inputs, place: &Place) -> Result<f64, Error> {
    let directory = &place.directory;
    fs::create_dir(directory).map_err(|source| failed("create", directory, source))?;
    task.prepare(inputs, place)?;
    let begin = Instant::now();
    task.perform(inputs, directory)?;
    let seconds = begin.elapsed().as_secs_f64();
    fs::remove_dir_all(directory).map_err(|source| failed("remove", directory, source))?;
    Ok(seconds)
}

fn table(work: &Work) -> Table {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::UTF8_FULL_CONDENSED);
    table.set_header(["task"].into_iter().chain(work.servers.iter().map(|server| server.name.as_str())));
    for &task in &work.tasks {
        let cells = work.servers.iter().map(|server| cell(work, &server.name, task));
        table.add_row([task.name().to_owned()].into_iter().chain(cells));
    }
    table
}

/// The seconds, and the ratio with its spread.
#[must_use]
pub fn cell(work: &Work, server: &str, task: Task) -> String {
    let Some(seconds) = work.seconds(server, task) else {
        return if work.failure(server, task).is_some() { "failed" } else { "–" }.to_owned();
    };
    let seconds = format!("{} s", significant(seconds.median));
    match work.ratio(server, task).filter(|_| server != BASELINE) {
        Some(Spread { median, min, max }) => format!("{seconds} · ×{median:.2} ({min:.2}–{max:.2})"),
        None => seconds,
    }
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> Error {
    Error::Path { action, path: path.to_owned(), source }
}
