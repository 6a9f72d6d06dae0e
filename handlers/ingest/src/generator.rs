//! Order lines made up from a seed, in the form of a CSV, with the untidiness of real ones.
//!
//! Everything is integers and one generator of our own, so that a seed means the same lines on every machine.

use std::fmt::Write as _;
use std::io::{self, Read};

use crate::calendar;

/// 2010-12-01 08:00 in milliseconds since 1970, and how long the made-up year goes on.
const BEGIN_MS: i64 = 1_291_190_400_000;
const SPAN_MINUTES: u64 = 373 * 24 * 60;
const MINUTE_MS: i64 = 60_000;
/// The first invoice's number.
const FIRST_INVOICE: u64 = 536_365;
/// How many products there are.
const PRODUCTS: u64 = 3_600;

const HEADER: &str = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n";
/// The country of most customers.
const HOME: &str = "United Kingdom";
const ABROAD: [&str; 16] = [
    "Australia",
    "Belgium",
    "Channel Islands",
    "Cyprus",
    "EIRE",
    "Finland",
    "France",
    "Germany",
    "Italy",
    "Japan",
    "Netherlands",
    "Norway",
    "Portugal",
    "Spain",
    "Switzerland",
    "Unspecified",
];
const LOOKS: [&str; 12] =
    ["BLUE", "CREAM", "FOLDING", "GLASS", "GREEN", "LARGE", "PAINTED", "ROUND", "RUSTIC", "SMALL", "STRIPED", "WOODEN"];
const THINGS: [&str; 14] = [
    "BASKET",
    "BOWL",
    "CANDLE",
    "CLOCK",
    "CUSHION",
    "FRAME 7\"",
    "GARLAND",
    "JUG",
    "LANTERN",
    "MUG",
    "NAPKINS, PACK OF 20",
    "TEAPOT",
    "TRAY",
    "VASE ",
];

/// Chances, as one in so many.
const CANCELLED: u64 = 7;
const ADJUSTED: u64 = 4_000;
const ABROAD_IN: u64 = 10;
const ANONYMOUS: u64 = 4;
const INTERRUPTED: u64 = 300;
const TWO_TIMES: u64 = 500;
const REPEATED: u64 = 100;
const GIVEN_AWAY: u64 = 200;
const FINE_PRICE: u64 = 1_000;

/// A source of CSV text.
pub(crate) struct Generator {
    random: SplitMix,
    /// Lines made so far, and to be made in all.
    made: u64,
    lines: u64,
    invoices: u64,
    current: Invoice,
    /// An invoice that goes on when the present one is over.
    interrupted: Option<Invoice>,
    /// What was made and not read yet.
    text: String,
}

/// An invoice that still has lines to come.
#[derive(Debug, Default)]
struct Invoice {
    number: String,
    at: i64,
    customer: Option<u64>,
    country: &'static str,
    is_cancelled: bool,
    is_adjustment: bool,
    left: u64,
}

impl Generator {
    pub(crate) fn new(lines: u64, seed: u64) -> Self {
        Self {
            random: SplitMix(seed),
            made: 0,
            lines,
            invoices: 0,
            current: Invoice::default(),
            interrupted: None,
            text: HEADER.to_owned(),
        }
    }

    /// Writes the next line, or twice the same.
    fn write_line(&mut self) {
        if self.current.left == 0 {
            self.current = match self.interrupted.take() {
                Some(interrupted) => interrupted,
                None => self.next_invoice(),
            };
        } else if self.interrupted.is_none() && self.random.one_in(INTERRUPTED) {
            let next = self.next_invoice();
            self.interrupted = Some(std::mem::replace(&mut self.current, next));
        }
        if self.random.one_in(TWO_TIMES) {
            self.current.at += MINUTE_MS;
        }
        self.current.left -= 1;
        self.made += 1;
        let begin = self.text.len();
        if self.current.is_adjustment {
            self.write_adjustment();
        } else {
            self.write_item();
        }
        if self.made < self.lines && self.random.one_in(REPEATED) {
            self.text.extend_from_within(begin..);
            self.made += 1;
        }
    }

    fn next_invoice(&mut self) -> Invoice {
        let random = &mut self.random;
        let (is_cancelled, is_adjustment) = (random.one_in(CANCELLED), random.one_in(ADJUSTED));
        let letter = if is_adjustment {
            "A"
        } else if is_cancelled {
            "C"
        } else {
            ""
        };
        let number = format!("{letter}{}", FIRST_INVOICE + self.invoices);
        self.invoices += 1;
        let minutes = u128::from(SPAN_MINUTES) * u128::from(self.made) / u128::from(self.lines);
        let minutes = i64::try_from(minutes).expect("no more than the span");
        // Most invoices are short, some are long: the product of two chances.
        let most = 1 + random.below(70);
        Invoice {
            number,
            at: BEGIN_MS + minutes * MINUTE_MS,
            customer: (!random.one_in(ANONYMOUS)).then(|| 12_346 + random.below(4_400)),
            country: if random.one_in(ABROAD_IN) { random.pick(&ABROAD) } else { HOME },
            is_cancelled,
            is_adjustment,
            left: if is_adjustment { 1 } else { 1 + random.below(most) },
        }
    }

    fn write_item(&mut self) {
        let product = self.random.below(PRODUCTS);
        // What belongs to a product comes from a generator of its own, so that it is the same on every line.
        let mut of_product = SplitMix(product);
        let (look, thing) = (of_product.pick(&LOOKS), of_product.pick(&THINGS));
        let variant = if of_product.one_in(5) { "B" } else { "" };
        let mut milli = 120 + 10 * of_product.below(1_500);
        let mut units = i64::try_from(1 + self.random.below(24)).expect("a small number");
        let is_gift = self.random.one_in(GIVEN_AWAY);
        if is_gift {
            milli = 0;
        } else if self.random.one_in(FINE_PRICE) {
            milli += 1;
        }
        if self.current.is_cancelled || is_gift {
            units = -units;
        }
        let description = if is_gift { String::new() } else { quoted(&format!("{look} {thing}")) };
        let invoice = &self.current.number;
        write!(self.text, "{invoice},{}{variant},{description},{units},", 20_000 + product).expect("text");
        self.write_end(i64::try_from(milli).expect("a price"));
    }

    fn write_adjustment(&mut self) {
        let milli = i64::try_from(self.random.below(20_000_000)).expect("an amount");
        write!(self.text, "{},B,Bad debt,1,", self.current.number).expect("text");
        self.write_end(-milli);
    }

    /// Time, price, customer and country.
    fn write_end(&mut self, milli: i64) {
        calendar::write(&mut self.text, self.current.at);
        let (sign, pounds, rest) = (if milli < 0 { "-" } else { "" }, milli.abs() / 1_000, milli.abs() % 1_000);
        let decimals = if rest % 10 == 0 { format!("{:02}", rest / 10) } else { format!("{rest:03}") };
        let customer = self.current.customer.map(|number| format!("{number}.0")).unwrap_or_default();
        let country = self.current.country;
        writeln!(self.text, ",{sign}{pounds}.{decimals},{customer},{country}").expect("text");
    }
}

impl Read for Generator {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.text.len() < into.len() && self.made < self.lines {
            self.write_line();
        }
        let count = self.text.len().min(into.len());
        into[..count].copy_from_slice(&self.text.as_bytes()[..count]);
        // A piece seldom ends where a line does: what was read has to go each time, or the text would grow with the input.
        self.text.drain(..count);
        Ok(count)
    }
}

/// A field in quotes, where it needs them.
fn quoted(text: &str) -> String {
    if text.contains([',', '"']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

/// The generator of Steele, Lea and Flood: small, good enough, and the same everywhere.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number under `bound`; the bounds here are small, so the bias is too.
    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn one_in(&mut self, many: u64) -> bool {
        self.below(many) == 0
    }

    fn pick(&mut self, from: &[&'static str]) -> &'static str {
        let place = self.below(from.len() as u64);
        from[usize::try_from(place).expect("under a length")]
    }
}

#[cfg(test)]
mod tests;
