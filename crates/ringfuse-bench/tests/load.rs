//! `load` on a directory of the machine's own filesystem.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;

fn load(directory: &Path, operation: &str, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ringfuse-bench"))
        .args(["load", "--operation", operation, "--clients", "2", "--seconds", "0.2", "--dir"])
        .arg(directory)
        .args(more)
        .output()
        .unwrap()
}

fn report(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn number(report: &Value, pointer: &str) -> f64 {
    report.pointer(pointer).and_then(Value::as_f64).unwrap_or_else(|| panic!("{pointer} in {report}"))
}

fn assert_figures(report: &Value, operation: &str, bytes: f64) {
    assert_eq!(report["operation"], operation);
    assert_eq!(report["clients"], 2);
    assert!(number(report, "/seconds") > 0.0);
    assert!(number(report, "/operations") >= 2.0);
    let rate = number(report, "/operations_per_second");
    assert!(rate > 0.0);
    assert!((number(report, "/bytes_per_second") - rate * bytes).abs() <= rate * bytes * 1e-9);
    let percentiles = ["p50", "p90", "p99", "p99.9", "max"]
        .map(|percentile| number(report, &format!("/latency_microseconds/{percentile}")));
    assert!(percentiles[0] > 0.0);
    assert!(percentiles.is_sorted(), "{percentiles:?}");
    let cpu = number(report, "/client_cpu/user") + number(report, "/client_cpu/system");
    let longest = (2.0 * number(report, "/seconds") + 0.1) * 1e6 / number(report, "/operations");
    assert!(cpu > 0.0 && cpu <= longest, "{cpu}");
}

#[test]
fn operations_without_data_are_measured() {
    let directory = tempfile::tempdir().unwrap();
    for operation in ["stat", "open", "create", "rename"] {
        let report = report(&load(directory.path(), operation, &[]));
        assert_figures(&report, operation, 0.0);
        assert_eq!(report["pinned"], "free");
    }
}

#[test]
fn every_entry_of_a_listing_counts() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("many")).unwrap();
    for number in 0..500 {
        fs::write(directory.path().join("many").join(format!("entry-{number}")), "").unwrap();
    }
    for operation in ["readdir", "readdirplus"] {
        let report = report(&load(directory.path(), operation, &[]));
        assert_figures(&report, operation, 0.0);
        assert!(number(&report, "/operations") % 500.0 == 0.0, "{report}");
    }
}

#[test]
fn transfers_through_the_page_cache_are_measured_in_bytes() {
    let directory = tempfile::tempdir().unwrap();
    for (operation, bytes) in
        [("read-buffered", 131_072.0), ("read-buffered-4k", 4096.0), ("write-buffered", 131_072.0)]
    {
        assert_figures(&report(&load(directory.path(), operation, &[])), operation, bytes);
    }
}

#[test]
fn created_files_are_gone_afterwards() {
    let directory = tempfile::tempdir().unwrap();
    for operation in ["create", "unlink", "rename"] {
        report(&load(directory.path(), operation, &[]));
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn transfers_are_measured_in_bytes_where_there_is_direct_input_and_output() {
    let directory = tempfile::tempdir().unwrap();
    for (operation, bytes) in [("read-4k", 4096.0), ("write-128k", 131_072.0), ("read-1m", 1_048_576.0)] {
        let output = load(directory.path(), operation, &[]);
        let message = String::from_utf8_lossy(&output.stderr);
        if message.contains("O_DIRECT") {
            assert!(!output.status.success());
            assert!(message.contains("choose a directory on a filesystem with direct I/O"), "{message}");
        } else {
            assert_figures(&report(&output), operation, bytes);
        }
    }
}

#[test]
fn clients_are_pinned_to_the_cpus_they_are_given() {
    let directory = tempfile::tempdir().unwrap();
    let report = report(&load(directory.path(), "stat", &["--pin", "0"]));
    assert_figures(&report, "stat", 0.0);
    assert_eq!(report["pinned"], "0");
}

#[test]
fn a_directory_that_is_missing_is_an_error_that_names_it() {
    let output = load(Path::new("/nowhere"), "stat", &[]);
    assert!(!output.status.success());
    assert!(output.stdout.is_empty());
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(message.contains("cannot write /nowhere/bench-0"), "{message}");
}
