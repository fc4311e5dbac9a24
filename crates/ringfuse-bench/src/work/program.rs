//! Running the programs of a task.

use std::{
    io::{self, Read, Seek},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::error::Error;

/// How many lines of what a failed program said are kept.
const EXPLANATION_LINES: usize = 4;
/// How often a program is looked at that is not waited for in any case.
const INTERVAL: Duration = Duration::from_millis(1);

/// How long a program may take.
#[derive(Debug, Clone, Copy)]
pub enum Limit {
    /// For what is measured: a filesystem that hangs is a failure, and no end of the run.
    Task,
    /// For preparations, which may use the network.
    Generous,
}

impl Limit {
    fn duration(self) -> Duration {
        match self {
            Self::Task => Duration::from_secs(120),
            Self::Generous => Duration::from_secs(300),
        }
    }
}

/// Runs a command to its end. What it writes to standard output is dropped unless the command says otherwise.
///
/// # Errors
///
/// [`Error::Start`] if it cannot be run, [`Error::Task`] with the end of what it said if it fails.
pub fn run(command: &mut Command, limit: Limit) -> Result<(), Error> {
    let program = command.get_program().to_owned();
    let failed = |source| Error::Start { program: program.clone().into(), source };
    let mut said = tempfile::tempfile().map_err(failed)?;
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(said.try_clone().map_err(failed)?)
        .spawn()
        .map_err(failed)?;
    let status = wait(child, limit.duration()).map_err(failed)?;
    let outcome = match status {
        Some(status) if status.success() => return Ok(()),
        Some(status) => status.to_string(),
        None => format!("no end after {} s", limit.duration().as_secs()),
    };
    let mut text = String::new();
    said.rewind().and_then(|()| said.read_to_string(&mut text)).map_err(failed)?;
    let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = &lines[lines.len().saturating_sub(EXPLANATION_LINES)..];
    let program = program.to_string_lossy().into_owned();
    Err(Error::Task { program, outcome, said: last.join("; ") })
}

/// Waits for the end; kills a child that does not come to it.
fn wait(mut child: Child, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let end = Instant::now() + limit;
    while Instant::now() < end {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        thread::sleep(INTERVAL);
    }
    child.kill()?;
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_fails_is_an_error_with_what_it_said() {
        let error = run(Command::new("sh").args(["-c", "echo no such luck >&2; exit 3"]), Limit::Task);
        assert_eq!(error.unwrap_err().to_string(), "sh: exit status: 3: no such luck");
    }

    #[test]
    fn a_program_that_is_missing_is_an_error_that_names_it() {
        let error = run(&mut Command::new("/nowhere/program"), Limit::Task).unwrap_err();
        assert!(error.to_string().starts_with("cannot start /nowhere/program"), "{error}");
    }
}
