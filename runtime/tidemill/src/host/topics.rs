//! The topics of everything that runs in one host.

use std::collections::BTreeSet;
use std::sync::Arc;

use tidemill_core::code::{Code, Coded};
use tidemill_core::ports::OwnTopic;
use tidemill_core::service::Service;

use crate::host::{Host, broker};

/// What is missing, and the command that creates it.
pub(crate) fn missing(what: &str, service: &str, address: &str) -> Coded {
    let remedy = format!("{service} topics create --broker {address}");
    Coded::new(Code::TOPIC_MISSING, format!("{what}; create it with: {remedy}"))
}

impl Host {
    /// The topics that the services and the program itself read and write, and those that the broker needs for them, each once, by name.
    pub fn topics(&self) -> BTreeSet<Arc<str>> {
        let of_services = self.services.iter().flat_map(|service| self.topics_of(service));
        let own = self.writes.iter().cloned().chain(self.relay_topic().map(|own| own.name));
        of_services.chain(own).collect()
    }

    fn topics_of(&self, service: &Service) -> Vec<Arc<str>> {
        let declared = service.input_topics().chain(service.output_topics()).cloned();
        declared.chain(self.broker.own_topics(service.name()).into_iter().map(|own| own.name)).collect()
    }

    /// The topic that a relay needs here.
    fn relay_topic(&self) -> Option<OwnTopic> {
        self.broker.sender_topic(&self.state.relay_name(&self.configuration)?)
    }

    /// The service of which this topic is an own one, if there is one.
    fn own_topic(&self, topic: &str) -> Option<(&Service, OwnTopic)> {
        self.services.iter().find_map(|service| {
            let of_service =
                service.own_topics().map(|(name, partitions)| OwnTopic { name: Arc::clone(name), partitions });
            let mut all = self.broker.own_topics(service.name()).into_iter().chain(of_service);
            Some((&**service, all.find(|own| *own.name == *topic)?))
        })
    }

    /// How many partitions a topic gets that is created: as many as its service's inputs have where it goes with them, else
    /// as configured.
    pub(crate) async fn partitions_for(&self, topic: &str) -> Result<u32, Coded> {
        if let Some(relay) = self.relay_topic().filter(|own| *own.name == *topic) {
            return Ok(relay.partitions.unwrap_or(1));
        }
        let Some((service, own)) = self.own_topic(topic) else { return Ok(self.configuration.partitions()) };
        if let Some(partitions) = own.partitions {
            return Ok(partitions);
        }
        for input in service.input_topics() {
            if let Some(info) = self.broker.topics().describe(input).await? {
                return Ok(info.partitions);
            }
        }
        Ok(self.configuration.partitions())
    }

    /// Creates those of these topics that do not exist, with the configured number of partitions, and tells which they were.
    /// One that exists stays as it is.
    pub async fn create_topics(&self, topics: impl IntoIterator<Item = Arc<str>>) -> Result<Vec<Arc<str>>, Coded> {
        let known = self.broker.topics();
        let mut created = Vec::new();
        // What the broker needs itself goes by the inputs, so those come first.
        let (own, others): (Vec<_>, Vec<_>) = topics.into_iter().partition(|topic| self.own_topic(topic).is_some());
        for topic in others.into_iter().chain(own) {
            if known.describe(&topic).await?.is_none() {
                let partitions = self.partitions_for(&topic).await?;
                match self.own_topic(&topic) {
                    Some((service, _)) => {
                        let inputs: Vec<_> = service.input_topics().cloned().collect();
                        self.broker.create_own(&topic, &inputs, partitions).await?;
                    }
                    None if self.relay_topic().is_some_and(|own| own.name == topic) => {
                        self.broker.create_own(&topic, &[], partitions).await?;
                    }
                    None => known.create(&topic, partitions).await?,
                }
                tracing::debug!(topic = %topic, partitions, "topic created");
                created.push(topic);
            }
        }
        Ok(created)
    }

    /// Sees to it that every topic of every service exists: one that is missing is created in memory, and elsewhere an error
    /// (TM-0401) with its remedy.
    pub(crate) async fn prepare(&self) -> Result<(), Coded> {
        if broker::is_memory(self.configuration.broker()) {
            return self.create_topics(self.topics()).await.map(drop);
        }
        let (topics, address) = (self.broker.topics(), self.configuration.broker());
        for service in &self.services {
            for topic in self.topics_of(service) {
                if topics.describe(&topic).await?.is_none() {
                    let what = format!("topic {topic}, which service {} needs, does not exist", service.name());
                    return Err(missing(&what, service.name(), address));
                }
            }
            let inputs: Vec<_> = service.input_topics().cloned().collect();
            let outputs: Vec<_> = service.output_topics().cloned().collect();
            self.broker.check(service.name(), &inputs, &outputs).await?;
        }
        for topic in self.writes.iter().cloned().chain(self.relay_topic().map(|own| own.name)) {
            if topics.describe(&topic).await?.is_none() {
                let what = format!("topic {topic} does not exist");
                let service = self.services.first().map(|service| service.name());
                let creator = self.program.as_ref().or(service).map_or("PROGRAM", |name| name);
                return Err(missing(&what, creator, &format!("{address} --state …")));
            }
        }
        Ok(())
    }
}
