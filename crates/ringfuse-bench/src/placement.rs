//! Where clients run.

use std::{
    fmt::{self, Display},
    str::FromStr,
};

use nix::{
    errno::Errno,
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    unistd::Pid,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::error::Error;

/// The CPUs that clients are pinned to, one each and in turn; none leaves them to the scheduler.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Placement(Vec<usize>);

impl Placement {
    /// Pins the calling thread, which is the client of that `number`.
    pub fn apply(&self, number: usize) -> Result<(), Error> {
        let Some(&cpu) = self.0.get(number.checked_rem(self.0.len()).unwrap_or_default()) else {
            return Ok(());
        };
        pin(cpu).map_err(|source| Error::Pin { cpu, source })
    }
}

fn pin(cpu: usize) -> Result<(), Errno> {
    let mut cpus = CpuSet::new();
    cpus.set(cpu)?;
    sched_setaffinity(Pid::from_raw(0), &cpus)
}

impl Placement {
    /// One placement for each CPU that this process may use: a client held there.
    ///
    /// # Errors
    ///
    /// [`Error::Cpus`] if they cannot be told.
    pub fn each() -> Result<Vec<Self>, Error> {
        Ok(usable_cpus()?.into_iter().map(|cpu| Self(vec![cpu])).collect())
    }

    /// Clients spread over all CPUs that this process may use.
    ///
    /// # Errors
    ///
    /// [`Error::Cpus`] if they cannot be told.
    pub fn all() -> Result<Self, Error> {
        usable_cpus().map(Self)
    }

    /// Whether the scheduler places the clients.
    #[must_use]
    pub fn is_free(&self) -> bool {
        self.0.is_empty()
    }
}

fn usable_cpus() -> Result<Vec<usize>, Error> {
    let cpus = sched_getaffinity(Pid::from_raw(0)).map_err(Error::Cpus)?;
    Ok((0..CpuSet::count()).filter(|cpu| cpus.is_set(*cpu).unwrap_or_default()).collect())
}

impl FromStr for Placement {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text == "free" {
            return Ok(Self::default());
        }
        let mut cpus = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            match (first.parse::<usize>(), last.parse::<usize>()) {
                (Ok(first), Ok(last)) if first <= last && last < CpuSet::count() => cpus.extend(first..=last),
                _ => return Err(Error::CpuList(text.to_owned())),
            }
        }
        Ok(Self(cpus))
    }
}

impl Display for Placement {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return formatter.write_str("free");
        }
        let cpus: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        formatter.write_str(&cpus.join(","))
    }
}

impl Serialize for Placement {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Placement {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cpu_list_is_read_as_the_kernel_writes_it() {
        assert_eq!("0".parse::<Placement>().unwrap(), Placement(vec![0]));
        assert_eq!("3,0-2".parse::<Placement>().unwrap(), Placement(vec![3, 0, 1, 2]));
        assert_eq!("free".parse::<Placement>().unwrap(), Placement::default());
    }

    #[test]
    fn what_is_no_cpu_list_is_refused() {
        for text in ["", "a", "1,", "2-1", "-1", "0-99999999"] {
            assert!(matches!(text.parse::<Placement>(), Err(Error::CpuList(_))), "{text}");
        }
    }

    #[test]
    fn a_placement_is_written_as_it_is_read() {
        for text in ["free", "0", "0,1"] {
            assert_eq!(text.parse::<Placement>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_cpu_that_does_not_exist_is_an_error_that_names_it() {
        let last = CpuSet::count() - 1;
        assert!(matches!(Placement(vec![last]).apply(5), Err(Error::Pin { cpu, .. }) if cpu == last));
    }
}
