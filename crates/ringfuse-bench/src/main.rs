//! `ringfuse-bench`: loads a mounted filesystem and compares the servers behind it.
//!
//! - `load` runs one operation against a directory and prints its figures as JSON;
//! - `compare` starts each server in turn, loads its mount, and prints a table of all of them;
//! - `work` does on them what people do on a filesystem; `scale` has many files; `footprint` looks at idle and busy
//!   mounts, and at the heap;
//! - `report` makes a document of what these found out;
//! - `serve` is a server to be measured: the null filesystem, which is the limit of the transport.

#![forbid(unsafe_code)]

mod aligned_buffer;
mod client;
mod compare;
mod cpu_time;
mod document;
mod ending;
mod error;
mod footprint;
mod limits;
mod listing;
mod load;
mod machine;
mod markdown;
mod mounts;
mod names;
mod null_filesystem;
mod offsets;
mod operation;
mod patience;
mod peer;
mod placement;
mod plot;
mod profile;
mod report;
mod running;
mod scale;
mod serve;
mod server;
mod statistics;
mod summary;
mod table;
mod tiny;
mod verdict;
mod work;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::error::Error;

/// Load generator and report of ringfuse.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run one operation against a directory and print its figures as one JSON object.
    Load(load::Options),
    /// Start the servers in turn, load their mounts, and print a table that compares them.
    Compare(compare::Options),
    /// Do on each server what people do on a filesystem, and compare it with the plain directory.
    Work(work::Options),
    /// Hold what operations cost among many files against what they cost among few.
    Scale(scale::Options),
    /// Look at what an idle mount costs, what requests leave in the heap, and how a busy event loop answers.
    Footprint(footprint::Options),
    /// Write a report of what these found out, with verdicts on what is claimed.
    Report(report::Options),
    /// Serve a filesystem that exists to be measured.
    Serve(serve::Options),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Load(options) => load(options),
        Command::Compare(options) => ending::ending_servers(move || compare::compare(&options)),
        Command::Work(options) => ending::ending_servers(move || work::work(&options)),
        Command::Footprint(options) => ending::ending_servers(move || footprint::footprint(&options)),
        Command::Scale(options) => ending::ending_servers(move || scale::scale(&options)),
        Command::Report(options) => report::report(&options),
        Command::Serve(options) => serve::serve(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ringfuse-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn load(options: load::Options) -> Result<(), Error> {
    let report = load::measure(options.into())?;
    println!("{}", serde_json::to_string_pretty(&report)?);
    Ok(())
}
