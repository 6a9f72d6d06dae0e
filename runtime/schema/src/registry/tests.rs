use std::path::Path;

use futures_util::FutureExt;
use tidemill_testkit::fakes::{Executor, Inline, Seeded, VirtualClock, block_on};

use super::*;
use server::{Reply, Server};

mod kept;
mod refused;
mod server;

const SCHEMA: &str = r#"{"type":"record","name":"Sale","fields":[{"name":"country","type":"string"}]}"#;
const MISSING: &str = r#"{"error_code": 40403, "message": "no such schema"}"#;

/// A client, and the time that it lives in.
struct Client {
    clock: Arc<VirtualClock>,
    registry: Registry,
}

fn settings(url: &str) -> Settings {
    Settings { url: url.to_owned(), login: None, allow_plaintext_password: false, register: false, cache: None }
}

impl Client {
    fn new(settings: Settings) -> Self {
        Self::on(Arc::new(Inline), settings)
    }

    /// A client whose requests are made there.
    fn on(blocking: Arc<dyn Blocking>, settings: Settings) -> Self {
        let clock = VirtualClock::new();
        let limit = Duration::from_millis(400);
        let random = Box::new(Seeded::new(1));
        let registry = Registry::with_limit(settings, clock.clone(), blocking, random, limit).unwrap();
        Self { clock, registry }
    }

    fn at(server: &Server) -> Self {
        Self::new(settings(&server.url()))
    }

    fn schema(&self, id: u32) -> Result<Arc<str>, Coded> {
        block_on(&self.clock, self.registry.schema(id))
    }

    fn id(&self) -> Result<u32, Coded> {
        block_on(&self.clock, self.registry.id("sales", SCHEMA))
    }
}

fn say(status: u16, text: &str) -> Reply {
    Reply::Say(status, text.to_owned())
}

/// The answer that holds a schema.
fn the_schema(schema: &str) -> Reply {
    say(200, &serde_json::json!({ "schema": schema }).to_string())
}

#[test]
fn a_schema_is_asked_for_once() {
    let server = Server::start([the_schema(SCHEMA), say(200, r#"{"schema": "\"int\"", "schemaType": "AVRO"}"#)]);
    let client = Client::new(settings(&format!("{}/apis/ccompat/v7/", server.url())));
    assert_eq!(&*client.schema(7).unwrap(), SCHEMA);
    assert_eq!(&*client.schema(7).unwrap(), SCHEMA);
    assert_eq!(&*client.schema(u32::MAX).unwrap(), "\"int\"");
    assert_eq!(server.asked(), ["GET /apis/ccompat/v7/schemas/ids/7", "GET /apis/ccompat/v7/schemas/ids/4294967295"]);
}

#[test]
fn whoever_wants_the_same_schema_waits_for_the_same_answer() {
    let server = Server::start([say(503, ""), the_schema(SCHEMA)]);
    let client = Client::at(&server);
    let mut executor = Executor::new(Arc::clone(&client.clock));
    let tasks: Vec<usize> = (0..100).map(|_| executor.spawn(client.registry.schema(7))).collect();
    for task in tasks {
        executor.run_to_end(task).unwrap();
        assert_eq!(&**executor.result(task).unwrap().as_ref().unwrap(), SCHEMA);
    }
    assert_eq!(server.asked().len(), 2, "{:?}", server.asked());
}

#[test]
fn what_is_no_answer_is_asked_again_until_there_is_one() {
    let large = format!("{{\"schema\": {:?}}}", "x".repeat(1024 * 1024));
    let bad = [
        Reply::HangUp,
        say(500, r#"{"error_code": 50001, "message": "the store is down"}"#),
        say(503, "<html>"),
        say(429, r#"{"error_code": 42901, "message": "slowly"}"#),
        say(200, "no JSON"),
        say(200, "{}"),
        say(200, &large),
        // A path that is no registry's, a page that is somewhere else.
        say(404, "<html>"),
        say(302, ""),
        Reply::Wait,
    ];
    let number = bad.len() + 1;
    let server = Server::start(bad.into_iter().chain([the_schema(SCHEMA)]));
    let client = Client::at(&server);
    let begun = client.clock.now();
    assert_eq!(&*client.schema(7).unwrap(), SCHEMA);
    assert_eq!(server.asked().len(), number);
    // It was left alone between the requests, longer and longer.
    let took = client.clock.now().since(begun);
    assert!(took > Duration::from_secs(5) && took < Duration::from_mins(1), "{took:?}");
}

#[test]
fn a_registry_that_is_gone_is_waited_for() {
    let server = Server::start([the_schema(SCHEMA)]);
    let settings = settings(&server.url());
    drop(server);
    let client = Client::new(settings);
    let mut executor = Executor::new(Arc::clone(&client.clock));
    let task = executor.spawn(client.registry.schema(7));
    for _ in 0..20 {
        executor.settle();
        client.clock.advance(Duration::from_secs(10));
    }
    assert!(executor.is_running(task), "{:?}", executor.result(task));
}

#[test]
fn an_answer_takes_no_longer_than_the_limit() {
    let server = Server::start([Reply::Wait]);
    let client = Client::at(&server);
    let answer = client.registry.schema(7).now_or_never();
    assert!(answer.is_none(), "it has to be asked again");
    let cause = lock(&client.registry.0.contact).cause().to_owned();
    assert!(cause.contains("timeout"), "{cause}");
}

/// Threads that never come to a job, and keep it or drop it.
struct Busy(Mutex<Vec<Box<dyn FnOnce() + Send>>>, bool);

impl Blocking for Busy {
    fn run(&self, job: Box<dyn FnOnce() + Send>) {
        if self.1 {
            lock(&self.0).push(job);
        }
    }
}

#[test]
fn a_request_that_is_never_made_is_as_good_as_no_answer() {
    for is_kept in [true, false] {
        let client = Client::on(Arc::new(Busy(Mutex::default(), is_kept)), settings("http://127.0.0.1:1"));
        let error = client.id().unwrap_err();
        assert_eq!(error.code, Code::REGISTRY_UNREACHABLE);
        assert!(error.message.ends_with("http://127.0.0.1:1: it takes too long"), "{error}");
        assert!(client.registry.schema(7).now_or_never().is_none());
    }
}

#[test]
fn an_id_is_looked_up_under_the_subject_of_the_topic() {
    let server = Server::start([say(200, r#"{"subject": "sales-value", "id": 12, "version": 1}"#)]);
    let client = Client::at(&server);
    assert_eq!(client.id(), Ok(12));
    let body = serde_json::json!({ "schema": SCHEMA }).to_string();
    assert_eq!(server.asked(), [format!("POST /subjects/sales-value?normalize=true {body}")]);
}

#[test]
fn a_schema_that_is_missing_is_registered_where_that_is_wanted() {
    let server = Server::start([say(404, MISSING), say(200, r#"{"id": 13}"#)]);
    let client = Client::new(Settings { register: true, ..settings(&server.url()) });
    assert_eq!(client.id(), Ok(13));
    let asked = server.asked();
    assert!(asked[0].starts_with("POST /subjects/sales-value?normalize=true "), "{asked:?}");
    assert!(asked[1].starts_with("POST /subjects/sales-value/versions?normalize=true "), "{asked:?}");
    assert_eq!(asked.len(), 2);
}

#[test]
fn a_subject_is_a_part_of_a_path() {
    assert_eq!(encoded(&subject("a/b ü")), "a%2Fb%20%C3%BC-value");
}
