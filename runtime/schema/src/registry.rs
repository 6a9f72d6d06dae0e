//! The client of a schema registry that speaks the API of Confluent's: the port [`Schemas`] over HTTP.

mod api;
mod cache;
mod contact;
mod settings;

use std::collections::BTreeMap;
use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_channel::oneshot;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Either, Shared, select};
use tidemill_core::code::{Code, Coded};
use tidemill_core::ports::{Blocking, Clock, Random, Schemas};

use api::{Api, Failure};
use cache::Cache;
use contact::Contact;

pub use settings::{Login, Settings};

/// How long somebody who starts waits for a registry that does not answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long one request may take, all in all.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);

/// How long it is left alone in any case, whatever kept the answer away.
const SHORTEST_REST: Duration = Duration::from_millis(10);

/// A request for a schema that is under way or answered, for everybody who wants the schema.
type Flight = Shared<BoxFuture<'static, Result<Arc<str>, Failure>>>;

/// A registry of schemas, reached over HTTP. What it answered is kept in memory, and on disk where the settings say so: what is on
/// disk is used while it does not answer.
pub struct Registry(Arc<Inner>);

struct Inner {
    api: Api,
    register: bool,
    cache: Option<Cache>,
    clock: Arc<dyn Clock>,
    blocking: Arc<dyn Blocking>,
    contact: Mutex<Contact>,
    /// The schemas that were asked for, by their ids. One that failed is taken out.
    schemas: Mutex<BTreeMap<u32, Flight>>,
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Registry {
    /// A client with these settings. Nothing is asked yet; settings that cannot be used are an error (TM-0102).
    pub fn open(
        settings: Settings,
        clock: Arc<dyn Clock>,
        blocking: Arc<dyn Blocking>,
        random: Box<dyn Random + Send>,
    ) -> Result<Self, Coded> {
        Self::with_limit(settings, clock, blocking, random, REQUEST_LIMIT)
    }

    fn with_limit(
        settings: Settings,
        clock: Arc<dyn Clock>,
        blocking: Arc<dyn Blocking>,
        random: Box<dyn Random + Send>,
        limit: Duration,
    ) -> Result<Self, Coded> {
        settings.check()?;
        let Settings { url, login, register, cache, .. } = settings;
        let url: Arc<str> = url.trim_end_matches('/').into();
        Ok(Self(Arc::new(Inner {
            api: Api::new(Arc::clone(&url), login.as_ref(), limit),
            register,
            cache: cache.map(|folder| Cache::new(&folder, &url)),
            clock,
            blocking,
            contact: Mutex::new(Contact::new(url, random)),
            schemas: Mutex::default(),
        })))
    }

    /// Runs a job that asks the registry on a thread that may wait. It runs whether or not anybody waits for what it sends.
    fn away<T: Send + 'static>(
        &self,
        send: oneshot::Sender<Result<T, Failure>>,
        job: impl FnOnce(&Inner) -> Result<T, Failure> + Send + 'static,
    ) {
        let inner = Arc::clone(&self.0);
        self.0.blocking.run(Box::new(move || {
            // Nobody waits any more where the caller was interrupted.
            let _ = send.send(job(&inner));
        }));
    }

    /// The request for a schema: the one that is under way or answered, or a new one.
    fn flight(&self, id: u32) -> Flight {
        let (send, receive) = oneshot::channel();
        let flight = receive.map(received).boxed().shared();
        {
            let mut schemas = lock(&self.0.schemas);
            if let Some(known) = schemas.get(&id) {
                return known.clone();
            }
            schemas.insert(id, flight.clone());
        }
        self.away(send, move |inner| {
            let answer = inner.fetch(id);
            if answer.is_err() {
                lock(&inner.schemas).remove(&id);
            }
            answer
        });
        flight
    }

    /// Waits until the registry may be asked again that did not answer.
    async fn until_due(&self) {
        let mut rest = SHORTEST_REST;
        while !rest.is_zero() {
            self.0.clock.sleep(rest).await;
            rest = lock(&self.0.contact).rest(self.0.clock.now());
        }
    }

    /// Asks for the id of a schema until there is an answer.
    async fn ask_id(&self, subject: &str, schema: &str) -> Result<u32, Failure> {
        loop {
            let (subject, schema) = (subject.to_owned(), schema.to_owned());
            let (send, receive) = oneshot::channel();
            self.away(send, move |inner| inner.find_id(&subject, &schema));
            match received(receive.await) {
                Err(Failure::NoAnswer(_)) => self.until_due().await,
                answer => return answer,
            }
        }
    }
}

#[async_trait]
impl Schemas for Registry {
    async fn schema(&self, id: u32) -> Result<Arc<str>, Coded> {
        loop {
            match self.flight(id).await {
                Ok(schema) => return Ok(schema),
                // A service that runs waits for a way in as for an answer.
                Err(Failure::NoAnswer(_) | Failure::Denied(_)) => self.until_due().await,
                Err(Failure::NotThere(_)) => {
                    let message = format!("the registry at {} has no schema {id}", self.0.api.url());
                    return Err(Coded::new(Code::SCHEMA_NOT_REGISTERED, message));
                }
                Err(Failure::Refused(cause)) => {
                    let message = format!("schema {id} of the registry at {}: {cause}", self.0.api.url());
                    return Err(Coded::new(Code::SCHEMA_NOT_REGISTERED, message));
                }
            }
        }
    }

    async fn id(&self, topic: &str, schema: &str) -> Result<u32, Coded> {
        let (url, subject) = (self.0.api.url(), subject(topic));
        let asking = pin!(self.ask_id(&subject, schema));
        let failure = match select(asking, self.0.clock.sleep(PATIENCE)).await {
            Either::Left((Ok(id), _)) => return Ok(id),
            Either::Left((Err(failure), _)) => failure,
            Either::Right(_) => Failure::NoAnswer(lock(&self.0.contact).cause().to_owned()),
        };
        let (code, message) = match failure {
            Failure::NoAnswer(cause) => {
                (Code::REGISTRY_UNREACHABLE, format!("no schema registry answers at {url}: {cause}"))
            }
            Failure::Denied(cause) => {
                (Code::REGISTRY_REFUSES, format!("the schema registry at {url} does not let us in: {cause}"))
            }
            Failure::NotThere(_) => {
                let remedy = "register it there, or set registry.register to missing";
                let message = format!("its schema is not registered under subject {subject} at {url}; {remedy}");
                (Code::SCHEMA_NOT_REGISTERED, message)
            }
            Failure::Refused(cause) => {
                let message = format!("the registry at {url} refuses its schema under subject {subject}: {cause}");
                (Code::SCHEMA_NOT_REGISTERED, message)
            }
        };
        Err(Coded::new(code, message))
    }
}

/// What a job sent, or that it was given up when the process ended.
fn received<T>(received: Result<Result<T, Failure>, oneshot::Canceled>) -> Result<T, Failure> {
    received.unwrap_or_else(|_| Err(Failure::NoAnswer("the thread that asked it ended".into())))
}

/// Under what the schemas of a topic's values are registered: Confluent's `TopicNameStrategy`.
fn subject(topic: &str) -> String {
    format!("{topic}-value")
}

impl Inner {
    /// Gets a schema: from the registry if it answers, else from the disk.
    fn fetch(&self, id: u32) -> Result<Arc<str>, Failure> {
        let answer = self.ask(|api| api.schema(id));
        match (answer, &self.cache) {
            (Ok(schema), cache) => {
                if let Some(cache) = cache {
                    cache.keep_schema(id, &schema);
                }
                Ok(schema.into())
            }
            (Err(failure @ Failure::NoAnswer(_)), Some(cache)) => cache.schema(id).map(Arc::from).ok_or(failure),
            (Err(failure), _) => Err(failure),
        }
    }

    /// Finds the id of a schema that is written, and registers it if that is wanted.
    fn find_id(&self, subject: &str, schema: &str) -> Result<u32, Failure> {
        let mut answer = self.ask(|api| api.look_up(subject, schema));
        if self.register && matches!(answer, Err(Failure::NotThere(_))) {
            answer = self.ask(|api| api.register(subject, schema));
            if let Ok(id) = &answer {
                tracing::info!(subject, id, registry = self.api.url(), "schema registered");
            }
        }
        match (answer, &self.cache) {
            (Ok(id), Some(cache)) => {
                cache.keep_id(subject, schema, id);
                Ok(id)
            }
            (Err(failure @ Failure::NoAnswer(_)), Some(cache)) => cache.id(subject, schema).ok_or(failure),
            (answer, _) => answer,
        }
    }

    /// Asks the registry, unless it failed so lately that it is left alone.
    fn ask<T>(&self, question: impl FnOnce(&Api) -> Result<T, Failure>) -> Result<T, Failure> {
        {
            let contact = lock(&self.contact);
            if !contact.rest(self.clock.now()).is_zero() {
                return Err(Failure::NoAnswer(contact.cause().to_owned()));
            }
        }
        let answer = question(&self.api);
        let now = self.clock.now();
        match &answer {
            Err(Failure::NoAnswer(cause) | Failure::Denied(cause)) => lock(&self.contact).failed(now, cause),
            Ok(_) | Err(Failure::NotThere(_) | Failure::Refused(_)) => lock(&self.contact).answered(),
        }
        answer
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Registry({})", self.0.api.url())
    }
}

/// Text as a part of a URL's path, which is a file's name as well: what is not plain is written as `%` and two digits.
fn encoded(text: &str) -> String {
    use fmt::Write;
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_') {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("a string takes everything");
        }
    }
    encoded
}

#[cfg(test)]
mod tests;
