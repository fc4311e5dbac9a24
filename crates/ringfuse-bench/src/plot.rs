//! Results as pictures.

use std::{error::Error as StandardError, path::Path};

use plotters::{coord::Shift, prelude::*};

use crate::{document::Comparison, error::Error, statistics::Spread, summary, table::short, work::Work};

/// Pixels of a panel.
const PANEL: (u32, u32) = (560, 320);
/// Pixels of a name in the legend, which stands above the panels.
const NAME: (u32, u32) = (160, 18);
/// The operations that are shown, each in a panel.
const OPERATIONS: [&str; 4] = ["stat", "read-4k", "read-1m", "create"];
/// The colours of servers, in their order: Okabe and Ito's, which everybody can tell apart, and lighter ones of them.
const COLOURS: [RGBColor; 12] = [
    RGBColor(0, 0, 0),
    RGBColor(130, 130, 130),
    RGBColor(213, 94, 0),
    RGBColor(240, 170, 110),
    RGBColor(230, 159, 0),
    RGBColor(204, 121, 167),
    RGBColor(120, 60, 110),
    RGBColor(240, 228, 66),
    RGBColor(0, 114, 178),
    RGBColor(86, 180, 233),
    RGBColor(0, 158, 115),
    RGBColor(150, 210, 170),
];

/// Groups of bars, one for each series, with the spread of each as a whisker.
struct Bars<'a> {
    title: &'a str,
    unit: &'a str,
    groups: Vec<String>,
    series: Vec<&'a str>,
    /// By group, by series.
    values: Vec<Vec<Option<Spread>>>,
}

/// Draws how many operations a second each server answers, of free clients.
///
/// # Errors
///
/// [`Error::Plot`] if the file cannot be written.
pub fn throughput(comparison: &Comparison, file: &Path) -> Result<(), Error> {
    let rows = summary::rows(comparison);
    let panels = OPERATIONS.into_iter().filter_map(|operation| {
        let rows: Vec<_> = rows
            .iter()
            .filter(|row| row.point.operation.name == operation && row.point.pinned.is_free())
            .collect();
        let rate = |cell: &summary::Cell| Some(cell.figures.as_ref()?.operations_per_second);
        (!rows.is_empty()).then(|| Bars {
            title: operation,
            unit: "per second",
            groups: rows.iter().map(|row| clients(row.point.clients.get())).collect(),
            series: comparison.servers.iter().map(|server| server.name.as_str()).collect(),
            values: rows.iter().map(|row| row.servers.iter().map(rate).collect()).collect(),
        })
    });
    draw(&panels.collect::<Vec<_>>(), file)
}

/// Draws the latencies of one free client: half of the operations, and 99 % of them.
///
/// # Errors
///
/// [`Error::Plot`] if the file cannot be written.
pub fn latency(comparison: &Comparison, file: &Path) -> Result<(), Error> {
    let rows = summary::rows(comparison);
    let panels = OPERATIONS.into_iter().filter_map(|operation| {
        let row = rows.iter().find(|row| {
            row.point.operation.name == operation
                && row.point.clients.get() == 1
                && row.point.pinned.is_free()
        })?;
        let latencies = |percentile: fn(&summary::Latencies) -> Spread| {
            let of = |cell: &summary::Cell| Some(percentile(&cell.figures.as_ref()?.latency_microseconds));
            row.servers.iter().map(of).collect()
        };
        Some(Bars {
            title: operation,
            unit: "µs, 1 client",
            groups: ["p50", "p90", "p99"].map(str::to_owned).to_vec(),
            series: comparison.servers.iter().map(|server| server.name.as_str()).collect(),
            values: vec![latencies(|all| all.p50), latencies(|all| all.p90), latencies(|all| all.p99)],
        })
    });
    draw(&panels.collect::<Vec<_>>(), file)
}

/// Draws how much longer tasks take than on the plain directory.
///
/// # Errors
///
/// [`Error::Plot`] if the file cannot be written.
pub fn work(work: &Work, file: &Path) -> Result<(), Error> {
    let servers: Vec<_> = work.servers.iter().map(|server| server.name.as_str()).collect();
    let panels: Vec<_> = work
        .tasks
        .chunks(5)
        .map(|tasks| Bars {
            title: "real work",
            unit: "times the time on the plain directory",
            groups: tasks.iter().map(|task| task.name().to_owned()).collect(),
            series: servers.clone(),
            values: tasks
                .iter()
                .map(|task| servers.iter().map(|server| work.ratio(server, *task)).collect())
                .collect(),
        })
        .collect();
    draw(&panels, file)
}

fn clients(number: usize) -> String {
    if number == 1 { "1 client".to_owned() } else { format!("{number} clients") }
}

fn draw(panels: &[Bars<'_>], file: &Path) -> Result<(), Error> {
    let Some(Bars { series, .. }) = panels.first() else { return Ok(()) };
    let (rows, columns) = (panels.len().div_ceil(2), panels.len().min(2));
    let pixels = |number: usize, of: u32| of * u32::try_from(number).unwrap_or(1);
    let width = pixels(columns, PANEL.0);
    let names_a_line = usize::try_from(width / NAME.0).unwrap_or(1).max(1);
    let legend_height = pixels(series.len().div_ceil(names_a_line), NAME.1) + 8;
    let root = SVGBackend::new(file, (width, pixels(rows, PANEL.1) + legend_height)).into_drawing_area();
    let draw = || -> Result<(), Box<dyn StandardError>> {
        root.fill(&WHITE).map_err(text)?;
        let (top, below) = root.split_vertically(legend_height);
        legend(series, names_a_line, &top)?;
        for (bars, area) in panels.iter().zip(below.split_evenly((rows, columns))) {
            panel(bars, &area)?;
        }
        root.present().map_err(text)
    };
    draw().map_err(|source| Error::Plot { path: file.to_owned(), reason: source.to_string() })
}

fn legend(
    series: &[&str],
    names_a_line: usize,
    area: &DrawingArea<SVGBackend<'_>, Shift>,
) -> Result<(), Box<dyn StandardError>> {
    let (width, height) = (i32::try_from(NAME.0)?, i32::try_from(NAME.1)?);
    for (number, name) in series.iter().enumerate() {
        let x = 10 + width * i32::try_from(number % names_a_line)?;
        let y = 6 + height * i32::try_from(number / names_a_line)?;
        area.draw(&Rectangle::new([(x, y), (x + 10, y + 10)], colour(number).filled())).map_err(text)?;
        area.draw(&Text::new((*name).to_owned(), (x + 15, y), ("sans-serif", 12))).map_err(text)?;
    }
    Ok(())
}

fn colour(number: usize) -> RGBColor {
    COLOURS[number % COLOURS.len()]
}

fn panel(bars: &Bars<'_>, area: &DrawingArea<SVGBackend<'_>, Shift>) -> Result<(), Box<dyn StandardError>> {
    let highest = bars.values.iter().flatten().flatten().map(|spread| spread.max).fold(0.0, f64::max);
    let groups = i32::try_from(bars.groups.len())?;
    let mut chart = ChartBuilder::on(area)
        .caption(format!("{}, {}", bars.title, bars.unit), ("sans-serif", 15))
        .margin(8)
        .x_label_area_size(24)
        .y_label_area_size(48)
        .build_cartesian_2d((0..groups - 1).into_segmented(), 0.0..highest * 1.05)
        .map_err(text)?;
    let label = |at: &SegmentValue<i32>| match at {
        SegmentValue::CenterOf(group) => {
            usize::try_from(*group).ok().and_then(|group| bars.groups.get(group)).cloned().unwrap_or_default()
        }
        _ => String::new(),
    };
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(bars.groups.len())
        .x_label_formatter(&label)
        .y_label_formatter(&|value| short(*value))
        .draw()
        .map_err(text)?;

    // The chart's places are those of the whole picture.
    let (left, top) = area.get_base_pixel();
    let plotting = chart.plotting_area();
    let across = |group: i32| plotting.map_coordinate(&(SegmentValue::Exact(group), 0.0)).0 - left;
    let down = |value: f64| plotting.map_coordinate(&(SegmentValue::Exact(0), value)).1 - top;
    for (group, values) in bars.values.iter().enumerate() {
        let group = i32::try_from(group)?;
        for (number, value) in values.iter().enumerate() {
            let Some(spread) = value else { continue };
            let (left, right) = edges((across(group), across(group + 1)), number, values.len())?;
            let bar = [(left, down(spread.median)), (right, down(0.0))];
            area.draw(&Rectangle::new(bar, colour(number).filled())).map_err(text)?;
            let middle = i32::midpoint(left, right);
            let whisker = [(middle, down(spread.min)), (middle, down(spread.max))];
            area.draw(&PathElement::new(whisker, RGBColor(90, 90, 90))).map_err(text)?;
        }
    }
    Ok(())
}

/// The left and the right edge of a bar in its group, of which a twelfth stays free on each side.
fn edges((left, right): (i32, i32), number: usize, of: usize) -> Result<(i32, i32), Box<dyn StandardError>> {
    let free = (right - left) / 12;
    let (start, width) = (left + free, right - left - 2 * free);
    let (number, of) = (i32::try_from(number)?, i32::try_from(of)?);
    Ok((start + width * number / of, start + width * (number + 1) / of - 1))
}

/// An error of a drawing that borrows from it, as one that does not.
fn text(error: impl StandardError) -> Box<dyn StandardError> {
    error.to_string().into()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::summary::samples::{comparison, session};

    #[test]
    fn a_picture_has_a_bar_for_each_server_and_names_them() {
        let rounds = || vec![vec![session("null", Some(100.0)), session("fuser", Some(50.0))]];
        let directory = tempfile::tempdir().unwrap();
        for (name, draw) in [("throughput", throughput as fn(&_, &_) -> _), ("latency", latency)] {
            let file = directory.path().join(name);
            draw(&comparison(&["null", "fuser"], vec![]), &file).unwrap();
            draw(&comparison(&["null", "fuser"], rounds()), &file).unwrap();
            let text = fs::read_to_string(&file).unwrap();
            assert!(text.starts_with("<svg") && text.contains("fuser") && text.contains("stat"), "{text}");
        }
    }
}
