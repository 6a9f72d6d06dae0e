//! Tables for people: columns as wide as their widest entry, two spaces apart.

use serde::Serialize;
use tidemill_core::code::{Coded, Exit};

use crate::command::{Output, print, print_json};

/// Prints a list: as JSON, or as a table with one row for each.
pub(super) fn list<T: Serialize, const N: usize>(
    lines: &[T],
    output: Output,
    titles: [&str; N],
    row: impl Fn(&T) -> [String; N],
) -> Result<Exit, Coded> {
    match output {
        Output::Json => print_json(&lines)?,
        Output::Table => print(lay_out(titles, &lines.iter().map(row).collect::<Vec<_>>()))?,
    }
    Ok(Exit::Done)
}

/// Lays out rows below their titles, without a line feed at the end.
pub(super) fn lay_out<const N: usize>(titles: [&str; N], rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(|column| width(column).max(titles[column].chars().count()));
    let line = |row: &[&str]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let lines = rows.iter().map(|row| line(&row.each_ref().map(String::as_str)));
    std::iter::once(line(&titles)).chain(lines).collect::<Vec<_>>().join("\n")
}
