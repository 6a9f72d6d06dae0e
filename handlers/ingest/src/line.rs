//! From the fields of a row to an order line, by the names in the header.

use crate::calendar;
use crate::number;
use crate::row::Row;

/// The columns that are needed, by their names in the header.
const COLUMNS: [&str; 8] =
    ["InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country"];

/// No line moves more units, no unit costs more thousandths of a pound, and no line comes to more of them. The bounds are far
/// beyond anything real, and low enough that no sum over millions of lines overflows.
const MOST_UNITS: i64 = 1_000_000_000;
const HIGHEST_MILLI: i64 = 1_000_000_000_000;

/// How much of a bad value a reason shows, in characters.
const SHOWN: usize = 40;

/// Where the needed columns stand.
#[derive(Debug)]
pub(crate) struct Columns {
    places: [usize; COLUMNS.len()],
    /// How many columns the header has; every line has to have as many.
    count: usize,
}

/// One order line, as text of its row where it is text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    pub(crate) invoice: &'a str,
    pub(crate) stock_code: &'a str,
    pub(crate) description: Option<&'a str>,
    pub(crate) quantity: i64,
    pub(crate) at: i64,
    pub(crate) unit_price_milli: i64,
    pub(crate) customer: Option<&'a str>,
    pub(crate) country: &'a str,
}

impl Columns {
    /// Finds the columns in a header, in any order and beside others; the names of those that are missing otherwise.
    pub(crate) fn find(header: &Row) -> Result<Self, String> {
        let mut places = [0; COLUMNS.len()];
        let mut missing = Vec::new();
        for (place, name) in places.iter_mut().zip(COLUMNS) {
            match header.iter().position(|found| found.trim() == name) {
                Some(found) => *place = found,
                None => missing.push(name),
            }
        }
        if missing.is_empty() { Ok(Self { places, count: header.len() }) } else { Err(missing.join(", ")) }
    }

    /// Reads a row; the reason when it is no order line.
    pub(crate) fn read<'a>(&self, row: &'a Row) -> Result<Line<'a>, String> {
        if row.len() != self.count {
            return Err(format!("{} columns instead of {}", row.len(), self.count));
        }
        let [invoice, stock_code, description, quantity, date, price, customer, country] =
            self.places.map(|place| row.field(place));
        for (value, name) in [(invoice, "InvoiceNo"), (stock_code, "StockCode"), (country, "Country")] {
            if value.is_empty() {
                return Err(format!("{name} is blank"));
            }
        }
        let quantity = number::integer(quantity).ok_or_else(|| bad("Quantity", quantity, "a whole number"))?;
        let at =
            calendar::millis(date).ok_or_else(|| bad("InvoiceDate", date, "a time such as 2010-12-01 08:26:00"))?;
        let unit_price_milli =
            number::milli(price).ok_or_else(|| bad("UnitPrice", price, "a price with up to three decimals"))?;
        check_bounds(quantity, unit_price_milli)?;
        // Numbers of customers went through a spreadsheet, which made 17850.0 of 17850.
        let customer = customer.strip_suffix(".0").unwrap_or(customer);
        Ok(Line {
            invoice,
            stock_code,
            description: known(description),
            quantity,
            at,
            unit_price_milli,
            customer: known(customer),
            country,
        })
    }
}

fn known(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn check_bounds(quantity: i64, unit_price_milli: i64) -> Result<(), String> {
    let amount = quantity.checked_mul(unit_price_milli);
    let fits = |value: i64, bound: i64| value.unsigned_abs() <= bound.unsigned_abs();
    if fits(quantity, MOST_UNITS)
        && fits(unit_price_milli, HIGHEST_MILLI)
        && amount.is_some_and(|amount| fits(amount, HIGHEST_MILLI))
    {
        return Ok(());
    }
    Err(format!("{quantity} units at {unit_price_milli} thousandths of a pound are beyond what a line may come to"))
}

fn bad(name: &str, value: &str, wanted: &str) -> String {
    if value.is_empty() {
        return format!("{name} is blank");
    }
    let shown: String = value.chars().take(SHOWN).collect();
    format!("{name} {shown:?} is not {wanted}")
}

#[cfg(test)]
mod tests;
