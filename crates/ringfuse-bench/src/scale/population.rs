//! Many files, and operations on them.

use std::{
    fs::{self, OpenOptions},
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::fs::{AtFlags, CWD, StatxFlags, statx};

use super::{FEW, Operation, Shape};
use crate::{
    error::Error,
    listing::{Listing, entry_name, fill},
    offsets::Offsets,
    statistics::float,
};

/// How many files are created before as many are unlinked.
const BATCH: u64 = 200;
/// How many operations are performed between looks at the clock.
const STRIDE: u64 = 20;

/// The files of one shape.
#[derive(Debug, Clone)]
pub struct Population {
    directories: Vec<PathBuf>,
    files_each: u64,
    /// Numbers of files, by chance.
    choice: Offsets,
}

impl Population {
    /// Makes so many files in `root`.
    ///
    /// # Errors
    ///
    /// [`Error::Path`] that names what cannot be made.
    pub fn make(root: &Path, shape: Shape, files: u64) -> Result<Self, Error> {
        let (count, files_each) = match shape {
            Shape::Few | Shape::Flat => (1, files),
            Shape::Tree => (files.div_ceil(FEW), FEW),
        };
        let directories: Vec<_> = (0..count).map(|number| root.join(format!("directory-{number}"))).collect();
        for directory in &directories {
            fill(directory, files_each)?;
        }
        let choice = Offsets::random(count * files_each, 1, 0).expect("there are files");
        Ok(Self { directories, files_each, choice })
    }

    /// The mean time of an operation over about so long, in microseconds.
    ///
    /// # Errors
    ///
    /// [`Error::Operation`] if one fails.
    pub fn measure(&mut self, operation: Operation, window: Duration) -> Result<f64, Error> {
        let failed = |name| move |source| Error::Operation { operation: name, source };
        let (count, time) = match operation {
            Operation::Lookup => self.look(window, AtFlags::SYMLINK_NOFOLLOW).map_err(failed("stat"))?,
            Operation::Stat => {
                let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::STATX_FORCE_SYNC;
                self.look(window, flags).map_err(failed("stat"))?
            }
            Operation::Create => self.make_and_take_away(window).map_err(failed("create"))?.0,
            Operation::Unlink => self.make_and_take_away(window).map_err(failed("unlink"))?.1,
            Operation::Readdir => self.list(window)?,
        };
        Ok(time.as_secs_f64() * 1e6 / float(count))
    }

    fn look(&mut self, window: Duration, flags: AtFlags) -> io::Result<(u64, Duration)> {
        let (begin, mut count) = (Instant::now(), 0);
        while begin.elapsed() < window {
            for _ in 0..STRIDE {
                statx(CWD, self.any(), flags, StatxFlags::BASIC_STATS)?;
            }
            count += STRIDE;
        }
        Ok((count, begin.elapsed()))
    }

    /// Creates files and unlinks them; the times of both.
    fn make_and_take_away(&mut self, window: Duration) -> io::Result<((u64, Duration), (u64, Duration))> {
        let (mut count, mut made, mut taken) = (0, Duration::ZERO, Duration::ZERO);
        while made + taken < window {
            let paths: Vec<_> =
                (0..BATCH).map(|number| self.any().with_file_name(format!("new-{number}"))).collect();
            let begin = Instant::now();
            for path in &paths {
                OpenOptions::new().write(true).create_new(true).open(path)?;
            }
            made += begin.elapsed();
            let begin = Instant::now();
            for path in &paths {
                fs::remove_file(path)?;
            }
            taken += begin.elapsed();
            count += BATCH;
        }
        Ok(((count, made), (count, taken)))
    }

    fn list(&mut self, window: Duration) -> Result<(u64, Duration), Error> {
        let failed = |source| Error::Operation { operation: "readdir", source };
        let (begin, mut count) = (Instant::now(), 0);
        while begin.elapsed() < window {
            let path = self.any();
            let directory = path.parent().expect("a file has a directory");
            count += Listing::of(directory, false).perform().map_err(failed)?;
        }
        Ok((count, begin.elapsed()))
    }

    /// The path of a file.
    fn any(&mut self) -> PathBuf {
        let number = self.choice.advance();
        let directory = usize::try_from(number / self.files_each).unwrap_or_default();
        self.directories[directory].join(entry_name(number % self.files_each))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_is_measured_and_leaves_the_files_as_they_were() {
        let root = tempfile::tempdir().unwrap();
        let mut population = Population::make(root.path(), Shape::Tree, 3000).unwrap();
        assert_eq!(population.directories.len(), 3);
        for operation in
            [Operation::Lookup, Operation::Stat, Operation::Create, Operation::Unlink, Operation::Readdir]
        {
            assert!(population.measure(operation, Duration::from_millis(5)).unwrap() > 0.0);
        }
        for directory in &population.directories {
            assert_eq!(fs::read_dir(directory).unwrap().count(), 1000);
        }
    }
}
