//! What the commands write to files, and read again to report on: the machine, every round, and the medians.

use std::{fs, path::Path};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    error::Error,
    load::{Figures, Point, Report},
    machine::Machine,
    summary::Row,
};

/// Everything that a comparison of servers found out.
#[derive(Debug, Serialize, Deserialize)]
pub struct Comparison {
    /// Where it ran.
    pub machine: Machine,
    /// How long each load was measured, in seconds.
    pub seconds: f64,
    /// The servers, in the order of reports.
    pub servers: Vec<Subject>,
    /// What was measured, in the order of reports.
    pub points: Vec<Point>,
    /// The servers that could not be had.
    pub skipped: Vec<Skipped>,
    /// Every round, in the order in which its servers took their turn.
    pub rounds: Vec<Vec<Session>>,
    /// The rounds taken together: made of the others, for whoever reads the file.
    #[serde(skip_deserializing)]
    pub summary: Vec<Row>,
}

/// A server by its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// The name.
    pub name: String,
    /// What it is, in a few words.
    pub description: String,
}

/// A server that could not be had, from one round on.
#[derive(Debug, Serialize, Deserialize)]
pub struct Skipped {
    /// The server.
    pub server: String,
    /// The first round without it, counted from 1; 0 if it could not be built.
    pub round: usize,
    /// Why.
    pub reason: String,
}

/// One server's turn in one round.
#[derive(Debug, Serialize, Deserialize)]
pub struct Session {
    /// The server.
    pub server: String,
    /// The line by which it said that it is mounted.
    pub ready: String,
    /// Its loads.
    pub attempts: Vec<Attempt>,
}

/// One load, whatever came of it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Attempt {
    /// What was done.
    #[serde(flatten)]
    pub point: Point,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What came of a load.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Outcome {
    /// It was measured.
    Measured(Box<Figures>),
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
            Ok(report) => Outcome::Measured(Box::new(report.figures)),
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

/// Writes a document, with the directories on the way.
///
/// # Errors
///
/// [`Error::Path`] and [`Error::Json`].
pub fn write(document: &impl Serialize, file: &Path) -> Result<(), Error> {
    let text = serde_json::to_string_pretty(document)? + "\n";
    write_text(&text, file)
}

/// Writes a text, with the directories on the way.
///
/// # Errors
///
/// [`Error::Path`].
pub fn write_text(text: &str, file: &Path) -> Result<(), Error> {
    let failed = |source| Error::Path { action: "write", path: file.to_owned(), source };
    if let Some(parent) = file.parent() {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    fs::write(file, text).map_err(failed)
}

/// Reads a document; none if there is no such file.
///
/// # Errors
///
/// [`Error::Document`] if it is none of these.
pub fn read<Document: DeserializeOwned>(file: &Path) -> Result<Option<Document>, Error> {
    if !file.exists() {
        return Ok(None);
    }
    let text =
        fs::read(file).map_err(|source| Error::Path { action: "read", path: file.to_owned(), source })?;
    serde_json::from_slice(&text)
        .map(Some)
        .map_err(|source| Error::Document { path: file.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use serde_json::json;

    use super::*;
    use crate::{operation::OPERATIONS, placement::Placement};

    #[test]
    fn a_failed_attempt_is_its_point_with_the_error_and_reads_as_it_is_written() {
        let point =
            Point { operation: OPERATIONS[0], clients: NonZeroUsize::MIN, pinned: Placement::default() };
        let attempt = Attempt::new(point.clone(), Err(Error::NotMounted("gone".to_owned())));
        let expected =
            json!({ "operation": "stat", "clients": 1, "pinned": "free", "error": "not mounted: gone" });
        assert_eq!(serde_json::to_value(&attempt).unwrap(), expected);
        let read: Attempt = serde_json::from_value(expected).unwrap();
        assert_eq!(read.point, point);
        assert!(read.figures().is_none());
    }

    #[test]
    fn a_file_that_is_no_document_is_an_error_that_names_it() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("compare.json");
        assert!(read::<Comparison>(&file).unwrap().is_none());
        write_text("{}", &file).unwrap();
        assert!(read::<Comparison>(&file).unwrap_err().to_string().contains("compare.json"));
    }
}
