//! What the project claims about its speed, and whether the figures bear it out.

use comfy_table::Table;

use crate::{
    document::Comparison,
    footprint::Footprint,
    load::Point,
    operation::Operation,
    statistics::Spread,
    summary,
    table::significant,
    work::{Task, Work},
};

/// The results that verdicts are made from, as far as there are any.
#[derive(Debug, Default)]
pub struct Results {
    /// Of `compare`.
    pub comparison: Option<Comparison>,
    /// Of `work`.
    pub work: Option<Work>,
    /// Of `footprint`.
    pub footprint: Option<Footprint>,
}

/// The rounds that a claim is to be measured in.
const ENOUGH_ROUNDS: usize = 5;

impl Results {
    /// What is to be said of the verdicts, where they were come to in fewer rounds than a claim needs.
    #[must_use]
    pub fn note(&self) -> Option<String> {
        let comparison = self.comparison.as_ref().map(|comparison| comparison.rounds.len());
        let work = self.work.as_ref().map(|work| work.rounds.len());
        let rounds = comparison.into_iter().chain(work).min()?;
        (rounds < ENOUGH_ROUNDS).then(|| {
            format!(
                "A first look only: a claim is to be measured in {ENOUGH_ROUNDS} rounds or more, these had {rounds}."
            )
        })
    }
}

/// What a figure must be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    /// So much or more.
    AtLeast(f64),
    /// So much or less.
    AtMost(f64),
}

/// A claim, and what was measured.
#[derive(Debug)]
pub struct Verdict {
    /// The number of the claim in the project's own list.
    pub number: u8,
    /// What is claimed of what.
    pub claim: String,
    /// What the figure must be.
    pub bound: Bound,
    /// What it is called: `×` for a ratio.
    pub unit: &'static str,
    /// What it was; none where it was not measured.
    pub measured: Option<Spread>,
}

impl Verdict {
    /// Whether the median is within the bound; none where nothing was measured.
    #[must_use]
    pub fn is_reached(&self) -> Option<bool> {
        let Spread { median, .. } = self.measured?;
        Some(match self.bound {
            Bound::AtLeast(bound) => median >= bound,
            Bound::AtMost(bound) => median <= bound,
        })
    }
}

/// Every claim.
#[must_use]
pub fn verdicts(results: &Results) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    let comparison = Ratios(results.comparison.as_ref());
    comparison.transport(&mut verdicts);
    comparison.workers(&mut verdicts);
    comparison.one_thread(&mut verdicts);
    comparison.large_transfers(&mut verdicts);
    work(results.work.as_ref(), &mut verdicts);
    footprint(results.footprint.as_ref(), &mut verdicts);
    verdicts
}

/// The table of them.
#[must_use]
pub fn table(verdicts: &[Verdict], style: comfy_table::TableStyle) -> Table {
    let mut table = Table::new();
    table.load_style(style);
    table.set_header(["", "claim", "required", "measured (least–most)", "reached"]);
    for verdict in verdicts {
        let bound = match verdict.bound {
            Bound::AtLeast(bound) => format!("≥ {bound} {}", verdict.unit),
            Bound::AtMost(bound) => format!("≤ {bound} {}", verdict.unit),
        };
        let measured = verdict.measured.map_or("not measured".to_owned(), |Spread { median, min, max }| {
            format!("{} ({}–{})", significant(median), significant(min), significant(max))
        });
        let reached = match verdict.is_reached() {
            Some(true) => "yes",
            Some(false) => "no",
            None => "–",
        };
        table.add_row([&verdict.number.to_string(), &verdict.claim, &bound, &measured, reached]);
    }
    table
}

/// The servers' names in the claims.
const NULL: &str = "null";
const NULL_DEV_FUSE: &str = "null-dev-fuse";
const ONE_THREAD: &str = "typescript";
const ONE_THREAD_DEV_FUSE: &str = "typescript-dev-fuse";
const WORKERS: &str = "typescript-workers";
const FUSER: &str = "fuser";
const FRACTAL_FUSE: &str = "fractal-fuse";
const FUSE_NATIVE: &str = "fuse-native";

/// The claims about ratios of servers.
struct Ratios<'a>(Option<&'a Comparison>);

impl Ratios<'_> {
    fn transport(&self, verdicts: &mut Vec<Verdict>) {
        let ratios = self.everywhere(NULL, FRACTAL_FUSE);
        let ahead = ratios.iter().filter(|(_, ratio)| ratio.median >= 1.0).count();
        let least = ratios.iter().min_by(|(_, one), (_, other)| one.median.total_cmp(&other.median));
        let at = least.map_or_else(String::new, |(point, _)| {
            format!("; so at {ahead} of {}, least at {}", ratios.len(), describe(point))
        });
        verdicts.push(Verdict {
            number: 1,
            claim: format!("{NULL} against {FRACTAL_FUSE}, at every point{at}"),
            bound: Bound::AtLeast(1.0),
            unit: "×",
            measured: least.map(|(_, ratio)| *ratio),
        });
        for clients in [2, 4] {
            verdicts.push(self.free(1, NULL, FUSER, "stat", clients, 1.8));
            verdicts.push(self.free(1, NULL, FUSER, "create", clients, 3.0));
        }
    }

    fn workers(&self, verdicts: &mut Vec<Verdict>) {
        for clients in [2, 4] {
            verdicts.push(self.free(2, WORKERS, NULL, "stat", clients, 0.85));
            verdicts.push(self.free(2, WORKERS, FUSER, "stat", clients, 1.3));
            verdicts.push(self.free(2, WORKERS, FUSER, "create", clients, 2.5));
        }
    }

    fn one_thread(&self, verdicts: &mut Vec<Verdict>) {
        let held = self.points(|point| {
            point.operation.name == "stat" && point.clients.get() == 1 && !point.pinned.is_free()
        });
        verdicts.extend(held.iter().map(|point| self.at(3, ONE_THREAD, FUSER, point, 2.0)));
        verdicts.push(self.free(3, ONE_THREAD, FUSER, "stat", 1, 0.6));
        verdicts.push(self.free(3, ONE_THREAD, FUSER, "stat", 4, 1.0));
        verdicts.push(self.free(3, ONE_THREAD, FUSE_NATIVE, "stat", 1, 5.0));
        verdicts.push(self.free(3, ONE_THREAD, FUSE_NATIVE, "stat", 4, 3.0));
    }

    fn large_transfers(&self, verdicts: &mut Vec<Verdict>) {
        verdicts.push(self.free(4, ONE_THREAD, NULL, "read-1m", 1, 0.85));
        for clients in [2, 4] {
            verdicts.push(self.free(4, WORKERS, NULL, "read-1m", clients, 0.85));
        }
        for operation in ["read-buffered", "write-buffered"] {
            for clients in [1, 2, 4] {
                verdicts.push(self.free(4, NULL, NULL_DEV_FUSE, operation, clients, 1.0));
                verdicts.push(self.free(4, ONE_THREAD, ONE_THREAD_DEV_FUSE, operation, clients, 1.0));
            }
        }
    }

    fn points(&self, wanted: impl Fn(&Point) -> bool) -> Vec<Point> {
        self.0
            .into_iter()
            .flat_map(|comparison| &comparison.points)
            .filter(|point| wanted(point))
            .cloned()
            .collect()
    }

    /// One server against another at every point that has both.
    fn everywhere(&self, server: &str, baseline: &str) -> Vec<(Point, Spread)> {
        let Some(comparison) = self.0 else { return Vec::new() };
        let ratio =
            |point: &Point| Some((point.clone(), summary::ratio(comparison, server, baseline, point)?));
        comparison.points.iter().filter_map(ratio).collect()
    }

    /// The claim at a point with free clients.
    fn free(
        &self,
        number: u8,
        server: &str,
        baseline: &str,
        operation: &'static str,
        clients: usize,
        least: f64,
    ) -> Verdict {
        let point = self.points(|point| {
            point.operation.name == operation && point.clients.get() == clients && point.pinned.is_free()
        });
        match point.first() {
            Some(point) => self.at(number, server, baseline, point, least),
            None => Verdict {
                number,
                claim: format!("{server} against {baseline}: {operation} × {clients}"),
                bound: Bound::AtLeast(least),
                unit: "×",
                measured: None,
            },
        }
    }

    fn at(&self, number: u8, server: &str, baseline: &str, point: &Point, least: f64) -> Verdict {
        Verdict {
            number,
            claim: format!("{server} against {baseline}: {}", describe(point)),
            bound: Bound::AtLeast(least),
            unit: "×",
            measured: self.0.and_then(|comparison| summary::ratio(comparison, server, baseline, point)),
        }
    }
}

/// A point in words.
#[must_use]
pub fn describe(point: &Point) -> String {
    let Operation { name, .. } = point.operation;
    if point.pinned.is_free() {
        format!("{name} × {}", point.clients)
    } else {
        format!("{name} × {} on CPU {}", point.clients, point.pinned)
    }
}

fn work(work: Option<&Work>, verdicts: &mut Vec<Verdict>) {
    let tasks = [Task::GitClone, Task::NpmInstall, Task::TarIn, Task::TarOut, Task::Rg];
    let bounds = tasks.into_iter().map(|task| (task, 1.5)).chain([(Task::Video, 1.1)]);
    verdicts.extend(bounds.map(|(task, most)| Verdict {
        number: 5,
        claim: format!("mirror against the directory beneath, time: {}", task.name()),
        bound: Bound::AtMost(most),
        unit: "×",
        measured: work.and_then(|work| work.ratio("mirror", task)),
    }));
}

fn footprint(footprint: Option<&Footprint>, verdicts: &mut Vec<Verdict>) {
    let claims: [(u8, &str, f64, &'static str, Option<Spread>); 4] = [
        (6, "CPU of an idle mount", 0.1, "%", footprint.map(|footprint| footprint.idle_cpu_percent)),
        (
            6,
            "99 % of the answers of a busy event loop, in its own turns",
            1.1,
            "turns",
            footprint.map(Footprint::busy_turns),
        ),
        (7, "growth of the heap over a million requests", 1.0, "MiB", footprint.map(Footprint::heap_growth)),
        (7, "memory of an idle mount", 80.0, "MiB", footprint.map(|footprint| footprint.idle_mebibytes)),
    ];
    verdicts.extend(claims.into_iter().map(|(number, claim, most, unit, measured)| Verdict {
        number,
        claim: claim.to_owned(),
        bound: Bound::AtMost(most),
        unit,
        measured,
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::samples::{comparison, session};

    fn verdict(bound: Bound, median: f64) -> Verdict {
        let measured = Some(Spread { median, min: 0.0, max: 9.0 });
        Verdict { number: 1, claim: String::new(), bound, unit: "×", measured }
    }

    #[test]
    fn a_claim_is_reached_by_its_median() {
        assert_eq!(verdict(Bound::AtLeast(1.8), 1.8).is_reached(), Some(true));
        assert_eq!(verdict(Bound::AtLeast(1.8), 1.7).is_reached(), Some(false));
        assert_eq!(verdict(Bound::AtMost(1.5), 1.6).is_reached(), Some(false));
        assert_eq!(Verdict { measured: None, ..verdict(Bound::AtMost(1.5), 0.0) }.is_reached(), None);
    }

    #[test]
    fn a_claim_about_every_point_is_measured_where_it_is_furthest_from_true() {
        let rounds = vec![vec![session("null", Some(90.0)), session("fractal-fuse", Some(100.0))]];
        let comparison = Some(comparison(&["null", "fractal-fuse"], rounds));
        let verdicts = verdicts(&Results { comparison, ..Results::default() });
        assert!(verdicts[0].claim.ends_with("stat × 1"), "{}", verdicts[0].claim);
        assert_eq!(verdicts[0].is_reached(), Some(false));
    }

    #[test]
    fn verdicts_of_few_rounds_are_a_first_look() {
        let results = |rounds: usize| {
            let rounds = (0..rounds).map(|_| vec![session("null", Some(1.0))]).collect();
            Results { comparison: Some(comparison(&["null"], rounds)), ..Results::default() }
        };
        assert!(results(4).note().unwrap().contains("these had 4"));
        assert_eq!(results(5).note(), None);
    }

    #[test]
    fn every_claim_is_there_without_any_result() {
        let verdicts = verdicts(&Results::default());
        assert!((1..=7).all(|number| verdicts.iter().any(|verdict| verdict.number == number)));
        assert!(verdicts.iter().all(|verdict| verdict.is_reached().is_none()));
    }
}
