//! The rounds of a run taken together: medians, and each server against the first.

use serde::Serialize;

use crate::{
    load::{Figures, Point},
    report::{Attempt, Session},
    server::Server,
    statistics::Spread,
};

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
    pub server: Server,
    /// In how many rounds the load failed.
    pub failures: usize,
    /// The figures of the other rounds.
    #[serde(flatten)]
    pub figures: Option<Medians>,
    /// Operations per second, as a multiple of the first server's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio_to_first: Option<f64>,
}

/// The figures of one server at one point over the rounds.
#[derive(Debug, Clone, Serialize)]
pub struct Medians {
    /// Operations of all clients per second.
    pub operations_per_second: Spread,
    /// Bytes of data per second.
    pub bytes_per_second: Spread,
    /// The median time of an operation, in microseconds.
    pub p50_microseconds: Spread,
    /// The time that 99 % of the operations keep to, in microseconds.
    pub p99_microseconds: Spread,
    /// The server's CPU time for each operation.
    pub server_cpu_microseconds_per_operation: Option<Spread>,
}

/// Takes `rounds` together: a row for each of `points`, in it a cell for each of `servers`.
#[must_use]
pub fn rows(points: &[Point], servers: &[Server], rounds: &[Vec<Session>]) -> Vec<Row> {
    points
        .iter()
        .map(|point| {
            let mut cells: Vec<_> = servers.iter().map(|&server| cell(point, server, rounds)).collect();
            relate(&mut cells);
            Row { point: point.clone(), servers: cells }
        })
        .collect()
}

fn cell(point: &Point, server: Server, rounds: &[Vec<Session>]) -> Cell {
    let attempts: Vec<_> = rounds
        .iter()
        .flatten()
        .filter(|session| session.server == server)
        .flat_map(|session| &session.attempts)
        .filter(|attempt| attempt.point == *point)
        .collect();
    let figures: Vec<_> = attempts.iter().copied().filter_map(Attempt::figures).collect();
    Cell {
        server,
        failures: attempts.len() - figures.len(),
        figures: Medians::of(&figures),
        ratio_to_first: None,
    }
}

fn relate(cells: &mut [Cell]) {
    let rate = |cell: &Cell| cell.figures.as_ref().map(|figures| figures.operations_per_second.median);
    let Some(first) = cells.first().and_then(rate) else { return };
    for cell in cells {
        cell.ratio_to_first = rate(cell).map(|own| own / first);
    }
}

impl Medians {
    fn of(figures: &[&Figures]) -> Option<Self> {
        let spread = |figure: fn(&Figures) -> f64| Spread::of(figures.iter().map(|figures| figure(figures)));
        Some(Self {
            operations_per_second: spread(|figures| figures.operations_per_second)?,
            bytes_per_second: spread(|figures| figures.bytes_per_second)?,
            p50_microseconds: spread(|figures| figures.latency_microseconds.p50)?,
            p99_microseconds: spread(|figures| figures.latency_microseconds.p99)?,
            server_cpu_microseconds_per_operation: Spread::of(
                figures
                    .iter()
                    .filter_map(|figures| figures.server_cpu.as_ref())
                    .map(|cpu| cpu.microseconds_per_operation),
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{num::NonZeroUsize, time::Duration};

    use clap::ValueEnum;

    use super::*;
    use crate::{
        cpu_time::CpuTime, error::Error, load::Report, operation::OPERATIONS, placement::Placement,
        statistics::Latencies,
    };

    fn point(clients: usize) -> Point {
        Point {
            operation: OPERATIONS[0],
            clients: NonZeroUsize::new(clients).unwrap(),
            pinned: Placement::default(),
        }
    }

    fn session(server: Server, rate: Option<f64>) -> Session {
        let mut latencies = Latencies::new();
        latencies.record(Duration::from_micros(10));
        let result = rate.ok_or(Error::NoServer).map(|rate| Report {
            point: point(1),
            figures: Figures {
                seconds: 1.0,
                operations: 1,
                operations_per_second: rate,
                bytes_per_second: 0.0,
                latency_microseconds: latencies.percentiles(),
                client_cpu: CpuTime::default(),
                server_cpu: None,
            },
        });
        Session { server, ready: String::new(), attempts: vec![Attempt::new(point(1), result)] }
    }

    #[test]
    fn rounds_come_to_medians_and_ratios_to_the_first_server() {
        let [first, second, ..] = *Server::value_variants() else { panic!("two servers are known") };
        let rounds = [
            vec![session(first, Some(100.0)), session(second, Some(50.0))],
            vec![session(second, None), session(first, Some(120.0))],
            vec![session(first, Some(80.0)), session(second, Some(150.0))],
        ];
        let rows = rows(&[point(1), point(2)], &[first, second], &rounds);

        let [one, two] = &rows[0].servers[..] else { panic!("a cell for each server") };
        let rate = |cell: &Cell| cell.figures.as_ref().unwrap().operations_per_second;
        assert_eq!(rate(one), Spread { median: 100.0, min: 80.0, max: 120.0 });
        assert_eq!(rate(two), Spread { median: 100.0, min: 50.0, max: 150.0 });
        assert_eq!((one.failures, two.failures), (0, 1));
        assert_eq!((one.ratio_to_first, two.ratio_to_first), (Some(1.0), Some(1.0)));
        assert!(rows[1].servers.iter().all(|cell| cell.figures.is_none() && cell.ratio_to_first.is_none()));
    }
}
