//! The settings of topics that the runtime hangs on, as the cluster tells them.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::{AdminOptions, ConfigResource, OwnedResourceSpecifier, ResourceSpecifier};
use tidemill_core::code::{Code, Coded};
use tidemill_core::internal;

use crate::broker::{Kafka, PATIENCE};
use crate::failure::Failure;
use crate::names;
use crate::settings::Settings;

const POLICY: &str = "cleanup.policy";
const COMPACT: &str = "compact";
const REMOVALS_KEPT: &str = "delete.retention.ms";
const KEPT: &str = "retention.ms";
const FOR_EVER: &str = "-1";
const LARGEST: &str = "max.message.bytes";

/// How long a changelog has to remember that a key was removed: a local copy of the state may have missed it for half as long.
const LEAST_KEPT: Duration = Duration::from_hours(24);
/// What a record of the changelog may have more than the record it comes from.
const EXTRA_BYTES: u64 = 64 * 1024;

/// What a topic is set to. What the broker does not tell is `None`.
pub(crate) struct TopicConfig {
    pub(crate) topic: String,
    policy: Option<String>,
    removals_kept: Option<Duration>,
    /// The largest batch that it takes, as the producer sends it.
    pub(crate) largest: Option<u64>,
}

impl TopicConfig {
    fn read(resource: &ConfigResource) -> Option<Self> {
        let OwnedResourceSpecifier::Topic(topic) = &resource.specifier else { return None };
        let text = |name: &str| resource.get(name).and_then(|entry| entry.value.clone());
        let number = |name: &str| text(name).and_then(|value| value.parse::<u64>().ok());
        Some(Self {
            topic: topic.clone(),
            policy: text(POLICY),
            removals_kept: number(REMOVALS_KEPT).map(Duration::from_millis),
            largest: number(LARGEST),
        })
    }

    /// Whether it can be the changelog of a group whose inputs have records of up to `largest` bytes.
    fn suits_a_changelog(&self, largest: Option<u64>, settings: &Settings) -> Result<(), Coded> {
        if let Some(policy) = self.policy.as_ref().filter(|policy| *policy != COMPACT) {
            return Err(self.unfit((POLICY, policy, COMPACT), "of which the broker deletes state", settings));
        }
        if let Some(kept) = self.removals_kept.filter(|kept| *kept < LEAST_KEPT) {
            let (is, wanted) = (kept.as_millis().to_string(), LEAST_KEPT.as_millis().to_string());
            let why = "after which a local copy of the state may bring back what was removed";
            return Err(self.unfit((REMOVALS_KEPT, &is, &wanted), why, settings));
        }
        if let (Some(wanted), Some(is)) = (largest.map(with_extra), self.largest)
            && is < wanted
        {
            let why = "which is less than the inputs' and what a change of state may add to it";
            return Err(self.unfit((LARGEST, &is.to_string(), &wanted.to_string()), why, settings));
        }
        Ok(())
    }

    /// A setting is not what it has to be.
    fn unfit(&self, (name, is, wanted): (&str, &str, &str), why: &str, settings: &Settings) -> Coded {
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

/// The largest record that any of these topics takes.
fn largest_of<'a>(configs: impl IntoIterator<Item = &'a TopicConfig>) -> Option<u64> {
    configs.into_iter().filter_map(|config| config.largest).max()
}

impl Kafka {
    /// What these topics are set to. One that does not exist, or whose settings may not be seen, is left out.
    pub(crate) async fn configs(&self, topics: &[&str]) -> Result<Vec<TopicConfig>, Coded> {
        if topics.is_empty() {
            return Ok(Vec::new());
        }
        let cannot = |failure: Failure| failure.coded("settings of topics cannot be read");
        let admin = self.shared.clients.admin().map_err(cannot)?;
        let options = AdminOptions::new().request_timeout(Some(PATIENCE));
        let wanted: Vec<_> = topics.iter().map(|topic| ResourceSpecifier::Topic(topic)).collect();
        let answers = admin.describe_configs(&wanted, &options).await.map_err(|error| cannot(error.into()))?;
        // A broker answers last of all about what may not be seen, so the order tells nothing.
        let read = |answer: Result<ConfigResource, _>| match answer {
            Ok(resource) => TopicConfig::read(&resource),
            Err(code) => {
                tracing::debug!(?topics, %code, "settings of a topic cannot be seen");
                None
            }
        };
        Ok(answers.into_iter().filter_map(read).collect())
    }

    /// Whether the changelog of a group is kept as state has to be, and takes what its inputs hold.
    pub(crate) async fn check_changelog(&self, group: &str, inputs: &[Arc<str>]) -> Result<(), Coded> {
        let (changelog, internal) = (names::changelog(group), internal::internal(group));
        let inputs = inputs.iter().map(|input| &**input).filter(|input| *input != internal);
        let topics: Vec<&str> = [&*changelog].into_iter().chain(inputs).collect();
        let configs = self.configs(&topics).await?;
        let (own, inputs): (Vec<_>, Vec<_>) = configs.iter().partition(|config| config.topic == changelog);
        let largest = largest_of(inputs);
        own.iter().try_for_each(|config| config.suits_a_changelog(largest, self.shared.clients.settings()))
    }

    /// What a topic of a group's own is set to when it is created. It takes what the inputs take and something more. Of changelogs and
    /// operations, records count until there is a newer one of their key; dead letters stay until somebody removes them; commands are
    /// done soon, and kept as long as other records, and so are journals.
    pub(crate) async fn settings_of_own(
        &self,
        topic: &str,
        inputs: &[Arc<str>],
    ) -> Result<Vec<(&'static str, String)>, Coded> {
        // What is the group's own is as large as the others are.
        let inputs = inputs.iter().map(|input| &**input).filter(|input| !input.ends_with(internal::INTERNAL));
        let inputs: Vec<&str> = inputs.collect();
        let largest = largest_of(&self.configs(&inputs).await?);
        let largest = largest.map(|largest| (LARGEST, with_extra(largest).to_string()));
        let own = if topic.ends_with(internal::DEAD_LETTERS) {
            Some((KEPT, FOR_EVER.to_owned()))
        } else {
            let is_kept_as_others = [internal::INTERNAL, internal::JOURNAL].iter().any(|end| topic.ends_with(end));
            (!is_kept_as_others).then(|| (POLICY, COMPACT.to_owned()))
        };
        Ok(own.into_iter().chain(largest).collect())
    }
}
