use serde_json::Value;

use super::description;
use crate::order::NewOrder;

#[test]
fn the_description_is_of_openapi_3_1_and_names_every_route() {
    let description = serde_json::to_value(description()).unwrap();
    assert_eq!(description["openapi"], "3.1.0");
    let paths: Vec<&String> = description["paths"].as_object().unwrap().keys().collect();
    assert_eq!(paths, ["/orders", "/orders/{id}"]);
    let post = &description["paths"]["/orders"]["post"];
    let statuses: Vec<&String> = post["responses"].as_object().unwrap().keys().collect();
    assert_eq!(statuses, ["201", "400", "409", "413", "415", "422", "503"]);
    assert_eq!(post["parameters"][0]["name"], "Idempotency-Key");
    assert_eq!(post["parameters"][0]["required"], true);
}

#[test]
fn the_bounds_that_are_described_are_those_that_hold() {
    let description = serde_json::to_value(description()).unwrap();
    let schemas = &description["components"]["schemas"];
    let bound = |of: &Value, name: &str| of[name].as_i64().unwrap_or_else(|| panic!("{name} of {of}"));
    let (line, order) = (&schemas["Line"]["properties"], &schemas["NewOrder"]["properties"]);
    let (code, quantity, price) = (&line["stock_code"], &line["quantity"], &line["unit_price_milli"]);
    let faults = |lines: i64, code: i64, country: i64, quantity: i64, price: i64| {
        let text = |length: i64| "x".repeat(usize::try_from(length).unwrap());
        let line = crate::Line { stock_code: text(code), quantity, unit_price_milli: price };
        let lines = vec![line; usize::try_from(lines).unwrap()];
        NewOrder { customer: None, country: text(country), lines }.faults().len()
    };
    let most = [
        bound(&order["lines"], "maxItems"),
        bound(code, "maxLength"),
        bound(&order["country"], "maxLength"),
        bound(quantity, "maximum"),
        bound(price, "maximum"),
    ];
    let least = [
        bound(&order["lines"], "minItems"),
        bound(code, "minLength"),
        bound(&order["country"], "minLength"),
        bound(quantity, "minimum"),
        bound(price, "minimum"),
    ];
    for (bounds, step) in [(most, 1), (least, -1)] {
        let count = |[lines, code, country, quantity, price]: [i64; 5]| faults(lines, code, country, quantity, price);
        assert_eq!(count(bounds), 0);
        for place in 0..bounds.len() {
            let mut beyond = bounds;
            beyond[place] += step;
            if beyond.iter().take(3).all(|size| *size >= 0) {
                assert!(count(beyond) > 0, "{place} of {beyond:?}");
            }
        }
    }
    assert_eq!(schemas["NewOrder"]["required"], serde_json::json!(["country", "lines"]));
}
