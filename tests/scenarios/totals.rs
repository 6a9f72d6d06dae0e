//! The totals of a CSV, computed by a few lines that share nothing with the shop.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;

use serde_json::{Value, json};

/// The text of a CSV, gzipped or not.
pub(crate) fn text_of(path: &Path) -> String {
    let bytes = std::fs::read(path).expect("the data can be read");
    let mut text = String::new();
    flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut text).expect("the data is gzipped text");
    text
}

/// The report that the shop owes for a CSV whose lines are all good.
pub(crate) fn totals(csv_text: &str) -> Value {
    let (mut lines, mut revenue) = (0_i64, 0_i64);
    let mut invoices: BTreeMap<String, String> = BTreeMap::new();
    let mut products = BTreeSet::new();
    let mut countries: BTreeMap<String, (i64, BTreeSet<String>, i64)> = BTreeMap::new();
    let mut months: BTreeMap<String, i64> = BTreeMap::new();
    for row in csv::Reader::from_reader(csv_text.as_bytes()).records() {
        let row = row.expect("a good line");
        let (invoice, product, date, country) = (&row[0], &row[1], &row[4], &row[7]);
        let amount = row[3].parse::<i64>().expect("a quantity") * milli(&row[5]);
        lines += 1;
        revenue += amount;
        invoices.insert(invoice.to_owned(), country.to_owned());
        products.insert(product.to_owned());
        let entry = countries.entry(country.to_owned()).or_default();
        entry.0 += 1;
        entry.1.insert(invoice.to_owned());
        entry.2 += amount;
        *months.entry(date[..7].to_owned()).or_default() += amount;
    }
    let kind = |letter: char| invoices.keys().filter(|invoice| invoice.starts_with(letter)).count();
    let (cancellations, adjustments) = (kind('C'), kind('A'));
    let countries: BTreeMap<String, Value> = countries
        .into_iter()
        .map(|(name, (lines, invoices, revenue))| {
            (name, json!({ "lines": lines, "invoices": invoices.len(), "revenue_milli": revenue }))
        })
        .collect();
    json!({
        "lines": lines,
        "invoices": invoices.len(),
        "orders": invoices.len() - cancellations - adjustments,
        "cancellations": cancellations,
        "adjustments": adjustments,
        "products": products.len(),
        "revenue_milli": revenue,
        "countries": countries,
        "months": months,
        "rejected_lines": 0,
        "copies_suppressed": 0,
    })
}

/// A price with up to three decimals, in thousandths.
fn milli(price: &str) -> i64 {
    let (sign, digits) = price.strip_prefix('-').map_or((1, price), |digits| (-1, digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let fraction = format!("{fraction:0<3}");
    sign * (whole.parse::<i64>().expect("pounds") * 1000 + fraction.parse::<i64>().expect("thousandths"))
}
