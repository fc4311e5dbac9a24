//! The report of a run as it is written to a file: the machine, every round, and the medians.

use serde::Serialize;

use crate::{
    error::Error,
    load::{Figures, Point, Report},
    machine::Machine,
    server::Server,
    summary::Row,
};

/// Everything that a run found out.
#[derive(Debug, Serialize)]
pub struct Document {
    /// Where it ran.
    pub machine: Machine,
    /// How long each load was measured, in seconds.
    pub seconds: f64,
    /// The servers that could not be had.
    pub skipped: Vec<Skipped>,
    /// Every round, in the order in which its servers took their turn.
    pub rounds: Vec<Vec<Session>>,
    /// The rounds taken together.
    pub summary: Vec<Row>,
}

/// A server that could not be had, from one round on.
#[derive(Debug, Serialize)]
pub struct Skipped {
    /// The server.
    pub server: Server,
    /// The first round without it, counted from 1.
    pub round: usize,
    /// Why.
    pub reason: String,
}

/// One server's turn in one round.
#[derive(Debug, Serialize)]
pub struct Session {
    /// The server.
    pub server: Server,
    /// The line by which it said that it is mounted.
    pub ready: String,
    /// Its loads.
    pub attempts: Vec<Attempt>,
}

/// One load, whatever came of it.
#[derive(Debug, Serialize)]
pub struct Attempt {
    /// What was done.
    #[serde(flatten)]
    pub point: Point,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What came of a load.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Outcome {
    /// It was measured.
    Measured(Figures),
    /// It failed.
    Failed {
        /// Why.
        error: String,
    },
}

impl Attempt {
    /// The attempt at `point` that came to `result`.
    #[must_use]
    pub fn new(point: Point, result: Result<Report, Error>) -> Self {
        let outcome = match result {
            Ok(report) => Outcome::Measured(report.figures),
            Err(error) => Outcome::Failed { error: error.to_string() },
        };
        Self { point, outcome }
    }

    /// The figures, if it was measured.
    #[must_use]
    pub fn figures(&self) -> Option<&Figures> {
        match &self.outcome {
            Outcome::Measured(figures) => Some(figures),
            Outcome::Failed { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use serde_json::json;

    use super::*;
    use crate::{operation::OPERATIONS, placement::Placement};

    #[test]
    fn a_failed_attempt_is_its_point_with_the_error() {
        let point =
            Point { operation: OPERATIONS[0], clients: NonZeroUsize::MIN, pinned: Placement::default() };
        let attempt = Attempt::new(point, Err(Error::NotMounted("gone".to_owned())));
        assert_eq!(
            serde_json::to_value(&attempt).unwrap(),
            json!({ "operation": "stat", "clients": 1, "pinned": "free", "error": "not mounted: gone" })
        );
    }
}
