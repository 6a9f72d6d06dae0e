//! Tables for people: columns as wide as their widest entry, two spaces apart.

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
