//! `ringfuse-bench`: loads a mounted filesystem and compares the servers behind it.
//!
//! - `load` runs one operation against a directory and prints its figures as JSON;
//! - `compare` starts each server in turn, loads its mount, and prints a table of all of them;
//! - `serve` is a server to be measured: the null filesystem, which is the limit of the transport.

#![forbid(unsafe_code)]

mod aligned_buffer;
mod client;
mod compare;
mod cpu_time;
mod document;
mod ending;
mod error;
mod listing;
mod load;
mod machine;
mod mounts;
mod names;
mod null_filesystem;
mod offsets;
mod operation;
mod peer;
mod placement;
mod profile;
mod running;
mod serve;
mod server;
mod statistics;
mod summary;
mod table;
mod tiny;

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
    /// Serve a filesystem that exists to be measured.
    Serve(serve::Options),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Load(options) => load(options),
        Command::Compare(options) => compare::compare(&options),
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
