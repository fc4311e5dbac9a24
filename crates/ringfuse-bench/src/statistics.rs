//! Latencies of many operations, and figures of several rounds.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// The longest latency that is told apart from longer ones.
const LONGEST: Duration = Duration::from_secs(60);
/// Decimal digits to which a latency is kept.
const DIGITS: u8 = 3;

/// The latencies of operations.
#[derive(Debug, Clone)]
pub struct Latencies(Histogram<u64>);

impl Latencies {
    /// No latencies.
    #[must_use]
    pub fn new() -> Self {
        Self(
            Histogram::new_with_bounds(1, nanoseconds(LONGEST), DIGITS)
                .expect("1 ns to 60 s and 3 digits are bounds of a histogram"),
        )
    }

    /// Adds one operation.
    pub fn record(&mut self, latency: Duration) {
        self.0.saturating_record(nanoseconds(latency));
    }

    /// Adds all operations of another client.
    pub fn add(&mut self, other: &Self) {
        self.0.add(&other.0).expect("all latencies have the same bounds");
    }

    /// The percentiles.
    #[must_use]
    pub fn percentiles(&self) -> Percentiles {
        let at = |quantile| microseconds(self.0.value_at_quantile(quantile));
        Percentiles {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p99_9: at(0.999),
            max: microseconds(self.0.max()),
        }
    }
}

/// Percentiles of latencies, in microseconds.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Percentiles {
    /// Half of the operations took no longer.
    pub p50: f64,
    /// 90 % of the operations took no longer.
    pub p90: f64,
    /// 99 % of the operations took no longer.
    pub p99: f64,
    /// 99.9 % of the operations took no longer.
    #[serde(rename = "p99.9")]
    pub p99_9: f64,
    /// No operation took longer.
    pub max: f64,
}

/// One figure over several rounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The middle value, or the mean of the two in the middle.
    pub median: f64,
    /// The smallest value.
    pub min: f64,
    /// The largest value.
    pub max: f64,
}

impl Spread {
    /// The spread of `values`; none if there are none.
    #[must_use]
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<_> = values.into_iter().collect();
        values.sort_unstable_by(f64::total_cmp);
        let (&min, &max) = (values.first()?, values.last()?);
        let upper = values.len() / 2;
        let lower = (values.len() - 1) / 2;
        Some(Self { median: f64::midpoint(values[lower], values[upper]), min, max })
    }
}

/// A count as a number to calculate with.
#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark stay far below 2^53")]
#[must_use]
pub fn float(count: u64) -> f64 {
    count as f64
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn microseconds(nanoseconds: u64) -> f64 {
    float(nanoseconds) / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(actual: f64, expected: f64) {
        assert!((actual / expected - 1.0).abs() < 2e-3, "{actual} is not {expected}");
    }

    #[test]
    fn percentiles_are_microseconds_of_the_latency_that_so_many_operations_keep_to() {
        let mut latencies = Latencies::new();
        for microseconds in 1..=1000 {
            latencies.record(Duration::from_micros(microseconds));
        }
        let percentiles = latencies.percentiles();
        close(percentiles.p50, 500.0);
        close(percentiles.p90, 900.0);
        close(percentiles.p99, 990.0);
        close(percentiles.p99_9, 999.0);
        close(percentiles.max, 1000.0);
    }

    #[test]
    fn latencies_of_several_clients_add_up() {
        let (mut one, mut other) = (Latencies::new(), Latencies::new());
        one.record(Duration::from_micros(10));
        other.record(Duration::from_micros(30));
        one.add(&other);
        close(one.percentiles().p50, 10.0);
        close(one.percentiles().max, 30.0);
    }

    #[test]
    fn a_latency_beyond_the_longest_is_kept_as_the_longest() {
        let mut latencies = Latencies::new();
        latencies.record(LONGEST * 10);
        assert!(latencies.percentiles().max >= LONGEST.as_secs_f64() * 1e6);
    }

    #[test]
    fn the_median_of_an_odd_number_is_the_one_in_the_middle() {
        assert_eq!(Spread::of([3.0, 1.0, 2.0]), Some(Spread { median: 2.0, min: 1.0, max: 3.0 }));
    }

    #[test]
    fn the_median_of_an_even_number_is_the_mean_of_the_two_in_the_middle() {
        assert_eq!(Spread::of([4.0, 1.0, 2.0, 9.0]), Some(Spread { median: 3.0, min: 1.0, max: 9.0 }));
    }

    #[test]
    fn nothing_has_no_spread() {
        assert_eq!(Spread::of([]), None);
    }
}
