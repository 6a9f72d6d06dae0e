//! The settings of topics that the runtime hangs on, as the cluster tells them.

use std::time::Duration;

use rdkafka::admin::{AdminOptions, ConfigResource, ResourceSpecifier};
use tidemill_core::code::{Code, Coded};

use crate::broker::{Kafka, PATIENCE};
use crate::failure::Failure;
use crate::names;
use crate::settings::Settings;

const POLICY: &str = "cleanup.policy";
const COMPACT: &str = "compact";
const REMOVALS_KEPT: &str = "delete.retention.ms";
const LARGEST: &str = "max.message.bytes";

/// How long a changelog has to remember that a key was removed: a local copy of the state may have missed it for half as long.
const LEAST_KEPT: Duration = Duration::from_hours(24);
/// What a record of the changelog may have more than the record it comes from.
const EXTRA_BYTES: u64 = 64 * 1024;

/// What a topic is set to. What the broker does not tell is `None`.
pub(crate) struct TopicConfig {
    topic: String,
    policy: Option<String>,
    removals_kept: Option<Duration>,
    /// The largest batch that it takes, as the producer sends it.
    pub(crate) largest: Option<u64>,
}

impl TopicConfig {
    fn read(resource: &ConfigResource, topic: &str) -> Self {
        let text = |name: &str| resource.get(name).and_then(|entry| entry.value.clone());
        let number = |name: &str| text(name).and_then(|value| value.parse::<u64>().ok());
        Self {
            topic: topic.to_owned(),
            policy: text(POLICY),
            removals_kept: number(REMOVALS_KEPT).map(Duration::from_millis),
            largest: number(LARGEST),
        }
    }

    /// Whether it can be the changelog of a group whose inputs have records of up to `largest` bytes.
    fn suits_a_changelog(&self, largest: Option<u64>, settings: &Settings) -> Result<(), Coded> {
        if self.policy.as_ref().is_some_and(|policy| policy != COMPACT) {
            return Err(self.unfit("of which the broker deletes state", (POLICY, COMPACT), settings));
        }
        if self.removals_kept.is_some_and(|kept| kept < LEAST_KEPT) {
            let why = "after which a local copy of the state may bring back what was removed";
            return Err(self.unfit(why, (REMOVALS_KEPT, &LEAST_KEPT.as_millis().to_string()), settings));
        }
        let wanted = largest.map(with_extra);
        if let (Some(wanted), Some(is)) = (wanted, self.largest)
            && is < wanted
        {
            let why = "which is less than the inputs' and what a change of state may add to it";
            return Err(self.unfit(why, (LARGEST, &wanted.to_string()), settings));
        }
        Ok(())
    }

    /// A setting is not what it has to be.
    fn unfit(&self, why: &str, (name, wanted): (&str, &str), settings: &Settings) -> Coded {
        let is = match name {
            POLICY => self.policy.clone().unwrap_or_default(),
            REMOVALS_KEPT => self.removals_kept.unwrap_or_default().as_millis().to_string(),
            _ => self.largest.unwrap_or_default().to_string(),
        };
        let (topic, brokers) = (&self.topic, &settings.brokers);
        let message = format!(
            "topic {topic} has {name}={is}, {why}; it is set with: kafka-configs.sh --bootstrap-server {brokers} --alter \
             --entity-type topics --entity-name {topic} --add-config {name}={wanted}"
        );
        Coded::new(Code::CHANGELOG_UNFIT, message)
    }
}

/// The largest record of a changelog whose inputs have records of this size.
fn with_extra(largest: u64) -> u64 {
    largest.saturating_add(EXTRA_BYTES)
}

impl Kafka {
    /// What these topics are set to. One that does not exist, or whose settings may not be seen, is left out.
    pub(crate) async fn configs(&self, topics: &[&str]) -> Result<Vec<TopicConfig>, Coded> {
        let cannot = |failure: Failure| failure.coded("settings of topics cannot be read");
        let admin = self.shared.clients.admin().map_err(cannot)?;
        let options = AdminOptions::new().request_timeout(Some(PATIENCE));
        let wanted: Vec<_> = topics.iter().map(|topic| ResourceSpecifier::Topic(topic)).collect();
        let answers = admin.describe_configs(&wanted, &options).await.map_err(|error| cannot(error.into()))?;
        let mut known = Vec::new();
        for (topic, answer) in topics.iter().zip(answers) {
            match answer {
                Ok(resource) => known.push(TopicConfig::read(&resource, topic)),
                Err(code) => tracing::debug!(topic, %code, "settings of a topic cannot be seen"),
            }
        }
        Ok(known)
    }

    /// Whether the changelog of a group is kept as state has to be, and takes what its inputs hold.
    pub(crate) async fn check_changelog(&self, group: &str, inputs: &[impl AsRef<str>]) -> Result<(), Coded> {
        let changelog = names::changelog(group);
        let Some(config) = self.configs(&[&changelog]).await?.pop() else { return Ok(()) };
        config.suits_a_changelog(self.largest_of(inputs).await?, self.shared.clients.settings())
    }

    /// What a topic of a group's own is set to when it is created: its records count until there is a newer one of their key.
    pub(crate) async fn settings_of_own(
        &self,
        inputs: &[impl AsRef<str>],
    ) -> Result<Vec<(&'static str, String)>, Coded> {
        let largest = self.largest_of(inputs).await?.map(|largest| (LARGEST, with_extra(largest).to_string()));
        Ok([(POLICY, COMPACT.to_owned())].into_iter().chain(largest).collect())
    }

    async fn largest_of(&self, topics: &[impl AsRef<str>]) -> Result<Option<u64>, Coded> {
        let topics: Vec<&str> = topics.iter().map(AsRef::as_ref).collect();
        Ok(self.configs(&topics).await?.into_iter().filter_map(|config| config.largest).max())
    }
}
