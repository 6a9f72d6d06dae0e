//! Clients that order, and order again with the same key until they have an answer.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::json;

/// Clients at a time.
const CLIENTS: usize = 8;
/// Of so many orders one has no lines, and is refused.
const REFUSED: usize = 50;
/// Of so many orders one is sent twice although it was answered.
const TWICE: usize = 37;
const CUSTOMERS: usize = 97;
const PATIENCE: Duration = Duration::from_secs(10);

/// What was answered.
#[derive(Default)]
pub(super) struct Answers {
    /// The ids of orders that were taken, by their keys.
    pub(super) taken: BTreeMap<String, String>,
    /// The keys of those that were refused.
    pub(super) refused: Vec<String>,
}

/// Clients under way.
pub(super) struct Orders {
    done: Arc<AtomicUsize>,
    answers: Arc<Mutex<Answers>>,
    clients: Vec<JoinHandle<()>>,
}

impl Orders {
    /// Begins to order; each client pauses after each order.
    pub(super) fn start(address: SocketAddr, count: usize, pause: Duration) -> Self {
        let (next, done) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let answers = Arc::<Mutex<Answers>>::default();
        let clients = (0..CLIENTS).map(|_| {
            let (next, done, answers) = (Arc::clone(&next), Arc::clone(&done), Arc::clone(&answers));
            std::thread::spawn(move || {
                let client = Client::new(address);
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return;
                    }
                    client.order(number, &answers);
                    done.fetch_add(1, Ordering::Relaxed);
                    std::thread::sleep(pause);
                }
            })
        });
        Self { clients: clients.collect(), done, answers }
    }

    /// How many orders were answered.
    pub(super) fn done(&self) -> usize {
        self.done.load(Ordering::Relaxed)
    }

    /// Waits for all answers.
    pub(super) fn finish(self) -> Answers {
        for client in self.clients {
            client.join().expect("a client had no answer that it knows");
        }
        std::mem::take(&mut *self.answers.lock().expect("no client panicked"))
    }
}

/// One client.
pub(super) struct Client {
    agent: ureq::Agent,
    place: String,
}

impl Client {
    pub(super) fn new(address: SocketAddr) -> Self {
        let config = ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).http_status_as_error(false).build();
        Self { agent: config.into(), place: format!("http://{address}/orders") }
    }

    /// Orders until there is an answer.
    fn order(&self, number: usize, answers: &Mutex<Answers>) {
        let key = format!("key-{number}");
        let line =
            json!({ "stock_code": format!("S{}", number % 11), "quantity": 1 + number % 5, "unit_price_milli": 250 });
        let is_bad = number % REFUSED == 7;
        let lines = if is_bad { json!([]) } else { json!([line]) };
        let body =
            json!({ "customer": format!("customer-{}", number % CUSTOMERS), "country": "France", "lines": lines });
        let (status, answer) = self.answered(&key, &body);
        let mut answers = answers.lock().expect("no client panicked");
        if is_bad {
            assert!((400..500).contains(&status), "an order without lines: {status} {answer}");
            answers.refused.push(key);
            return;
        }
        assert!(matches!(status, 200 | 201), "{status} {answer}");
        let id = answer["id"].as_str().unwrap_or_else(|| panic!("an order without an id: {answer}")).to_owned();
        answers.taken.insert(key.clone(), id.clone());
        drop(answers);
        if number % TWICE == 3 {
            let (_, again) = self.answered(&key, &body);
            assert_eq!(again["id"], id.as_str(), "{key} sent again");
        }
    }

    /// Orders one thing from this country, until the order is taken; answers its id.
    pub(super) fn order_from(&self, country: &str, key: &str) -> String {
        let line = json!({ "stock_code": "S1", "quantity": 1, "unit_price_milli": 250 });
        let body = json!({ "customer": "customer-1", "country": country, "lines": [line] });
        let (status, answer) = self.answered(key, &body);
        answer["id"].as_str().unwrap_or_else(|| panic!("{status} {answer}")).to_owned()
    }

    /// Sends until there is an answer; one that the storefront is sure of.
    fn answered(&self, key: &str, body: &serde_json::Value) -> (u16, serde_json::Value) {
        loop {
            let sent = self.agent.post(&self.place).header("Idempotency-Key", key).send_json(body);
            if let Ok(mut answer) = sent {
                let status = answer.status().as_u16();
                let read = answer.body_mut().read_json();
                // Asked to come again, or cut off in the middle.
                if let (false, Ok(read)) = (status >= 500 || status == 409, read) {
                    return (status, read);
                }
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}
