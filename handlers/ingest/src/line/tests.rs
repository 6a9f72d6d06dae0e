use super::{Columns, Line};
use crate::row::Row;

const HEADER: &str = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country";

fn row(text: &str) -> Row {
    let mut row = Row::default();
    row.read(text).expect("a row");
    row
}

fn reason(text: &str) -> String {
    let columns = Columns::find(&row(HEADER)).expect("all columns");
    columns.read(&row(text)).expect_err("a bad line")
}

#[test]
fn columns_are_found_in_any_order() {
    let columns =
        Columns::find(&row("Country,x,UnitPrice, Quantity ,InvoiceDate,Description,StockCode,InvoiceNo,CustomerID"));
    let row = row("EIRE,?,2.1,-3,2010-12-01 08:26:00,,85123A,C536379,17850.0");
    let line = columns.expect("all columns").read(&row).expect("a good line");
    let expected = Line {
        invoice: "C536379",
        stock_code: "85123A",
        description: None,
        quantity: -3,
        at: 1_291_191_960_000,
        unit_price_milli: 2_100,
        customer: Some("17850"),
        country: "EIRE",
    };
    assert_eq!(line, expected);
}

#[test]
fn missing_columns_are_named() {
    let missing = Columns::find(&row("InvoiceNo,StockCode,Description,quantity,InvoiceDate,UnitPrice,Country"));
    assert_eq!(missing.expect_err("two are missing"), "Quantity, CustomerID");
}

#[test]
fn reasons_name_the_column_and_the_value() {
    for (text, said) in [
        ("1,A", "2 columns instead of 8"),
        ("1,A,x,2,2010-12-01 08:26:00,2.55,,France,", "9 columns instead of 8"),
        (",A,x,2,2010-12-01 08:26:00,2.55,,France", "InvoiceNo is blank"),
        ("1,,x,2,2010-12-01 08:26:00,2.55,,France", "StockCode is blank"),
        ("1,A,x,2,2010-12-01 08:26:00,2.55,,", "Country is blank"),
        ("1,A,x,,2010-12-01 08:26:00,2.55,,France", "Quantity is blank"),
        ("1,A,x,many,2010-12-01 08:26:00,2.55,,France", "Quantity \"many\" is not a whole number"),
        ("1,A,x,2,yesterday,2.55,,France", "InvoiceDate \"yesterday\" is not a time"),
        ("1,A,x,2,2010-12-01 08:26:00,2.5555,,France", "UnitPrice \"2.5555\" is not a price"),
        ("1,A,x,2000000,2010-12-01 08:26:00,1000000,,France", "beyond what a line may come to"),
        ("1,A,x,9000000000,2010-12-01 08:26:00,0,,France", "beyond what a line may come to"),
    ] {
        assert!(reason(text).starts_with(said) || reason(text).ends_with(said), "{text}: {}", reason(text));
    }
}
