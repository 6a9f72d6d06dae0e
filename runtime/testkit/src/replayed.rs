//! A service's units run again from its journal, held against what they did: a handler that does something else the second time is found.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;

use tidemill_core::code::Coded;
use tidemill_core::internal;
use tidemill_core::parking;
use tidemill_core::ports::{Broker, Entry, KeyRange, Store};
use tidemill_core::record::TopicPartition;
use tidemill_core::replay::{
    Act, Bounds, Coming, Course, Join, Joined, KEPT_BYTES, Look, Session, Survey, Told, Wanted,
};
use tidemill_core::service::Service;
use tidemill_core::state::{ScopeKey, runtime_range};
use tidemill_core::worker::Ports;
use tidemill_embedded::store;

/// What a replay of all that a service did came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Replayed {
    /// Units that ran again.
    pub units: u64,
    /// Events that they emitted.
    pub emitted: u64,
    /// Events among them that were emitted then, too, and are the same.
    pub equal: u64,
    /// What is not as it was, in words. Nothing for a service whose handlers depend on nothing but what the context gives them.
    pub differences: Vec<String>,
}

/// Runs every unit for what it leaves in the state, and is told of none.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Look for Silent {
    fn wants(&mut self, _coming: &Coming<'_>) -> Act {
        Act::Run
    }

    fn see(&mut self, _told: Told) -> Result<ControlFlow<()>, Coded> {
        unreachable!("nothing is told")
    }
}

/// Why units failed that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failures {
    /// Because of what handlers did: they fail again.
    Own,
    /// A test let them fail: they may not fail again.
    Injected,
}

/// Who collects what units do.
struct Collects {
    failures: Failures,
    join: Join,
    differences: Vec<String>,
}

impl Look for Collects {
    fn wants(&mut self, _coming: &Coming<'_>) -> Act {
        Act::Tell(Wanted::default())
    }

    fn see(&mut self, mut told: Told) -> Result<ControlFlow<()>, Coded> {
        if self.failures == Failures::Injected {
            told.beyond = None;
        }
        self.join.emits(&told);
        let Told { position, handler, noted, failure, is_handled, .. } = &told;
        let then_failed = !noted.ended.is_done();
        match failure {
            Some(failure) if !then_failed => {
                self.differences.push(format!("{position} was done by {handler}, and fails now: {failure}"));
            }
            None if then_failed && *is_handled && self.failures == Failures::Own => {
                self.differences.push(format!("{position} failed in {handler}, and does not now"));
            }
            _ => {}
        }
        Ok(ControlFlow::Continue(()))
    }
}

/// Runs all units again that the journal of a service tells of, and compares what they emit, and the state that they leave, with what there is.
/// The service has to stand still, with everything committed, and must have read its journal's topic whole.
pub async fn replay(
    service: Arc<Service>,
    broker: Arc<dyn Broker>,
    ports: Ports,
    failures: Failures,
) -> Result<Replayed, Coded> {
    let (name, topics) = (Arc::clone(service.name()), broker.topics());
    let mut session = Session::open(Arc::clone(&service), Arc::clone(&topics), ports).await?;
    let mut collects = Collects { failures, join: Join::new(&service, KEPT_BYTES), differences: Vec::new() };
    let mut units = 0;
    for shard in 0..broker.shards(&name).await? {
        let journal = TopicPartition::new(internal::journal(&name), shard);
        let survey = Survey::of(&topics, journal.clone(), &Bounds::default()).await?;
        if survey.meant() == 0 {
            continue;
        }
        let Some(span) = survey.span(survey.base(&[])?.offset) else { continue };
        let held: Rc<RefCell<Arc<dyn Store>>> = Rc::new(RefCell::new(store::memory()));
        let fresh = || {
            let store = store::memory();
            *held.borrow_mut() = Arc::clone(&store);
            store
        };
        session.begin(shard, fresh()).await?;
        let course = Course::new(&mut session, Arc::clone(&topics), shard, Bounds::default());
        units += course.run(journal, span, &fresh, &mut collects).await?.units;
        let now = held.borrow().scan(&KeyRange::all(), usize::MAX)?;
        let then = broker.state(&name, shard, &KeyRange::all(), usize::MAX).await?;
        compare_states(shard, &then, &now, &mut collects.differences);
    }
    let emitted = collects.join.emitted();
    let (mut equal, Collects { mut join, mut differences, .. }) = (0, collects);
    join.against(&service, &topics, None, |joined, position, _| match joined {
        Joined::Other => {}
        Joined::Equal => equal += 1,
        Joined::Moved(_) => differences.push(format!("{position} is emitted in another order")),
        Joined::Different(_) => differences.push(format!("{position} says something else")),
        Joined::Missing => differences.push(format!("{position} is not emitted any more")),
    })
    .await?;
    differences.extend(join.into_extra().iter().map(|emission| {
        let (cause, topic, id) = (&emission.cause, &emission.topic, &emission.id);
        format!("{cause}: event {id} is emitted to {topic}, and was not")
    }));
    Ok(Replayed { units, emitted, equal, differences })
}

/// What handlers keep, and what is parked, in the order of its lanes.
pub(crate) fn compare_states(shard: u32, then: &[Entry], now: &[Entry], differences: &mut Vec<String>) {
    let kept = |entries: &[Entry]| -> BTreeMap<_, _> {
        // Timers stand under a name of their own, which no handler has, and are held against each other too.
        let is_handlers = |key: &[u8]| !runtime_range().contains(key);
        entries.iter().filter(|(key, _)| is_handlers(key)).cloned().collect()
    };
    let (then_kept, now_kept) = (kept(then), kept(now));
    for (key, value) in &then_kept {
        if now_kept.get(key) != Some(value) {
            differences.push(format!("shard {shard}: {} has another value", shown(key)));
        }
    }
    for key in now_kept.keys().filter(|key| !then_kept.contains_key(*key)) {
        differences.push(format!("shard {shard}: {} is there, and was not", shown(key)));
    }
    let parked = |entries: &[Entry]| -> Vec<_> {
        let all = entries.iter().filter_map(parking::parked);
        all.map(|(lane, _, parked)| (lane.to_vec(), parked.position(), parked.waits)).collect()
    };
    let (then, now) = (parked(then), parked(now));
    if then != now {
        differences.push(format!("shard {shard}: {then:?} was parked, and {now:?} is now"));
    }
}

fn shown(key: &[u8]) -> String {
    let Some(place) = ScopeKey::parse(key) else { return format!("{key:?}") };
    format!("{} of key {} of {}", place.name, String::from_utf8_lossy(place.key), place.handler)
}
