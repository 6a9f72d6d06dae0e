//! Groups: who owns which partition, and how ownership moves.
//!
//! A partition that has to move is first asked back from its owner. The owner has the drain time to release it; after that
//! it has lost it. Only then the next owner gets it, under a new generation.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tidemill_core::code::{Code, Coded};
use tidemill_core::ports::{Generation, LogEvent, Subscription};
use tidemill_core::record::TopicPartition;
use tidemill_core::time::Timestamp;

use crate::topics::Signal;

/// An input topic of a member and how many partitions it has.
pub(crate) type Input = (Arc<str>, u32);

/// A member of a group.
struct Seat {
    inputs: Vec<Input>,
    events: VecDeque<LogEvent>,
    signal: Arc<Signal>,
    /// It wants nothing any more.
    leaves: bool,
}

/// Who owns a partition.
struct Owner {
    member: Arc<str>,
    generation: Generation,
    /// When it has to be given up, once it was asked back.
    deadline: Option<Timestamp>,
}

#[derive(Default)]
struct Group {
    members: BTreeMap<Arc<str>, Seat>,
    owners: BTreeMap<TopicPartition, Owner>,
}

#[derive(Default)]
struct All {
    groups: BTreeMap<Arc<str>, Group>,
    generation: u64,
}

/// All groups of a broker.
pub(crate) struct Groups {
    all: Mutex<All>,
    drain: Duration,
}

impl Groups {
    pub(crate) fn new(drain: Duration) -> Self {
        Self { all: Mutex::default(), drain }
    }

    /// Takes a member in.
    pub(crate) fn join(
        &self,
        subscription: &Subscription,
        inputs: Vec<Input>,
        signal: Arc<Signal>,
        now: Timestamp,
    ) -> Result<(), Coded> {
        let mut all = self.lock();
        let group = all.groups.entry(Arc::clone(&subscription.group)).or_default();
        if group.members.contains_key(&subscription.member) {
            let message = format!("group {} has a member called {} already", subscription.group, subscription.member);
            return Err(Coded::new(Code::BAD_SERVICE, message));
        }
        let seat = Seat { inputs, events: VecDeque::new(), signal, leaves: false };
        group.members.insert(Arc::clone(&subscription.member), seat);
        all.rebalance(&subscription.group, now, self.drain);
        Ok(())
    }

    /// The next event for a member.
    pub(crate) fn next_event(&self, group: &str, member: &str) -> Option<LogEvent> {
        let mut all = self.lock();
        all.groups.get_mut(group)?.members.get_mut(member)?.events.pop_front()
    }

    /// When the first drain of a group is over.
    pub(crate) fn first_deadline(&self, group: &str) -> Option<Timestamp> {
        let all = self.lock();
        all.groups.get(group)?.owners.values().filter_map(|owner| owner.deadline).min()
    }

    /// Takes away what was not given up in time.
    pub(crate) fn enforce(&self, group: &str, now: Timestamp) {
        let mut all = self.lock();
        let Some(found) = all.groups.get_mut(group) else { return };
        let mut lost: BTreeMap<Arc<str>, Vec<TopicPartition>> = BTreeMap::new();
        found.owners.retain(|partition, owner| {
            let is_over = owner.deadline.is_some_and(|deadline| deadline <= now);
            if is_over {
                lost.entry(Arc::clone(&owner.member)).or_default().push(partition.clone());
            }
            !is_over
        });
        if lost.is_empty() {
            return;
        }
        for (member, partitions) in lost {
            if let Some(seat) = found.members.get_mut(&member) {
                seat.events.push_back(LogEvent::Lost { partitions });
                seat.signal.tell();
            }
        }
        all.rebalance(group, now, self.drain);
    }

    /// A member gives partitions up.
    pub(crate) fn release(&self, group: &str, member: &str, partitions: &[TopicPartition], now: Timestamp) {
        let mut all = self.lock();
        let Some(found) = all.groups.get_mut(group) else { return };
        for partition in partitions {
            // One that was released too late is somebody else's by now.
            if found.owners.get(partition).is_some_and(|owner| *owner.member == *member && owner.deadline.is_some()) {
                found.owners.remove(partition);
            }
        }
        all.rebalance(group, now, self.drain);
    }

    /// A member wants nothing any more.
    pub(crate) fn leave(&self, group: &str, member: &str, now: Timestamp) {
        let mut all = self.lock();
        let seat = all.groups.get_mut(group).and_then(|group| group.members.get_mut(member));
        if let Some(seat) = seat {
            seat.leaves = true;
            all.rebalance(group, now, self.drain);
        }
    }

    /// A member is gone, in good order or not.
    pub(crate) fn remove(&self, group: &str, member: &str, now: Timestamp) {
        let mut all = self.lock();
        let Some(found) = all.groups.get_mut(group) else { return };
        found.members.remove(member);
        found.owners.retain(|_, owner| *owner.member != *member);
        if found.members.is_empty() {
            all.groups.remove(group);
        } else {
            all.rebalance(group, now, self.drain);
        }
    }

    /// Whether a member owns a partition, under this generation or an earlier one that goes on. Asked while the ledger is
    /// held, so that the answer is true until the write is done.
    pub(crate) fn check(
        &self,
        group: &str,
        member: &str,
        generation: Generation,
        partition: &TopicPartition,
    ) -> Result<(), Coded> {
        let all = self.lock();
        let owner = all.groups.get(group).and_then(|group| group.owners.get(partition));
        if owner.is_some_and(|owner| *owner.member == *member && owner.generation <= generation) {
            return Ok(());
        }
        let message = format!("{partition} is not owned by {member} of group {group} any more");
        Err(Coded::new(Code::FENCED, message))
    }

    fn lock(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl All {
    /// Brings owners nearer to what the members should own: asks back what has to move, hands out what is free.
    fn rebalance(&mut self, name: &str, now: Timestamp, drain: Duration) {
        let Some(group) = self.groups.get_mut(name) else { return };
        let wanted = group.wanted();
        let (mut revoked, mut assigned) = (Moves::new(), Moves::new());
        for (partition, owner) in &mut group.owners {
            if owner.deadline.is_none() && wanted.get(partition) != Some(&owner.member) {
                owner.deadline = Some(now + drain);
                revoked.entry(Arc::clone(&owner.member)).or_default().push(partition.clone());
            }
        }
        let generation = Generation(self.generation + 1);
        for (partition, member) in wanted {
            if let Entry::Vacant(free) = group.owners.entry(partition) {
                assigned.entry(Arc::clone(&member)).or_default().push(free.key().clone());
                free.insert(Owner { member, generation, deadline: None });
            }
        }
        if !assigned.is_empty() {
            self.generation = generation.0;
        }
        let somebody_drains = !revoked.is_empty();
        group.tell(revoked, |partitions| LogEvent::Revoked { partitions, drain });
        group.tell(assigned, |partitions| LogEvent::Assigned { partitions, generation });
        if somebody_drains {
            // Everybody watches that the drain ends, since the one who drains may hang.
            group.members.values().for_each(|seat| seat.signal.tell());
        }
    }
}

/// Partitions by member.
type Moves = BTreeMap<Arc<str>, Vec<TopicPartition>>;

impl Group {
    /// What each partition's owner should be: every topic is cut into as many ranges as it has members, in the order of
    /// their names, so that partitions of one number stay together where members subscribe to the same topics.
    fn wanted(&self) -> BTreeMap<TopicPartition, Arc<str>> {
        let mut readers: BTreeMap<&Input, Vec<&Arc<str>>> = BTreeMap::new();
        for (name, seat) in self.members.iter().filter(|(_, seat)| !seat.leaves) {
            for input in &seat.inputs {
                readers.entry(input).or_default().push(name);
            }
        }
        let mut wanted = BTreeMap::new();
        for ((topic, partitions), members) in readers {
            let count = u32::try_from(members.len()).expect("fewer members than 2^32");
            let (share, larger) = (partitions / count, partitions % count);
            let mut next = 0;
            for (place, member) in (0..count).zip(members) {
                let end = next + share + u32::from(place < larger);
                for partition in next..end {
                    wanted.insert(TopicPartition::new(Arc::clone(topic), partition), Arc::clone(member));
                }
                next = end;
            }
        }
        wanted
    }

    fn tell(&mut self, moves: Moves, event: impl Fn(Vec<TopicPartition>) -> LogEvent) {
        for (member, partitions) in moves {
            if let Some(seat) = self.members.get_mut(&member) {
                seat.events.push_back(event(partitions));
                seat.signal.tell();
            }
        }
    }
}
