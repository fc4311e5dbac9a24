//! The report: what was measured, in one Markdown document with its pictures, and the verdicts on what is claimed.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Args;
use comfy_table::presets::{ASCII_MARKDOWN, UTF8_FULL_CONDENSED};

use crate::{
    document,
    error::Error,
    footprint, markdown, plot, scale,
    verdict::{self, Results},
};

/// The names of the results in their directory.
const COMPARISON: &str = "compare.json";
const WORK: &str = "work.json";
const SCALE: &str = "scale.json";
const FOOTPRINT: &str = "footprint.json";
/// The names of what is made from them.
const REPORT: &str = "report.md";
const THROUGHPUT: &str = "throughput.svg";
const LATENCY: &str = "latency.svg";
const TASKS: &str = "work.svg";

/// The arguments of `report`.
#[derive(Debug, Args)]
pub struct Options {
    /// The directory with `compare.json`, `work.json`, `scale.json` and `footprint.json`, as far as there are any
    #[arg(value_name = "DIR")]
    results: PathBuf,
    /// Also write the sections into that document, each between `<!-- bench:SECTION -->` and `<!-- /bench -->`, and
    /// the pictures beside it
    #[arg(long, value_name = "FILE")]
    document: Option<PathBuf>,
}

/// A part of the report.
struct Section {
    name: &'static str,
    title: &'static str,
    text: String,
}

/// Writes the report and prints the verdicts.
///
/// # Errors
///
/// [`Error::NoResults`] if there is nothing to report on, and what cannot be read or written.
pub fn report(options: &Options) -> Result<(), Error> {
    let directory = &options.results;
    let file = |name: &str| directory.join(name);
    let results = Results {
        comparison: document::read(&file(COMPARISON))?,
        work: document::read(&file(WORK))?,
        footprint: document::read(&file(FOOTPRINT))?,
    };
    let scale: Option<scale::Scale> = document::read(&file(SCALE))?;
    let sections = sections(&results, scale.as_ref());
    if sections.len() == 1 {
        return Err(Error::NoResults(directory.clone()));
    }
    draw(&results, directory)?;
    let text: Vec<_> = sections
        .iter()
        .map(|section| {
            format!(
                "## {}

{}
",
                section.title, section.text
            )
        })
        .collect();
    document::write_text(&text.join("\n"), &file(REPORT))?;
    if let Some(document) = &options.document {
        fill(document, &sections)?;
        draw(&results, document.parent().unwrap_or(Path::new(".")))?;
    }
    println!("{}", verdict::table(&verdict::verdicts(&results), UTF8_FULL_CONDENSED));
    if let Some(note) = results.note() {
        println!("{note}");
    }
    eprintln!("written to {}", file(REPORT).display());
    Ok(())
}

fn sections(results: &Results, scale: Option<&scale::Scale>) -> Vec<Section> {
    let mut sections = Vec::new();
    let mut add = |name, title, text| sections.push(Section { name, title, text });
    add(
        "verdicts",
        "What is claimed",
        results.note().map_or_else(String::new, |note| format!("{note}\n\n"))
            + &verdict::table(&verdict::verdicts(results), ASCII_MARKDOWN).to_string(),
    );
    if let Some(comparison) = &results.comparison {
        let made = format!(
            "{}; {} rounds, {} s for each load.\n\n",
            comparison.machine,
            comparison.rounds.len(),
            comparison.seconds
        );
        add("servers", "Servers", made + &markdown::subjects(&comparison.servers, &comparison.skipped));
        add(
            "rates",
            "Operations per second, free clients",
            format!("{}\n\n![]({THROUGHPUT})", markdown::rates(comparison)),
        );
        add("held", "Clients held on CPUs", markdown::held(comparison));
        add(
            "latencies",
            "Latencies and CPU time of one free client, µs",
            format!("{}\n\n![]({LATENCY})", markdown::latencies(comparison)),
        );
        add("baselines", "Against each other", markdown::baselines(comparison));
    }
    if let Some(work) = &results.work {
        let with = format!("{} files; a large file of {} MiB.\n\n", work.files, work.large_bytes >> 20);
        add("work", "Real work", with + &format!("{}\n\n![]({TASKS})", markdown::tasks(work)));
    }
    if let Some(scale) = scale {
        add("scale", "Many files", scale::table(scale, ASCII_MARKDOWN).to_string());
    }
    if let Some(footprint) = &results.footprint {
        add(
            "footprint",
            "At rest, and beside other work",
            footprint::table(footprint, ASCII_MARKDOWN).to_string(),
        );
    }
    sections
}

fn draw(results: &Results, directory: &Path) -> Result<(), Error> {
    if let Some(comparison) = &results.comparison {
        plot::throughput(comparison, &directory.join(THROUGHPUT))?;
        plot::latency(comparison, &directory.join(LATENCY))?;
    }
    if let Some(work) = &results.work {
        plot::work(work, &directory.join(TASKS))?;
    }
    Ok(())
}

/// Puts each section where the document has its place. A document without places stays as it is.
fn fill(document: &Path, sections: &[Section]) -> Result<(), Error> {
    let failed = |action| move |source| Error::Path { action, path: document.to_owned(), source };
    let text = fs::read_to_string(document).map_err(failed("read"))?;
    let filled = sections.iter().fold(text, |text, section| replaced(&text, section.name, &section.text));
    fs::write(document, filled).map_err(failed("write"))
}

fn replaced(text: &str, section: &str, new: &str) -> String {
    let (begin, end) = (format!("<!-- bench:{section} -->"), "<!-- /bench -->");
    let Some((before, rest)) = text.split_once(&begin) else { return text.to_owned() };
    let Some((_, after)) = rest.split_once(end) else { return text.to_owned() };
    format!("{before}{begin}\n\n{new}\n\n{end}{after}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_replaced_between_its_marks_and_nothing_else_is() {
        let text = "a\n<!-- bench:rates -->\nold\n<!-- /bench -->\nb\n<!-- bench:work -->x<!-- /bench -->";
        let new = "a\n<!-- bench:rates -->\n\nnew\n\n<!-- /bench -->\nb\n<!-- bench:work -->x<!-- /bench -->";
        assert_eq!(replaced(text, "rates", "new"), new);
        assert_eq!(replaced(new, "rates", "new"), new);
        assert_eq!(replaced(text, "scale", "new"), text);
    }

    #[test]
    fn a_directory_without_results_is_an_error_that_names_it() {
        let results = tempfile::tempdir().unwrap();
        let options = Options { results: results.path().to_owned(), document: None };
        assert!(matches!(report(&options), Err(Error::NoResults(path)) if path == results.path()));
    }
}
