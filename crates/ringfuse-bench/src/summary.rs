//! The rounds of a comparison taken together: medians, and each server against others round by round.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    document::{Attempt, Comparison, Session},
    load::{Figures, Point},
    statistics::Spread,
};

/// The servers that others are held against.
pub const BASELINES: [&str; 7] =
    ["null", "null-dev-fuse", "typescript-dev-fuse", "directory", "fuser", "fractal-fuse", "fuse-native"];

/// All servers at one point.
#[derive(Debug, Serialize)]
pub struct Row {
    /// What was done.
    #[serde(flatten)]
    pub point: Point,
    /// The servers, in one order for all rows.
    pub servers: Vec<Cell>,
}

/// One server at one point.
#[derive(Debug, Serialize)]
pub struct Cell {
    /// The server.
    pub server: String,
    /// In how many rounds the load failed.
    pub failures: usize,
    /// The figures of the other rounds.
    #[serde(flatten)]
    pub figures: Option<Medians>,
    /// Operations per second as a multiple of each baseline's: the ratios of the rounds, and their median.
    pub ratios: BTreeMap<String, Spread>,
}

/// The figures of one server at one point over the rounds.
#[derive(Debug, Clone, Serialize)]
pub struct Medians {
    /// Operations of all clients per second.
    pub operations_per_second: Spread,
    /// Bytes of data per second.
    pub bytes_per_second: Spread,
    /// The time of an operation, in microseconds.
    pub latency_microseconds: Latencies,
    /// CPU time of the clients for each operation, in microseconds.
    pub client_cpu: Option<Cpu>,
    /// CPU time of the server for each operation, in microseconds.
    pub server_cpu: Option<Cpu>,
}

/// How long operations took.
#[derive(Debug, Clone, Serialize)]
pub struct Latencies {
    /// Half of them took no longer.
    pub p50: Spread,
    /// 90 % took no longer.
    pub p90: Spread,
    /// 99 % took no longer.
    pub p99: Spread,
    /// None took longer.
    pub max: Spread,
}

/// CPU time for each operation, in microseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Cpu {
    /// In user mode.
    pub user: Spread,
    /// In the kernel.
    pub system: Spread,
}

/// Takes the rounds together: a row for each point, in it a cell for each server.
#[must_use]
pub fn rows(comparison: &Comparison) -> Vec<Row> {
    let cell = |point: &Point, server: &str| {
        let attempts: Vec<_> =
            comparison.rounds.iter().filter_map(|round| attempt(round, server, point)).collect();
        let figures: Vec<_> = attempts.iter().copied().filter_map(Attempt::figures).collect();
        let ratios = BASELINES
            .into_iter()
            .filter_map(|baseline| Some((baseline.to_owned(), ratio(comparison, server, baseline, point)?)));
        Cell {
            server: server.to_owned(),
            failures: attempts.len() - figures.len(),
            figures: Medians::of(&figures),
            ratios: ratios.collect(),
        }
    };
    let row = |point: &Point| Row {
        point: point.clone(),
        servers: comparison.servers.iter().map(|server| cell(point, &server.name)).collect(),
    };
    comparison.points.iter().map(row).collect()
}

/// Operations per second of one server as a multiple of another's, over the rounds that have both.
#[must_use]
pub fn ratio(comparison: &Comparison, server: &str, baseline: &str, point: &Point) -> Option<Spread> {
    Spread::of(comparison.rounds.iter().filter_map(|round| {
        let rate = |server| Some(attempt(round, server, point)?.figures()?.operations_per_second);
        Some(rate(server)? / rate(baseline)?)
    }))
}

fn attempt<'a>(round: &'a [Session], server: &str, point: &Point) -> Option<&'a Attempt> {
    let session = round.iter().find(|session| session.server == server)?;
    session.attempts.iter().find(|attempt| attempt.point == *point)
}

impl Medians {
    fn of(figures: &[&Figures]) -> Option<Self> {
        let spread = |figure: fn(&Figures) -> Option<f64>| {
            Spread::of(figures.iter().filter_map(|figures| figure(figures)))
        };
        Some(Self {
            operations_per_second: spread(|figures| Some(figures.operations_per_second))?,
            bytes_per_second: spread(|figures| Some(figures.bytes_per_second))?,
            latency_microseconds: Latencies {
                p50: spread(|figures| Some(figures.latency_microseconds.p50))?,
                p90: spread(|figures| Some(figures.latency_microseconds.p90))?,
                p99: spread(|figures| Some(figures.latency_microseconds.p99))?,
                max: spread(|figures| Some(figures.latency_microseconds.max))?,
            },
            client_cpu: spread(|figures| Some(figures.client_cpu?.user))
                .zip(spread(|figures| Some(figures.client_cpu?.system)))
                .map(|(user, system)| Cpu { user, system }),
            server_cpu: spread(|figures| Some(figures.server_cpu?.user))
                .zip(spread(|figures| Some(figures.server_cpu?.system)))
                .map(|(user, system)| Cpu { user, system }),
        })
    }
}

/// What tests of reports are made with.
#[cfg(test)]
pub mod samples {
    use std::{num::NonZeroUsize, time::Duration};

    use super::*;
    use crate::{
        document::Subject, error::Error, load::Report, machine::Machine, operation::OPERATIONS,
        placement::Placement, statistics,
    };

    /// `stat` by so many free clients.
    pub fn point(clients: usize) -> Point {
        Point {
            operation: OPERATIONS[0],
            clients: NonZeroUsize::new(clients).unwrap(),
            pinned: Placement::default(),
        }
    }

    /// A server's turn, with one attempt at [`point`] 1.
    pub fn session(server: &str, rate: Option<f64>) -> Session {
        let mut latencies = statistics::Latencies::new();
        latencies.record(Duration::from_micros(10));
        let result = rate.ok_or(Error::NoServer).map(|rate| Report {
            point: point(1),
            figures: Figures {
                seconds: 1.0,
                operations: 1,
                operations_per_second: rate,
                bytes_per_second: 0.0,
                latency_microseconds: latencies.percentiles(),
                client_cpu: None,
                server_cpu: None,
            },
        });
        let attempts = vec![Attempt::new(point(1), result)];
        Session { server: server.to_owned(), ready: String::new(), attempts }
    }

    /// A comparison of these rounds.
    pub fn comparison(servers: &[&str], rounds: Vec<Vec<Session>>) -> Comparison {
        let subject =
            |name: &&str| Subject { name: (*name).to_owned(), description: format!("the server {name}") };
        Comparison {
            machine: Machine::current(),
            seconds: 1.0,
            servers: servers.iter().map(subject).collect(),
            points: vec![point(1), point(2)],
            skipped: Vec::new(),
            rounds,
            summary: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        samples::{comparison, session},
        *,
    };

    #[test]
    fn rounds_come_to_medians_and_to_ratios_within_each_round() {
        let rounds = vec![
            vec![session("null", Some(100.0)), session("fuser", Some(50.0))],
            vec![session("fuser", None), session("null", Some(120.0))],
            vec![session("null", Some(80.0)), session("fuser", Some(150.0))],
        ];
        let rows = rows(&comparison(&["null", "fuser"], rounds));

        let [one, two] = &rows[0].servers[..] else { panic!("a cell for each server") };
        let rate = |cell: &Cell| cell.figures.as_ref().unwrap().operations_per_second;
        assert_eq!(rate(one), Spread { median: 100.0, min: 80.0, max: 120.0 });
        assert_eq!(rate(two), Spread { median: 100.0, min: 50.0, max: 150.0 });
        assert_eq!((one.failures, two.failures), (0, 1));
        assert_eq!(two.ratios["null"], Spread { median: 1.1875, min: 0.5, max: 1.875 });
        assert_eq!(one.ratios["null"], Spread { median: 1.0, min: 1.0, max: 1.0 });
        assert!(!two.ratios.contains_key("directory"));
        assert!(rows[1].servers.iter().all(|cell| cell.figures.is_none() && cell.ratios.is_empty()));
    }
}
