//! Brings a shard's state to where the group stands, and tells the group's progress.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::Consumer;
use tidemill_core::code::{Code, Coded};
use tidemill_core::ports::Generation;
use tidemill_core::progress::Progress;
use tidemill_core::record::TopicPartition;

use crate::broker::lock;
use crate::changelog::{self, Pace};
use crate::checks::too_few;
use crate::commits::Desk;
use crate::failure::Failure;
use crate::names;
use crate::offsets;
use crate::ownership::fenced;
use crate::reader::number;

/// How long one question may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long to wait for a cluster that does not answer before it is asked again.
const PAUSE: Duration = Duration::from_millis(200);
/// How often a long restore tells how far it is.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// The restore of one shard.
pub(crate) struct Restore<'a> {
    pub(crate) desk: &'a Desk,
    pub(crate) shard: u32,
    pub(crate) generation: Generation,
    pub(crate) partitions: &'a [TopicPartition],
}

impl Restore<'_> {
    /// The group's progress in each partition, after the shard's state was brought there.
    ///
    /// The order counts: offsets are stable when they are told, so everything that was committed with them stands before the
    /// end that the changelog has after that.
    pub(crate) fn run(&self) -> Result<Vec<Option<Progress>>, Coded> {
        let turn = self.desk.states.turn(self.shard);
        let _held = lock(&turn);
        self.open()?;
        for partition in self.partitions {
            // Asked anew for each ownership: a topic may have been made again meanwhile.
            self.patiently("a topic cannot be looked up", || self.desk.shared.ask_topic(&partition.topic))?;
        }
        let committed = self.committed()?;
        self.restore()?;
        let mut all = Vec::new();
        for (partition, committed) in self.partitions.iter().zip(committed) {
            all.push(self.progress(partition, committed)?);
        }
        Ok(all)
    }

    /// Opens the member's producer, which ends what a former process left open under its name.
    fn open(&self) -> Result<(), Coded> {
        let Desk { shared, transactions, .. } = self.desk;
        loop {
            self.is_wanted()?;
            match lock(transactions).open(shared.clock.now()) {
                Err(cause) if cause.code == Code::BROKER_UNREACHABLE => shared.clients.reach.lost(&cause.message),
                opened => return opened,
            }
            std::thread::park_timeout(PAUSE);
        }
    }

    fn is_wanted(&self) -> Result<(), Coded> {
        if self.goes_on() {
            return Ok(());
        }
        Err(fenced(format!("shard {} is not this member's any more", self.shard)))
    }

    fn goes_on(&self) -> bool {
        self.desk.ownership.check(self.generation, self.partitions).is_ok()
    }

    /// Asks again while the cluster does not answer and the shard is wanted.
    fn patiently<T>(&self, what: &str, mut ask: impl FnMut() -> Result<T, Failure>) -> Result<T, Coded> {
        loop {
            self.is_wanted()?;
            match ask() {
                Ok(answer) => return Ok(answer),
                Err(failure) if failure.is_absence() => {
                    self.desk.shared.clients.reach.lost(&failure.text);
                    std::thread::park_timeout(PAUSE);
                }
                Err(failure) => return Err(failure.coded(what)),
            }
        }
    }

    /// The group's offsets, when no transaction on them is open any more.
    fn committed(&self) -> Result<Vec<Option<Progress>>, Coded> {
        let mut list = rdkafka::TopicPartitionList::new();
        for partition in self.partitions {
            list.add_partition(&partition.topic, number(partition));
        }
        let what = format!("offsets of group {} cannot be read", self.desk.group);
        let list = self.patiently(&what, || {
            let Some(member) = self.desk.member.upgrade() else {
                return Err(Failure::new(rdkafka::error::RDKafkaErrorCode::UnknownMemberId, "the member is gone"));
            };
            Ok(member.committed_offsets(list.clone(), PATIENCE)?)
        })?;
        let read =
            |partition: &TopicPartition| offsets::read(&list.find_partition(&partition.topic, number(partition))?);
        Ok(self.partitions.iter().map(read).collect())
    }

    /// Brings the cache to the changelog's end.
    fn restore(&self) -> Result<(), Coded> {
        let Desk { shared, group, states, reader, .. } = self.desk;
        let changelog = TopicPartition::new(names::changelog(group), self.shard);
        let info = self.patiently("a topic cannot be looked up", || shared.ask_topic(&changelog.topic))?;
        let Some(info) = info else { return Err(no_changelog(group, &changelog.topic)) };
        if self.shard >= info.partitions {
            return Err(too_few(&changelog.topic, info.partitions, self.shard + 1));
        }
        let what = format!("the end of {changelog} cannot be read");
        let (start, end) = self.patiently(&what, || shared.ask_offsets(&changelog))?;
        let now = shared.clock.now();
        states.own(self.shard, self.generation, now);
        let mark = states.mark(self.shard, &info.id, end, now)?.filter(|mark| mark.position >= start);
        if mark.is_none() {
            states.clear(self.shard)?;
        }
        let from = mark.map_or(0, |mark| mark.position);
        if from < end && start < end {
            self.read(reader, &changelog, (from, end))?;
        }
        states.set_mark(self.shard, &crate::states::Mark { topic_id: info.id.to_string(), position: end, at: now })
    }

    fn read(
        &self,
        reader: &Arc<crate::client::Plain>,
        changelog: &TopicPartition,
        (from, end): (u64, u64),
    ) -> Result<(), Coded> {
        let Desk { shared, states, group, .. } = self.desk;
        let began = shared.clock.now();
        let mut told = began;
        let mut reached = |at: u64| {
            let at = at.min(end);
            let now = shared.clock.now();
            if now.since(told) >= TELL_EVERY {
                told = now;
                let millis = u64::try_from(now.since(began).as_millis()).unwrap_or(u64::MAX).max(1);
                let rate = at.saturating_sub(from) * 1000 / millis;
                let seconds_left = end.saturating_sub(at).checked_div(rate);
                tracing::info!(%group, shard = self.shard, at, end, rate, seconds_left, "state is being restored");
            }
        };
        let mut pace = Pace { goes_on: &|| self.goes_on(), reached: &mut reached };
        let whole =
            changelog::read(reader, changelog, (from, end), &mut pace, |changes| states.apply(self.shard, changes))?;
        if !whole {
            return Err(fenced(format!("shard {} went to another member while it was restored", self.shard)));
        }
        let (records, took) = (end - from, shared.clock.now().since(began));
        tracing::debug!(%group, shard = self.shard, records, ?took, "state restored");
        Ok(())
    }

    /// The progress beside the state, and the group's offset: they are committed together, so they agree unless somebody
    /// changed one of them.
    fn progress(&self, partition: &TopicPartition, committed: Option<Progress>) -> Result<Option<Progress>, Coded> {
        let Desk { shared, group, states, .. } = self.desk;
        let Some((topic_id, kept)) = states.progress(self.shard, &partition.topic)? else { return Ok(committed) };
        let present = shared.known_id(&partition.topic);
        if *topic_id != *present {
            let message = format!(
                "topic {} was made again: the state of group {group} stems from records of another topic of that name",
                partition.topic
            );
            return Err(Coded::new(Code::TOPIC_REPLACED, message));
        }
        let lost = |what: &str| {
            let message = format!(
                "{what}, and the state of group {group} holds {partition} up to {}; records would be handled twice",
                kept.resume_at()
            );
            Coded::new(Code::OFFSETS_LOST, message)
        };
        match committed {
            None => Err(lost(&format!("group {group} has no offset for {partition}"))),
            Some(found) if found.resume_at() < kept.resume_at() => {
                Err(lost(&format!("the offset of group {group} for {partition} was set back to {}", found.resume_at())))
            }
            Some(found) if found.resume_at() > kept.resume_at() => {
                tracing::warn!(%group, %partition, from = kept.resume_at(), to = found.resume_at(), "records are left out: the group's offset was set forward");
                Ok(Some(found))
            }
            Some(_) => Ok(Some(kept)),
        }
    }
}

fn no_changelog(group: &str, topic: &str) -> Coded {
    let message =
        format!("topic {topic}, which the state of {group} is kept in, does not exist; `topics create` makes it");
    Coded::new(Code::TOPIC_MISSING, message)
}
