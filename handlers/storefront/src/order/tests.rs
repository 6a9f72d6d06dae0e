use super::{HIGHEST_PRICE, Line, MOST_FAULTS, MOST_LINES, MOST_UNITS, NewOrder};

fn line(quantity: i64, unit_price_milli: i64) -> Line {
    Line { stock_code: "85123A".to_owned(), quantity, unit_price_milli }
}

fn order(lines: Vec<Line>) -> NewOrder {
    NewOrder { customer: Some("17850".to_owned()), country: "France".to_owned(), lines }
}

fn pointers(order: &NewOrder) -> Vec<String> {
    order.faults().into_iter().map(|fault| fault.pointer).collect()
}

#[test]
fn what_can_be_placed_has_no_faults() {
    let most = order(vec![line(MOST_UNITS, HIGHEST_PRICE); MOST_LINES]);
    for order in [order(vec![line(1, 0)]), NewOrder { customer: None, ..order(vec![line(6, 2_550)]) }, most] {
        assert_eq!(order.faults(), []);
    }
}

#[test]
fn the_sum_of_the_largest_order_fits() {
    let placed = order(vec![line(MOST_UNITS, HIGHEST_PRICE); MOST_LINES]).placed("id".to_owned(), 7);
    assert_eq!(placed.total_milli, 1_000_000_000_000_000_000);
    assert_eq!((placed.id.as_str(), placed.at), ("id", 7));
}

#[test]
fn every_fault_is_told_with_its_place() {
    let bad = NewOrder {
        customer: Some(String::new()),
        country: "F\n".to_owned(),
        lines: vec![
            line(0, 1),
            line(-1, -1),
            Line { stock_code: "x".repeat(33), ..line(1, 1) },
            line(MOST_UNITS + 1, HIGHEST_PRICE + 1),
        ],
    };
    let expected = [
        "#/customer",
        "#/country",
        "#/lines/0/quantity",
        "#/lines/1/quantity",
        "#/lines/1/unit_price_milli",
        "#/lines/2/stock_code",
        "#/lines/3/quantity",
        "#/lines/3/unit_price_milli",
    ];
    assert_eq!(pointers(&bad), expected);
    assert_eq!(pointers(&order(Vec::new())), ["#/lines"]);
    assert_eq!(pointers(&order(vec![line(1, 1); MOST_LINES + 1])), ["#/lines"]);
    assert_eq!(pointers(&order(vec![line(0, 0); MOST_LINES])).len(), MOST_FAULTS);
}

#[test]
fn a_field_that_nobody_knows_is_refused_and_not_dropped() {
    let text = r#"{"custmer": "1", "country": "France", "lines": []}"#;
    let refused = serde_json::from_str::<NewOrder>(text).unwrap_err().to_string();
    assert!(refused.contains("unknown field `custmer`"), "{refused}");
}
