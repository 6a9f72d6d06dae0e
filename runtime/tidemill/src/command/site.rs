//! Where a command looks: the broker, and the services that it is about.

use std::collections::BTreeSet;
use std::sync::Arc;

use clap::Args;
use tidemill_core::code::{Code, Coded};
use tidemill_core::ports::Broker;
use tidemill_core::record::Record;
use tidemill_core::service::{Service, ServiceBuilder};

use crate::command::Options;
use crate::config::Configuration;
use crate::host::{Host, missing};
use crate::query;

/// Which services are meant, and where they are.
#[derive(Debug, Clone, Args)]
pub(super) struct Place {
    /// Only this service. May be repeated.
    #[arg(long, value_name = "NAME")]
    service: Vec<String>,
    #[command(flatten)]
    options: Options,
}

impl Place {
    /// Takes this word of `--state`, if it is given, where it means something else than a place.
    pub(super) fn takes_state(&mut self, word: &str) -> bool {
        self.options.state.take_if(|state| state == word).is_some()
    }
}

/// The broker and the services.
pub(super) struct Site {
    pub(super) host: Host,
    /// The services that are meant, each once.
    pub(super) names: Vec<Arc<str>>,
    /// Whether all that are known are meant: one that never ran here has nothing.
    are_all: bool,
}

impl Site {
    /// Opens the broker. A service that is not among those known, where any are, is an error (TM-0104); so is none at all.
    pub(super) fn open(place: &Place, known: Vec<ServiceBuilder>) -> Result<Self, Coded> {
        let configuration = Configuration::load(&place.options)?;
        let all: Vec<Arc<str>> = known.iter().map(|service| Arc::clone(service.name())).collect();
        let unknown = |message| Err(Coded::new(Code::UNKNOWN_NAME, message));
        if let Some(other) = place.service.iter().find(|wanted| all.iter().all(|name| **name != ***wanted))
            && !all.is_empty()
        {
            return unknown(format!("there is no service {other} here; there are {}", all.join(", ")));
        }
        let mut seen = BTreeSet::new();
        let wanted = place.service.iter().filter(|name| seen.insert(name.as_str()));
        let names = if place.service.is_empty() { all } else { wanted.map(|name| name.as_str().into()).collect() };
        let Some(first) = names.first() else {
            return unknown("it has to be said which service is meant: --service NAME".to_owned());
        };
        let mut host = Host::open_existing(configuration, first)?;
        for service in known {
            if names.contains(service.name()) {
                host.add(service)?;
            }
        }
        let are_all = place.service.is_empty() && names.len() > 1;
        Ok(Self { host, names, are_all })
    }

    pub(super) fn broker(&self) -> &dyn Broker {
        &**self.host.broker()
    }

    /// The service of this name, where its handlers are known.
    pub(super) fn service(&self, name: &str) -> Option<&Service> {
        self.host.services().iter().find(|service| **service.name() == *name).map(|service| &**service)
    }

    /// Hands over the records of a topic that a service has for itself, partition by partition, from these offsets on, which move
    /// behind what was read. A topic that does not exist is an error (TM-0401), unless all services are asked.
    pub(super) async fn read(
        &self,
        service: &str,
        topic: &str,
        from: &mut Vec<u64>,
        each: impl FnMut(u32, Record),
    ) -> Result<(), Coded> {
        if query::records(self.broker(), topic, from, each).await? || self.are_all {
            return Ok(());
        }
        Err(missing(&format!("topic {topic} does not exist"), service, self.host.configuration().broker()))
    }
}
