//! The requests, and what the answers mean.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use ureq::http::{Request, StatusCode, header};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, AsSendBody};

use super::encoded;
use super::settings::Login;

/// How long a connection may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);
/// The most bytes of an answer.
const LARGEST_ANSWER: u64 = 1024 * 1024;
/// The form of requests and answers.
const CONTENT_TYPE: &str = "application/vnd.schemaregistry.v1+json";
/// The error codes that say that a subject, a version or a schema is not there.
const NOT_THERE: std::ops::RangeInclusive<u64> = 40401..=40403;
/// The most letters that are shown of what a registry says.
const LONGEST_REASON: usize = 300;

/// Why there is no answer to use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// Nobody answered, or nobody who answers as a registry does; the next time may be different.
    NoAnswer(String),
    /// It does not let us in.
    Denied(String),
    /// It says that what is asked for is not there.
    NotThere(String),
    /// It does not do what was asked, or what it has cannot be used.
    Refused(String),
}

/// One registry.
pub(super) struct Api {
    url: Arc<str>,
    agent: Agent,
    authorization: Option<String>,
}

impl Api {
    pub(super) fn new(url: Arc<str>, login: Option<&Login>, limit: Duration) -> Self {
        // The machine decides whose certificates are good. Connections are not kept: there are few requests, and one over a
        // connection that the other side has closed meanwhile would fail. Redirections are not followed: a password goes where
        // the configuration says. The environment's proxies are for browsers.
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_idle_connections(0)
            .timeout_connect(Some(CONNECT_LIMIT.min(limit)))
            .timeout_global(Some(limit))
            .proxy(None)
            .user_agent(concat!("tidemill/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls)
            .build();
        let authorization = login
            .map(|Login { user, password }| format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}"))));
        Self { url, agent: agent.new_agent(), authorization }
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// The text of a schema.
    pub(super) fn schema(&self, id: u32) -> Result<String, Failure> {
        let mut answer = self.ask(&format!("/schemas/ids/{id}"), None)?;
        let kind = answer["schemaType"].as_str().unwrap_or("AVRO");
        if kind != "AVRO" {
            return Err(Failure::Refused(format!("it is of type {kind}, and only AVRO is read")));
        }
        if answer["references"].as_array().is_some_and(|references| !references.is_empty()) {
            return Err(Failure::Refused("it refers to other schemas, which is not supported".into()));
        }
        match answer["schema"].take() {
            Value::String(schema) => Ok(schema),
            _ => Err(no_registry("an answer without a schema")),
        }
    }

    /// The id of a schema that is registered under a subject.
    pub(super) fn look_up(&self, subject: &str, schema: &str) -> Result<u32, Failure> {
        id_in(&self.ask(&format!("/subjects/{}?normalize=true", encoded(subject)), Some(schema))?)
    }

    /// Registers a schema under a subject.
    pub(super) fn register(&self, subject: &str, schema: &str) -> Result<u32, Failure> {
        id_in(&self.ask(&format!("/subjects/{}/versions?normalize=true", encoded(subject)), Some(schema))?)
    }

    fn ask(&self, path: &str, schema: Option<&str>) -> Result<Value, Failure> {
        let url = format!("{}{path}", self.url);
        match schema {
            None => self.send(Request::get(url), ()),
            Some(schema) => self.send(Request::post(url), json!({ "schema": schema }).to_string()),
        }
    }

    fn send(&self, mut request: ureq::http::request::Builder, body: impl AsSendBody) -> Result<Value, Failure> {
        request = request.header(header::ACCEPT, CONTENT_TYPE).header(header::CONTENT_TYPE, CONTENT_TYPE);
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let no_answer = |error: &dyn ToString| Failure::NoAnswer(error.to_string());
        let request = request.body(body).map_err(|error| no_answer(&error))?;
        let mut answer = self.agent.run(request).map_err(|error| no_answer(&error))?;
        let status = answer.status();
        let text = answer.body_mut().with_config().limit(LARGEST_ANSWER).read_to_vec();
        // What stands in an answer that is no good anyway may be missing.
        let text =
            if status.is_success() { text.map_err(|error| no_answer(&error))? } else { text.unwrap_or_default() };
        judge(status, serde_json::from_slice(&text).ok())
    }
}

/// What an answer means.
fn judge(status: StatusCode, said: Option<Value>) -> Result<Value, Failure> {
    let code = said.as_ref().and_then(|said| said["error_code"].as_u64());
    let message = said.as_ref().and_then(|said| said["message"].as_str()).unwrap_or_default();
    let reason: String = if message.is_empty() { status.to_string() } else { format!("{status}: {message}") };
    let reason = reason.chars().take(LONGEST_REASON).collect();
    match (status, code) {
        (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _) => Err(Failure::Denied(reason)),
        (StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT, _) => Err(Failure::NoAnswer(reason)),
        (_, Some(code)) if NOT_THERE.contains(&code) => Err(Failure::NotThere(reason)),
        // Anybody can answer 404; a registry adds its own code.
        (status, Some(_)) if status.is_client_error() => Err(Failure::Refused(reason)),
        (status, _) if status.is_success() => said.ok_or_else(|| no_registry("an answer that is no JSON")),
        (status, _) if status.is_server_error() => Err(Failure::NoAnswer(reason)),
        _ => Err(no_registry(&reason)),
    }
}

/// Somebody answers who is no registry, or who has a bad day.
fn no_registry(what: &str) -> Failure {
    Failure::NoAnswer(format!("{what}, which no registry says; is registry.url right?"))
}

fn id_in(answer: &Value) -> Result<u32, Failure> {
    let id = answer["id"].as_u64().ok_or_else(|| no_registry("an answer without an id"))?;
    u32::try_from(id).map_err(|_| Failure::Refused(format!("its id {id} does not fit into four bytes")))
}
