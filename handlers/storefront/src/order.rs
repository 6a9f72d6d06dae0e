//! Orders: what a client asks for, and what is kept of it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The most lines of an order.
const MOST_LINES: usize = 1_000;
/// The most characters of a product's code.
const LONGEST_STOCK_CODE: usize = 32;
/// The most characters of a customer's number, and of a country.
const LONGEST_NAME: usize = 64;
/// The most units in one line.
const MOST_UNITS: i64 = 1_000_000;
/// The highest price of one unit in thousandths of a pound: a million pounds. All lines at their most fit into an `i64`.
const HIGHEST_PRICE: i64 = 1_000_000_000;
/// Faults that are told of one order.
const MOST_FAULTS: usize = 20;

/// One line of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// The product.
    #[schema(min_length = 1, max_length = 32, example = "85123A")]
    pub stock_code: String,
    /// Units wanted.
    #[schema(minimum = 1, maximum = 1_000_000, example = 6)]
    pub quantity: i64,
    /// The price of one unit in thousandths of a pound.
    #[schema(minimum = 0, maximum = 1_000_000_000, example = 2_550)]
    pub unit_price_milli: i64,
}

/// What a client asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewOrder {
    /// The customer's number, if it is known.
    #[schema(min_length = 1, max_length = 64, example = "17850")]
    pub customer: Option<String>,
    /// The customer's country.
    #[schema(min_length = 1, max_length = 64, example = "France")]
    pub country: String,
    /// What is wanted.
    #[schema(min_items = 1, max_items = 1_000)]
    pub lines: Vec<Line>,
}

/// An order as it was placed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Order {
    /// The order's id: 32 hexadecimal digits, which derive from its idempotency key.
    #[schema(example = "9d1f2c4b6a8e4f0c8b7a6d5e4f3c2b1a")]
    pub id: String,
    /// When it was placed, in milliseconds since 1970.
    #[schema(example = 1_291_200_000_000_i64)]
    pub at: i64,
    /// The customer's number, if it is known.
    pub customer: Option<String>,
    /// The customer's country.
    #[schema(example = "France")]
    pub country: String,
    /// What is wanted.
    pub lines: Vec<Line>,
    /// The sum of the lines in thousandths of a pound.
    #[schema(example = 15_300)]
    pub total_milli: i64,
    /// What became of it: where it is shown, and orders are kept in a database.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
}

/// What became of an order, as of a moment ago: the checkout's events are followed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// `placed`, until the checkout has ended; then `confirmed`, `declined`, `out_of_stock` or `compensated`.
    #[schema(example = "confirmed")]
    pub status: String,
    /// Why it was not confirmed.
    #[schema(example = "out of stock")]
    pub reason: Option<String>,
}

/// Something about a request that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Fault {
    /// Where it is, as a JSON pointer in a fragment (RFC 6901).
    #[schema(example = "#/lines/0/quantity")]
    pub pointer: String,
    /// What is wrong there.
    #[schema(example = "has to be between 1 and 1000000")]
    pub detail: String,
}

impl NewOrder {
    /// Everything that is wrong with it, up to a bound; nothing, if it can be placed.
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut expect = |is_so: bool, pointer: &dyn Fn() -> String, detail: &dyn Fn() -> String| {
            if !is_so && faults.len() < MOST_FAULTS {
                faults.push(Fault { pointer: pointer(), detail: detail() });
            }
        };
        let text = |longest| move || format!("has to have 1 to {longest} characters, none of them a control character");
        let number = |least, most| move || format!("has to be between {least} and {most}");
        if let Some(customer) = &self.customer {
            expect(is_text(customer, LONGEST_NAME), &|| "#/customer".to_owned(), &text(LONGEST_NAME));
        }
        expect(is_text(&self.country, LONGEST_NAME), &|| "#/country".to_owned(), &text(LONGEST_NAME));
        let lines = || format!("has to have 1 to {MOST_LINES} lines");
        expect((1..=MOST_LINES).contains(&self.lines.len()), &|| "#/lines".to_owned(), &lines);
        for (place, line) in self.lines.iter().enumerate().take(MOST_LINES) {
            let Line { stock_code, quantity, unit_price_milli } = line;
            let at = |field: &'static str| move || format!("#/lines/{place}/{field}");
            expect(is_text(stock_code, LONGEST_STOCK_CODE), &at("stock_code"), &text(LONGEST_STOCK_CODE));
            expect((1..=MOST_UNITS).contains(quantity), &at("quantity"), &number(1, MOST_UNITS));
            expect((0..=HIGHEST_PRICE).contains(unit_price_milli), &at("unit_price_milli"), &number(0, HIGHEST_PRICE));
        }
        faults
    }

    /// What is kept of it. It has no faults.
    pub fn placed(self, id: String, at: i64) -> Order {
        let total_milli = self.lines.iter().map(|line| line.quantity * line.unit_price_milli).sum();
        let Self { customer, country, lines } = self;
        Order { id, at, customer, country, lines, total_milli, status: None }
    }
}

impl Order {
    /// Whether the same was asked for.
    pub fn is_same_request(&self, other: &Self) -> bool {
        self.customer == other.customer && self.country == other.country && self.lines == other.lines
    }
}

fn is_text(text: &str, longest: usize) -> bool {
    (1..=longest).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests;
