//! A real Kafka, started, killed, restarted and stopped.

use std::net::TcpStream;
use std::path::Path;
use std::process::Output;

use devkit::kafka::{self, Error, Kafka, Options};

mod owner;
mod processes;
mod program;

use processes::is_gone;

/// Asks a Kafka for its topics.
fn topics(address: &str) -> Output {
    kafka::tool("topics", &["--bootstrap-server", address, "--list"]).expect("Java is there")
}

fn create(address: &str, topic: &str) {
    let created = kafka::tool("topics", &["--bootstrap-server", address, "--create", "--topic", topic]);
    let created = created.expect("Java is there");
    assert!(created.status.success(), "{created:?}");
}

fn properties(pairs: &[(&str, &str)]) -> Options {
    let properties = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Options { properties, ..Options::default() }
}

#[test]
fn the_shared_one_answers_and_is_the_same_for_everybody() {
    let Some(address) = kafka::for_tests("the shared Kafka") else { return };
    TcpStream::connect(address).expect("it listens");
    create(address, "devkit-shared");
    let output = topics(address);
    assert!(String::from_utf8_lossy(&output.stdout).lines().any(|line| line == "devkit-shared"), "{output:?}");
    assert_eq!(kafka::for_tests("the shared Kafka"), Some(address));
}

#[test]
fn what_it_holds_and_where_it_is_outlive_a_crash_and_a_stop() {
    let Some(mut kafka) = kafka::own_for_tests("killing a Kafka", &Options::default()) else { return };
    let address = kafka.address();
    create(&address, "kept");
    let first = kafka.process_id().expect("it runs");
    kafka.kill();
    assert!(is_gone(first), "process {first} runs on after it was killed");
    assert_eq!(kafka.process_id(), None);
    TcpStream::connect(&address).expect_err("nobody listens");

    kafka.restart().expect("it starts over the data of a crash");
    assert_eq!(kafka.address(), address);
    assert!(String::from_utf8_lossy(&topics(&address).stdout).contains("kept"));

    kafka.stop().expect("it stops when told");
    TcpStream::connect(&address).expect_err("nobody listens");
    kafka.restart().expect("it starts after a stop");
    assert!(String::from_utf8_lossy(&topics(&address).stdout).contains("kept"));

    let (last, folder) = (kafka.process_id().expect("it runs"), kafka.folder().to_owned());
    drop(kafka);
    assert!(is_gone(last), "process {last} runs on without its owner");
    assert!(!folder.exists(), "{} is left", folder.display());
}

#[test]
fn a_folder_that_is_given_stays_and_is_used_again() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let options = Options { data: Some(folder.path().to_owned()), ..Options::default() };
    let Some(kafka) = kafka::own_for_tests("a Kafka in a given folder", &options) else { return };
    create(&kafka.address(), "kept");
    drop(kafka);
    let kafka = Kafka::start(&options).expect("it starts again");
    assert!(String::from_utf8_lossy(&topics(&kafka.address()).stdout).contains("kept"));
    assert!(Path::new(&folder.path().join("kafka.log")).exists());
}

#[test]
fn a_setting_that_kafka_does_not_take_is_told_in_its_own_words() {
    if kafka::for_tests("a bad setting").is_none() {
        return;
    }
    let refused = Kafka::start(&properties(&[("num.io.threads", "several")])).expect_err("this is no number");
    assert!(matches!(refused, Error::Format { .. }), "{refused}");
    assert!(refused.to_string().contains("several"), "{refused}");

    let refused = Kafka::start(&properties(&[("authorizer.class.name", "no.such.Authorizer")]));
    let refused = refused.expect_err("there is no such class");
    assert!(matches!(refused, Error::Ended { .. } | Error::Format { .. }), "{refused}");
    assert!(refused.to_string().contains("no.such.Authorizer"), "{refused}");
}

#[test]
fn a_port_that_is_taken_is_refused() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = taken.local_addr().expect("it is bound").port();
    let refused = Kafka::start(&Options { port, ..Options::default() }).expect_err("it is taken");
    assert!(matches!(refused, Error::PortTaken(taken) if taken == port), "{refused}");
    assert_eq!(refused.exit(), 3);
}

#[test]
fn clients_need_a_name_where_the_settings_say_so_and_tools_do_not() {
    let options = properties(&[
        ("listener.security.protocol.map", "CLIENT:SASL_PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT"),
        ("listener.name.client.sasl.enabled.mechanisms", "PLAIN"),
        (
            "listener.name.client.plain.sasl.jaas.config",
            r#"org.apache.kafka.common.security.plain.PlainLoginModule required user_alice="wonder";"#,
        ),
        ("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer"),
    ]);
    let Some(kafka) = kafka::own_for_tests("a Kafka with names and passwords", &options) else { return };
    create(&kafka.admin_address(), "guarded");
    let folder = tempfile::tempdir().expect("a folder can be made");
    let as_alice = |password: &str| {
        let file = folder.path().join("client.properties");
        let jaas = format!(
            r#"org.apache.kafka.common.security.plain.PlainLoginModule required username="alice" password="{password}";"#
        );
        let text = format!(
            "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\nsasl.jaas.config={jaas}\ndefault.api.timeout.ms=5000\nrequest.timeout.ms=3000\n"
        );
        std::fs::write(&file, text).expect("the folder is ours");
        let (address, file) = (kafka.address(), file.to_string_lossy().into_owned());
        kafka
            .tool("topics", &["--bootstrap-server", &address, "--command-config", &file, "--list"])
            .expect("Java is there")
    };
    let refused = as_alice("guessed");
    assert!(!refused.status.success(), "{refused:?}");
    // She may come in, and sees nothing until somebody lets her.
    let seen = as_alice("wonder");
    assert!(seen.status.success() && !String::from_utf8_lossy(&seen.stdout).contains("guarded"), "{seen:?}");
    let admin = kafka.admin_address();
    let allow = ["--add", "--allow-principal", "User:alice", "--operation", "Describe", "--topic", "guarded"];
    let allowed = kafka.tool("acls", &[&["--bootstrap-server", &admin], &allow[..]].concat()).expect("Java is there");
    assert!(allowed.status.success(), "{allowed:?}");
    let seen = as_alice("wonder");
    assert!(String::from_utf8_lossy(&seen.stdout).contains("guarded"), "{seen:?}");
}
