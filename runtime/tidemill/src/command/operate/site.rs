//! Where a command looks: the broker, and the services that it is about.

use std::collections::BTreeSet;
use std::sync::Arc;

use tidemill_core::code::{Code, Coded};
use tidemill_core::ports::Broker;
use tidemill_core::record::{Record, TopicPartition};
use tidemill_core::service::{Service, ServiceBuilder};

use super::About;
use crate::config::Configuration;
use crate::host::{Host, missing};

/// Records that are read at a time.
const PAGE: usize = 1_000;

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
    pub(super) fn open(about: &About, known: Vec<ServiceBuilder>) -> Result<Self, Coded> {
        let configuration = Configuration::load(&about.options)?;
        let all: Vec<Arc<str>> = known.iter().map(|service| Arc::clone(service.name())).collect();
        let unknown = |message| Err(Coded::new(Code::UNKNOWN_NAME, message));
        if let Some(other) = about.service.iter().find(|wanted| all.iter().all(|name| **name != ***wanted))
            && !all.is_empty()
        {
            return unknown(format!("there is no service {other} here; there are {}", all.join(", ")));
        }
        let mut seen = BTreeSet::new();
        let wanted = about.service.iter().filter(|name| seen.insert(name.as_str()));
        let names = if about.service.is_empty() { all } else { wanted.map(|name| name.as_str().into()).collect() };
        let Some(first) = names.first() else {
            return unknown("it has to be said which service is meant: --service NAME".to_owned());
        };
        let mut host = Host::open_existing(configuration, first)?;
        for service in known {
            if names.contains(service.name()) {
                host.add(service)?;
            }
        }
        let are_all = about.service.is_empty() && names.len() > 1;
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
        mut each: impl FnMut(u32, Record),
    ) -> Result<(), Coded> {
        let topics = self.broker().topics();
        let Some(info) = topics.describe(topic).await? else {
            if self.are_all {
                return Ok(());
            }
            let what = format!("topic {topic} does not exist");
            return Err(missing(&what, service, self.host.configuration().broker()));
        };
        from.resize(info.partitions as usize, 0);
        for (number, from) in (0..).zip(from) {
            let partition = TopicPartition::new(topic, number);
            loop {
                let batch = topics.records(&partition, *from, PAGE).await?;
                *from = batch.next;
                let is_last = batch.records.len() < PAGE;
                batch.records.into_iter().for_each(|record| each(number, record));
                if is_last {
                    break;
                }
            }
        }
        Ok(())
    }
}
