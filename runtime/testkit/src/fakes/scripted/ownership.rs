//! Who owns what in a scripted broker: by rule, or by the test's hand.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tidemill_core::ports::{Generation, LogEvent};
use tidemill_core::record::TopicPartition;

use super::world::{Group, Owner, World};

/// Partitions by member.
type Moves = BTreeMap<Arc<str>, Vec<TopicPartition>>;

impl Group {
    /// Tells a member something, and wakes it.
    fn tell(&mut self, member: &str, event: LogEvent) {
        if let Some(seat) = self.members.get_mut(member) {
            seat.events.push_back(event);
            if let Some(waker) = seat.waker.take() {
                waker.wake();
            }
        }
    }
}

impl World {
    /// Gives partitions to a member.
    pub(super) fn assign(&mut self, group: &str, member: &Arc<str>, partitions: Vec<TopicPartition>) {
        let generation = Generation(self.number());
        let Some(group) = self.groups.get_mut(group) else { return };
        for partition in &partitions {
            let owner = Owner { member: Arc::clone(member), generation, deadline: None };
            group.owners.insert(partition.clone(), owner);
        }
        group.tell(member, LogEvent::Assigned { partitions, generation });
    }

    /// Asks partitions back.
    pub(super) fn revoke(&mut self, group: &str, member: &str, partitions: Vec<TopicPartition>, now: Duration) {
        let drain = self.drain;
        let Some(group) = self.groups.get_mut(group) else { return };
        for partition in &partitions {
            if let Some(owner) = group.owners.get_mut(partition) {
                owner.deadline = Some(now + drain);
            }
        }
        group.tell(member, LogEvent::Revoked { partitions, drain });
    }

    /// Takes partitions away.
    pub(super) fn lose(&mut self, group: &str, member: &str, partitions: Vec<TopicPartition>) {
        let Some(group) = self.groups.get_mut(group) else { return };
        for partition in &partitions {
            group.owners.remove(partition);
        }
        group.tell(member, LogEvent::Lost { partitions });
    }

    /// Tells all members, and those that come, whether anything new may begin.
    pub(super) fn pause(&mut self, group: &str, paused: bool) {
        let group = self.groups.entry(group.into()).or_default();
        group.is_paused = paused;
        let members: Vec<Arc<str>> = group.members.keys().cloned().collect();
        for member in members {
            group.tell(&member, if paused { LogEvent::Paused } else { LogEvent::Resumed });
        }
    }

    /// Takes away what was not released in time.
    pub(super) fn enforce(&mut self, name: &str, now: Duration) {
        let Some(group) = self.groups.get(name) else { return };
        let mut over = Moves::new();
        for (partition, owner) in &group.owners {
            if owner.deadline.is_some_and(|deadline| deadline <= now) {
                over.entry(Arc::clone(&owner.member)).or_default().push(partition.clone());
            }
        }
        let any = !over.is_empty();
        for (member, partitions) in over {
            self.lose(name, &member, partitions);
        }
        if any {
            self.coordinate(name, now);
        }
    }

    /// Brings ownership to where the rule wants it: partitions of one number go to one member, members in the order of
    /// their names in turn. Nothing by itself where the test owns ownership.
    pub(super) fn coordinate(&mut self, name: &str, now: Duration) {
        if self.by_hand {
            // Leaving is answered all the same: everything is asked back.
            return self.ask_back_from_leavers(name, now);
        }
        let wanted = self.wanted(name);
        let Some(group) = self.groups.get(name) else { return };
        let (mut back, mut out) = (Moves::new(), Moves::new());
        for (partition, owner) in &group.owners {
            if owner.deadline.is_none() && wanted.get(partition) != Some(&owner.member) {
                back.entry(Arc::clone(&owner.member)).or_default().push(partition.clone());
            }
        }
        for (partition, member) in wanted {
            if !group.owners.contains_key(&partition) {
                out.entry(member).or_default().push(partition);
            }
        }
        for (member, partitions) in back {
            self.revoke(name, &member, partitions, now);
        }
        for (member, partitions) in out {
            self.assign(name, &member, partitions);
        }
        // Everybody watches that drains end, since the one who drains may hang.
        self.wake_all();
    }

    fn wanted(&self, name: &str) -> BTreeMap<TopicPartition, Arc<str>> {
        let mut wanted = BTreeMap::new();
        let Some(group) = self.groups.get(name) else { return wanted };
        for (topic, known) in &self.topics {
            let seats = group.members.iter().filter(|(_, seat)| !seat.leaves && seat.topics.contains(topic));
            let readers: Vec<_> = seats.map(|(member, _)| member).collect();
            if readers.is_empty() {
                continue;
            }
            for (number, _) in (0..).zip(&known.partitions) {
                let reader = readers[number as usize % readers.len()];
                wanted.insert(TopicPartition::new(Arc::clone(topic), number), Arc::clone(reader));
            }
        }
        wanted
    }

    fn ask_back_from_leavers(&mut self, name: &str, now: Duration) {
        let Some(group) = self.groups.get(name) else { return };
        let mut back = Moves::new();
        for (partition, owner) in &group.owners {
            if owner.deadline.is_none() && group.members.get(&owner.member).is_some_and(|seat| seat.leaves) {
                back.entry(Arc::clone(&owner.member)).or_default().push(partition.clone());
            }
        }
        for (member, partitions) in back {
            self.revoke(name, &member, partitions, now);
        }
    }
}
