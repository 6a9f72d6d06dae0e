//! The storefront: a program that is no handler, asked by HTTP, stopped and started again.

#![allow(clippy::unwrap_used, reason = "a test stops at the first thing that is wrong")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use storefront::{Key, OrderRequested};
use tidemill::config::Configuration;
use tidemill::event::Event;
use tidemill::headers;
use tidemill::host::Host;
use tidemill::query;

use crate::process::{command, errors_of, program, refused, run, run_json, signal};

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(30);
/// Orders that are placed.
const ORDERS: usize = 20;

/// A storefront that runs, and the address that it said.
pub(crate) struct Running {
    child: Child,
    address: String,
}

impl Running {
    pub(crate) fn start(program: &Path, where_to: &[&str]) -> Self {
        let arguments = [&["run", "--listen", "127.0.0.1:0", "--log", "json"], where_to].concat();
        let mut child = command(program, &arguments).stderr(std::process::Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::with_capacity(1, child.stderr.take().unwrap());
        let mut all = String::new();
        let address = loop {
            let before = all.len();
            assert!(said.read_line(&mut all).unwrap() > 0, "it ended and never listened: {all}");
            let line: Value = serde_json::from_str(&all[before..]).unwrap_or_default();
            if line["message"] == "listening" {
                break line["address"].as_str().unwrap().to_owned();
            }
        };
        child.stderr = Some(said.into_inner());
        Self { child, address }
    }

    pub(crate) fn stop(mut self) {
        signal(&self.child, "TERM");
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}: {}", errors_of(&mut self.child));
    }

    /// One request on a connection of its own: status and body.
    fn ask(&self, head: &str, body: &str) -> (u16, Value) {
        let mut connection = TcpStream::connect(&self.address).unwrap();
        connection.set_read_timeout(Some(LIMIT)).unwrap();
        let length = body.len();
        write!(connection, "{head}host: storefront\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}")
            .unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap())
    }

    fn post(&self, key: &str, quantity: usize) -> (u16, Value) {
        let line = json!({"stock_code": "85123A", "quantity": quantity, "unit_price_milli": 2550});
        self.place(key, &json!({"country": "France", "lines": [line]}))
    }

    pub(crate) fn place(&self, key: &str, order: &Value) -> (u16, Value) {
        let head = format!("POST /orders HTTP/1.1\r\nidempotency-key: \"{key}\"\r\ncontent-type: application/json\r\n");
        self.ask(&head, &order.to_string())
    }

    pub(crate) fn get(&self, id: &str) -> (u16, Value) {
        self.ask(&format!("GET /orders/{id} HTTP/1.1\r\n"), "")
    }
}

/// The keys and ids of all events in the log of this address.
fn events(broker: &str) -> Vec<(String, String)> {
    let host = Host::open(Configuration::default().with("broker", broker).unwrap()).unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let mut found = Vec::new();
    let read = query::records(&**host.broker(), OrderRequested::TOPIC, &mut Vec::new(), |_, record| {
        found.push((text(record.key.as_deref().unwrap()), text(record.headers.get(headers::ID).unwrap())));
    })
    .wait();
    assert!(read.unwrap());
    found.sort();
    found
}

/// Runs a future to its end on this thread.
trait Wait: Future + Sized {
    fn wait(self) -> Self::Output {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(self)
    }
}

impl<T: Future> Wait for T {}

#[test]
fn an_order_that_is_sent_again_is_one_order_and_one_event() {
    let storefront = program("storefront");
    let folder = tempfile::tempdir().unwrap();
    let address = |name: &str| format!("embedded:{}", folder.path().join(name).display());
    let (broker, rows) = (address("log"), address("rows"));
    let where_to = ["--broker", &broker, "--state", &rows];
    refused(&run(&storefront, &[&["run"][..], &where_to].concat()), 3, &["TM-0401", "storefront topics create"]);
    let unmade = run(&storefront, &[&["topics", "check"][..], &where_to].concat());
    refused(&unmade, 3, &["TM-0401", "storefront topics create"]);
    let made = run_json(&storefront, &[&["topics", "create", "--output", "json"][..], &where_to].concat());
    assert_eq!(made[0]["topic"], OrderRequested::TOPIC);

    let first = Running::start(&storefront, &where_to);
    let key = |number: usize| format!("order {number}");
    let placed: Vec<Value> = (1..=ORDERS)
        .map(|number| {
            let (status, placed) = first.post(&key(number), number);
            assert_eq!(status, 201, "{placed}");
            assert_eq!(first.post(&key(number), number), (201, placed.clone()));
            placed
        })
        .collect();
    assert_eq!(first.post(&key(1), 2).0, 422);
    first.stop();

    let second = Running::start(&storefront, &where_to);
    for (number, placed) in (1..).zip(&placed) {
        let id = placed["id"].as_str().unwrap();
        assert_eq!(second.get(id), (200, placed.clone()));
        assert_eq!(second.post(&key(number), number), (201, placed.clone()));
    }
    // What was sent is deleted: until then the relay has something to do.
    let begun = Instant::now();
    second.stop();
    let outbox = ["outbox", "list", "--output", "json", "--broker", &broker, "--state", &rows];
    while run_json(&storefront, &outbox) != json!([]) {
        assert!(begun.elapsed() < LIMIT, "events are left in the outbox");
        Running::start(&storefront, &where_to).stop();
    }
    let id = |number: usize| Key::parse(format!("\"{}\"", key(number)).as_bytes()).unwrap().order_id();
    let mut expected: Vec<_> = (1..=ORDERS).map(|number| (id(number), id(number))).collect();
    expected.sort();
    assert_eq!(events(&broker), expected);
}

#[test]
fn a_storefront_without_rows_is_refused_and_describes_itself() {
    let storefront = program("storefront");
    let folder = tempfile::tempdir().unwrap();
    let broker = format!("embedded:{}", folder.path().join("log").display());
    let made = run(&storefront, &["topics", "create", "--broker", &broker]);
    assert!(made.status.success());
    refused(&run(&storefront, &["run", "--broker", &broker]), 2, &["TM-0102", "--state postgres://"]);
    let description = run_json(&storefront, &["describe", "openapi"]);
    assert_eq!(description["openapi"], "3.1.0");
}
