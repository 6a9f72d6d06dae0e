use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};
use tidemill::Local;
use tidemill_testkit::fakes::VirtualClock;
use tokio::runtime::Runtime;
use tower::ServiceExt;

use super::{LARGEST_BODY, router};
use crate::store::Store;
use crate::store::tests::{database, event_loop, host};

const KEY: (&str, &str) = ("idempotency-key", "\"one\"");
const JSON: (&str, &str) = ("content-type", "application/json; charset=utf-8");

struct Answer {
    status: StatusCode,
    headers: axum::http::HeaderMap,
    body: Value,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// A storefront, and what its requests run on.
struct Front {
    router: Router,
    event_loop: Runtime,
}

/// A storefront over rows in memory.
fn storefront() -> Front {
    let rows = Local::memory(VirtualClock::new()).unwrap();
    let event_loop = event_loop();
    let store = event_loop.block_on(Store::in_rows(rows, None, VirtualClock::new())).unwrap();
    Front { router: router(store), event_loop }
}

fn ask(front: &Front, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
    let request = Request::builder().method(method).uri(path);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    front.event_loop.block_on(async {
        let answer = front.router.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap();
        let (parts, body) = answer.into_parts();
        let body = serde_json::from_slice(&to_bytes(body, usize::MAX).await.unwrap()).unwrap_or_default();
        Answer { status: parts.status, headers: parts.headers, body }
    })
}

fn post(front: &Front, headers: &[(&str, &str)], body: &Value) -> Answer {
    ask(front, "POST", "/orders", headers, body.to_string())
}

fn order() -> Value {
    json!({"customer": "17850", "country": "France", "lines": [
        {"stock_code": "85123A", "quantity": 6, "unit_price_milli": 2550},
        {"stock_code": "71053", "quantity": 1, "unit_price_milli": 0},
    ]})
}

/// A problem as it has to look, of this status and kind.
fn refused(answer: &Answer, status: u16, kind: &str) {
    assert_eq!(answer.status.as_u16(), status, "{}", answer.body);
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert_eq!((&answer.body["status"], &answer.body["type"]), (&json!(status), &json!(kind)));
    for text in ["title", "detail"] {
        assert!(!answer.body[text].as_str().unwrap().is_empty(), "{text}: {}", answer.body);
    }
}

#[test]
fn an_order_is_placed_and_found() {
    let storefront = storefront();
    let placed = post(&storefront, &[KEY, JSON], &order());
    assert_eq!(placed.status, StatusCode::CREATED);
    let id = placed.body["id"].as_str().unwrap();
    assert_eq!(placed.header("location"), format!("/orders/{id}"));
    assert_eq!(placed.header("content-type"), "application/json");
    assert_eq!(placed.body["total_milli"], 15_300);
    for field in ["customer", "country", "lines"] {
        assert_eq!(placed.body[field], order()[field]);
    }
    let found = ask(&storefront, "GET", placed.header("location"), &[], "");
    assert_eq!((found.status, &found.body), (StatusCode::OK, &placed.body));
}

#[test]
fn the_same_again_is_answered_as_the_first_time() {
    let storefront = storefront();
    let first = post(&storefront, &[KEY, JSON], &order());
    // In another form, and with the key as most clients send it.
    let spaced = serde_json::to_string_pretty(&order()).unwrap();
    let again = ask(&storefront, "POST", "/orders", &[("Idempotency-Key", "one"), JSON], spaced);
    assert_eq!((again.status, &again.headers, &again.body), (first.status, &first.headers, &first.body));
    let mut other = order();
    other["lines"][0]["quantity"] = json!(7);
    refused(&post(&storefront, &[KEY, JSON], &other), 422, "/problems/key-of-another-order");
    let other_key = post(&storefront, &[("idempotency-key", "two"), JSON], &order());
    assert_eq!(other_key.status, StatusCode::CREATED);
    assert_ne!(other_key.body["id"], first.body["id"]);
}

#[test]
fn a_request_that_cannot_be_is_refused_and_leaves_its_key_free() {
    let storefront = storefront();
    refused(&post(&storefront, &[JSON], &order()), 400, "/problems/no-key");
    refused(&post(&storefront, &[KEY, KEY, JSON], &order()), 400, "/problems/unfit-key");
    let long = "k".repeat(256);
    refused(&post(&storefront, &[("idempotency-key", &long), JSON], &order()), 400, "/problems/unfit-key");
    refused(&post(&storefront, &[KEY], &order()), 415, "about:blank");
    refused(&post(&storefront, &[KEY, ("content-type", "text/plain")], &order()), 415, "about:blank");
    refused(&ask(&storefront, "POST", "/orders", &[KEY, JSON], "{"), 400, "/problems/no-order");
    refused(&post(&storefront, &[KEY, JSON], &json!({"country": "France"})), 400, "/problems/no-order");
    let large = " ".repeat(LARGEST_BODY + 1);
    refused(&ask(&storefront, "POST", "/orders", &[KEY, JSON], large), 413, "about:blank");
    let mut faulty = order();
    faulty["lines"][1]["quantity"] = json!(0);
    let answer = post(&storefront, &[KEY, JSON], &faulty);
    refused(&answer, 400, "/problems/faulty-order");
    assert_eq!(answer.body["errors"][0]["pointer"], "#/lines/1/quantity");
    assert_eq!(post(&storefront, &[KEY, JSON], &order()).status, StatusCode::CREATED);
}

#[test]
fn what_is_not_there_is_a_problem_too() {
    let storefront = storefront();
    refused(&ask(&storefront, "GET", "/orders/17", &[], ""), 404, "about:blank");
    refused(&ask(&storefront, "GET", &format!("/orders/{}", "0".repeat(32)), &[], ""), 404, "about:blank");
    refused(&ask(&storefront, "GET", "/", &[], ""), 404, "about:blank");
    refused(&ask(&storefront, "DELETE", "/orders", &[], ""), 405, "about:blank");
}

#[test]
fn the_description_is_served() {
    let served = ask(&storefront(), "GET", "/openapi.json", &[], "");
    assert_eq!(served.status, StatusCode::OK);
    assert_eq!(served.body, serde_json::to_value(crate::description()).unwrap());
}

#[test]
fn a_database_that_is_away_is_never_a_201() {
    let options = devkit::postgres::Options::default();
    let Some(mut postgres) = devkit::postgres::own_for_tests("orders while Postgres is away", &options) else { return };
    let event_loop = event_loop();
    let (own, _) = event_loop.block_on(database(&postgres.url(), "storefront_away"));
    let host = host(&own);
    let front = Front { router: router(event_loop.block_on(Store::open(&host)).unwrap()), event_loop };
    let placed = post(&front, &[KEY, JSON], &order());
    assert_eq!(placed.status, StatusCode::CREATED, "{}", placed.body);
    postgres.kill();
    for answer in [post(&front, &[KEY, JSON], &order()), ask(&front, "GET", placed.header("location"), &[], "")] {
        refused(&answer, 503, "about:blank");
        assert_eq!((answer.header("retry-after"), &answer.body["code"]), ("1", &json!("TM-0801")));
    }
    postgres.restart().unwrap();
    let again = post(&front, &[KEY, JSON], &order());
    assert_eq!((again.status, &again.body), (StatusCode::CREATED, &placed.body));
    let found = ask(&front, "GET", placed.header("location"), &[], "");
    let mut shown = placed.body.clone();
    (shown["status"], shown["reason"]) = (json!("placed"), json!(null));
    assert_eq!((found.status, &found.body), (StatusCode::OK, &shown));
    let mut other = order();
    other["country"] = json!("Spain");
    refused(&post(&front, &[KEY, JSON], &other), 422, "/problems/key-of-another-order");
}
