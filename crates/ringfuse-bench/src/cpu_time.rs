//! CPU time, of a thread or of a whole process.

use std::{iter::Sum, ops::Sub, time::Duration};

use nix::{
    sys::{
        resource::{UsageWho, getrusage},
        time::{TimeVal, TimeValLike},
    },
    time::{ClockId, clock_getcpuclockid},
    unistd::Pid,
};
use procfs::process::Process;
use serde::{Deserialize, Serialize};

use crate::{error::Error, statistics::float};

/// Time that CPUs spent in user mode and in the kernel.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct CpuTime {
    /// Seconds in user mode.
    pub user_seconds: f64,
    /// Seconds in the kernel.
    pub system_seconds: f64,
}

impl CpuTime {
    /// What the calling thread has used, in microseconds' precision.
    pub fn of_this_thread() -> Result<Self, Error> {
        let usage = getrusage(UsageWho::RUSAGE_THREAD).map_err(Error::ClientTime)?;
        Ok(Self { user_seconds: seconds(usage.user_time()), system_seconds: seconds(usage.system_time()) })
    }

    /// What all threads of a process have used. The sum is exact to the nanosecond; it is divided into user and system
    /// time as `/proc/PID/stat` has it, in clock ticks of 10 ms.
    pub fn of_process(process: i32) -> Result<Self, Error> {
        let stat = Process::new(process)
            .and_then(|process| process.stat())
            .map_err(|source| Error::Proc { what: "the CPU time of the server", source })?;
        let clock =
            clock_getcpuclockid(Pid::from_raw(process)).and_then(ClockId::now).map_err(Error::ServerTime)?;
        let seconds = Duration::from(clock).as_secs_f64();
        let (user, system) = (float(stat.utime), float(stat.stime));
        let user_share = if user + system > 0.0 { user / (user + system) } else { 0.0 };
        let user_seconds = seconds * user_share;
        Ok(Self { user_seconds, system_seconds: seconds - user_seconds })
    }

    /// User and system time together.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.user_seconds + self.system_seconds
    }
}

impl Sub for CpuTime {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            user_seconds: self.user_seconds - earlier.user_seconds,
            system_seconds: self.system_seconds - earlier.system_seconds,
        }
    }
}

impl Sum for CpuTime {
    fn sum<I: Iterator<Item = Self>>(times: I) -> Self {
        times.fold(Self::default(), |sum, time| Self {
            user_seconds: sum.user_seconds + time.user_seconds,
            system_seconds: sum.system_seconds + time.system_seconds,
        })
    }
}

/// CPU time for each operation, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CpuPerOperation {
    /// In user mode.
    pub user: f64,
    /// In the kernel.
    pub system: f64,
}

impl CpuPerOperation {
    /// The share of each of so many operations in `time`.
    #[must_use]
    pub fn new(time: CpuTime, operations: u64) -> Self {
        let each = |seconds: f64| seconds * 1e6 / float(operations);
        Self { user: each(time.user_seconds), system: each(time.system_seconds) }
    }
}

fn seconds(time: TimeVal) -> f64 {
    float(u64::try_from(time.num_microseconds()).unwrap_or_default()) / 1e6
}

#[cfg(test)]
mod tests {
    use std::{process, time::Instant};

    use super::*;

    #[test]
    fn a_busy_thread_uses_time_and_so_does_its_process() {
        let thread = CpuTime::of_this_thread().unwrap();
        let own = i32::try_from(process::id()).unwrap();
        let whole = CpuTime::of_process(own).unwrap();
        let start = Instant::now();
        while (CpuTime::of_this_thread().unwrap() - thread).seconds() < 0.05 {
            assert!(start.elapsed().as_secs() < 20, "no CPU time was counted");
        }
        assert!((CpuTime::of_process(own).unwrap() - whole).seconds() > 0.0);
    }
}
