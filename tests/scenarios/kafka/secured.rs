//! Connections that are encrypted, with passwords and with certificates.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use devkit::kafka::Options;
use tempfile::TempDir;

use super::audit;
use super::feed::feed_once;
use super::tally::Stage;

const PASSWORD: &str = "not-for-anybody";

/// Certificates that last a day: the broker's, the service's, and what each trusts.
struct Certificates(TempDir);

impl Certificates {
    fn make() -> Self {
        let made = Self(tempfile::tempdir().expect("a temporary folder"));
        for (name, subject) in [("broker", "CN=localhost"), ("tally", "CN=tally")] {
            let (store, file) = (made.path(&format!("{name}.p12")), made.path(&format!("{name}.pem")));
            let own = ["-alias", name, "-keystore", &store, "-storetype", "PKCS12", "-storepass", PASSWORD];
            let san = ["-ext", "san=ip:127.0.0.1,dns:localhost", "-ext", "bc:c=ca:true"];
            keytool(
                &[&["-genkeypair", "-keyalg", "RSA", "-dname", subject, "-validity", "2"], &own[..], &san].concat(),
            );
            keytool(&[&["-exportcert", "-rfc", "-file", &file], &own[..]].concat());
        }
        let (trusted, file) = (made.path("trusted.p12"), made.path("tally.pem"));
        let store = ["-keystore", &trusted, "-storetype", "PKCS12", "-storepass", PASSWORD];
        keytool(&[&["-importcert", "-noprompt", "-alias", "tally", "-file", &file], &store[..]].concat());
        made
    }

    fn path(&self, name: &str) -> String {
        Path::join(self.0.path(), name).display().to_string()
    }

    /// A broker of this protocol, with these settings of its listener for clients beside its own certificate.
    fn broker(&self, protocol: &str, more: &[(&str, &str)]) -> Options {
        let map = format!("CLIENT:{protocol},INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT");
        let store = self.path("broker.p12");
        let own = [
            ("ssl.keystore.location", &*store),
            ("ssl.keystore.type", "PKCS12"),
            ("ssl.keystore.password", PASSWORD),
            ("ssl.key.password", PASSWORD),
        ];
        let of_clients =
            own.iter().chain(more).map(|(name, value)| (format!("listener.name.client.{name}"), (*value).to_owned()));
        let map = [("listener.security.protocol.map".to_owned(), map)];
        Options { properties: map.into_iter().chain(of_clients).collect(), ..Options::default() }
    }
}

fn keytool(arguments: &[&str]) {
    let output = Command::new("keytool").args(arguments).output().expect("it comes with Java");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stdout));
}

/// The service does its work with these settings of its own.
fn works(stage: &Stage) {
    let made = stage.call(&["topics"]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    feed_once(stage, &(1..=100).flat_map(|number| [("a", number), ("b", number)]).collect::<Vec<_>>());
    stage.drain();
    assert_eq!(audit::applied_once(stage), 200);
}

/// With this setting more it is sent away, with one line of this code, and tells no secret.
fn is_sent_away(stage: &Stage, setting: &str, code: &str) {
    let output = stage.call(&["lag", "--set", setting]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{setting}: {errors}");
    assert_eq!(
        errors.lines().filter(|line| line.starts_with(&format!("error {code}: "))).count(),
        1,
        "{setting}: {errors}"
    );
    assert!(!errors.contains(PASSWORD), "{setting}: a password shows");
}

#[test]
fn passwords_go_by_scram_over_tls() {
    let certificates = Certificates::make();
    let login = "org.apache.kafka.common.security.scram.ScramLoginModule required;";
    let mechanism = [("sasl.enabled.mechanisms", "SCRAM-SHA-512"), ("scram-sha-512.sasl.jaas.config", login)];
    let trusted = format!("kafka.client.ssl.ca.location={}", certificates.path("broker.pem"));
    let password = certificates.path("password");
    fs::write(&password, format!("{PASSWORD}\n")).expect("the folder is ours");
    let password = format!("kafka.client.sasl.password=file:{password}");
    let settings = [
        "kafka.client.security.protocol=sasl_ssl",
        "kafka.client.sasl.mechanism=SCRAM-SHA-512",
        "kafka.client.sasl.username=tally",
        &password,
        &trusted,
    ];
    let broker = certificates.broker("SASL_SSL", &mechanism);
    let Some(stage) = Stage::without_topics("Kafka with SCRAM over TLS", &broker, &settings) else { return };
    let user = format!("SCRAM-SHA-512=[password={PASSWORD}]");
    stage.tool("configs", &["--alter", "--entity-type", "users", "--entity-name", "tally", "--add-config", &user]);
    works(&stage);
    is_sent_away(&stage, "kafka.client.sasl.password=another", "TM-0602");
    // A broker whose certificate nobody here trusts is none that is given a password.
    is_sent_away(&stage, &format!("kafka.client.ssl.ca.location={}", certificates.path("tally.pem")), "TM-0602");
}

#[test]
fn a_service_shows_its_certificate() {
    let certificates = Certificates::make();
    let trusted = certificates.path("trusted.p12");
    let wanted = [
        ("ssl.client.auth", "required"),
        ("ssl.truststore.location", &*trusted),
        ("ssl.truststore.type", "PKCS12"),
        ("ssl.truststore.password", PASSWORD),
    ];
    let settings = [
        "kafka.client.security.protocol=ssl".to_owned(),
        format!("kafka.client.ssl.ca.location={}", certificates.path("broker.pem")),
        format!("kafka.client.ssl.keystore.location={}", certificates.path("tally.p12")),
        format!("kafka.client.ssl.keystore.password={PASSWORD}"),
    ];
    let settings = settings.each_ref().map(String::as_str);
    let broker = certificates.broker("SSL", &wanted);
    let Some(stage) = Stage::without_topics("Kafka with certificates", &broker, &settings) else { return };
    works(&stage);
    // The broker does not know this one.
    is_sent_away(&stage, &format!("kafka.client.ssl.keystore.location={}", certificates.path("broker.p12")), "TM-0602");
}

/// A token that nobody signed, which a broker takes that was told so.
fn token(principal: &str) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("this is later");
    let (from, until) = (now.as_secs(), (now + Duration::from_hours(1)).as_secs());
    let claims = serde_json::json!({ "sub": principal, "iat": from, "exp": until });
    let part = |part: &str| BASE64_URL_SAFE_NO_PAD.encode(part);
    format!("{}.{}.\n", part(r#"{"alg":"none"}"#), part(&claims.to_string()))
}

#[test]
fn a_token_comes_from_a_file() {
    let certificates = Certificates::make();
    let login = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;";
    let mechanism = [("sasl.enabled.mechanisms", "OAUTHBEARER"), ("oauthbearer.sasl.jaas.config", login)];
    let (good, bad) = (certificates.path("token"), certificates.path("no-token"));
    fs::write(&good, token("tally")).expect("the folder is ours");
    fs::write(&bad, PASSWORD).expect("the folder is ours");
    let settings = [
        "kafka.client.security.protocol=sasl_ssl".to_owned(),
        "kafka.client.sasl.mechanism=OAUTHBEARER".to_owned(),
        format!("kafka.client.ssl.ca.location={}", certificates.path("broker.pem")),
        format!("kafka.token_file={good}"),
    ];
    let settings = settings.each_ref().map(String::as_str);
    let broker = certificates.broker("SASL_SSL", &mechanism);
    let Some(stage) = Stage::without_topics("Kafka with tokens", &broker, &settings) else { return };
    works(&stage);
    is_sent_away(&stage, &format!("kafka.token_file={bad}"), "TM-0602");
    is_sent_away(&stage, "kafka.token_file=none", "TM-0602");
}
