//! What a registry refuses, and what we refuse.

use super::*;

fn refusal<T: fmt::Debug>(answer: Result<T, Coded>, code: Code, words: &[&str]) {
    let error = answer.unwrap_err();
    assert_eq!(error.code, code, "{error}");
    for word in words {
        assert!(error.message.contains(word), "it does not say {word:?}: {error}");
    }
}

fn login() -> Login {
    Login { user: "orders".into(), password: "wonder".into() }
}

#[test]
fn a_schema_that_is_not_there_or_of_no_use_is_an_error() {
    let references = r#"{"schema": "\"int\"", "references": [{"name": "a"}]}"#;
    let server = Server::start([
        say(404, MISSING),
        say(200, r#"{"schema": "syntax", "schemaType": "PROTOBUF"}"#),
        say(200, references),
        the_schema(SCHEMA),
    ]);
    let client = Client::at(&server);
    let url = server.url();
    refusal(client.schema(7), Code::SCHEMA_NOT_REGISTERED, &[&url, "has no schema 7"]);
    refusal(client.schema(8), Code::SCHEMA_NOT_REGISTERED, &["schema 8", "PROTOBUF", "only AVRO"]);
    refusal(client.schema(9), Code::SCHEMA_NOT_REGISTERED, &["schema 9", "refers to other schemas"]);
    // Somebody may have registered it since.
    assert_eq!(&*client.schema(7).unwrap(), SCHEMA);
}

#[test]
fn a_schema_that_is_not_registered_names_the_subject_and_the_remedy() {
    let server = Server::start([say(404, MISSING)]);
    let words = ["subject sales-value", "registry.register", &server.url()];
    refusal(Client::at(&server).id(), Code::SCHEMA_NOT_REGISTERED, &words);
    assert_eq!(server.asked().len(), 1, "nothing is registered");
}

#[test]
fn a_schema_that_the_registry_does_not_take_is_said_in_its_words() {
    let conflict = r#"{"error_code": 409, "message": "it breaks the older one"}"#;
    let server = Server::start([say(404, MISSING), say(409, conflict)]);
    let client = Client::new(Settings { register: true, ..settings(&server.url()) });
    let words = ["subject sales-value", "409 Conflict: it breaks the older one"];
    refusal(client.id(), Code::SCHEMA_NOT_REGISTERED, &words);
}

#[test]
fn who_starts_waits_some_seconds_for_a_registry() {
    let server = Server::start((0..1_000).map(|_| say(503, "")));
    let client = Client::at(&server);
    let begun = client.clock.now();
    refusal(client.id(), Code::REGISTRY_UNREACHABLE, &[&server.url(), "503 Service Unavailable"]);
    assert_eq!(client.clock.now().since(begun), PATIENCE);
    let asked = server.asked().len();
    assert!((5..50).contains(&asked), "{asked} requests");
}

#[test]
fn who_may_not_come_in_is_told_at_once_and_waits_while_running() {
    for status in [401, 403] {
        let server = Server::start([say(status, ""), say(status, ""), the_schema(SCHEMA)]);
        let client = Client::new(Settings { login: Some(login()), ..settings(&server.url()) });
        let begun = client.clock.now();
        refusal(client.id(), Code::REGISTRY_REFUSES, &[&server.url(), &status.to_string()]);
        assert_eq!(client.clock.now(), begun);
        assert_eq!(&*client.schema(7).unwrap(), SCHEMA);
        let asked = server.asked();
        assert_eq!(asked.last().unwrap(), "GET /schemas/ids/7 Basic b3JkZXJzOndvbmRlcg==");
    }
}

#[test]
fn a_password_is_neither_shown_nor_sent_where_others_can_read_it() {
    let open = |settings: Settings| {
        let clock = VirtualClock::new();
        Registry::open(settings, clock, Arc::new(Inline), Box::new(Seeded::new(1)))
    };
    let with = |url: &str| Settings { login: Some(login()), ..settings(url) };
    refusal(open(with("http://registry:8081")), Code::BAD_VALUE, &["registry", "registry.allow_plaintext_password"]);
    open(Settings { allow_plaintext_password: true, ..with("http://registry:8081") }).unwrap();
    for url in ["https://registry", "http://127.0.0.1:1", "http://[::1]:1/a", "http://localhost:8081"] {
        open(with(url)).unwrap();
    }
    open(settings("http://registry:8081")).unwrap();
    assert!(!format!("{:?}", with("https://registry")).contains("wonder"));
    let error = open(settings("https://orders:wonder@registry")).unwrap_err();
    assert_eq!(error.code, Code::BAD_VALUE);
    assert!(!error.message.contains("wonder"), "{error}");
    for url in ["registry:8081", "ftp://registry", "http://", "http://a?b=c", "http://a/#b", "http://a b"] {
        refusal(open(settings(url)), Code::BAD_VALUE, &["registry.url", "http(s)://HOST"]);
    }
}
