//! A replay that begins with the state of any moment ends with the state of the end.

use std::sync::Arc;
use std::time::Duration;

use tidemill_core::code::Coded;
use tidemill_core::failure::Policies;
use tidemill_core::internal;
use tidemill_core::journal::{self, Reach};
use tidemill_core::limits::Limits;
use tidemill_core::parking;
use tidemill_core::ports::{Broker, Change, Durability, Entry, KeyRange, NoObserver};
use tidemill_core::record::TopicPartition;
use tidemill_core::replay::{Bounds, Course, Session, Span, Survey};
use tidemill_core::service::HandlerBuilder;
use tidemill_embedded::store;

use super::stage::{GROUP, IN, Stage, limits, partition};
use super::work::Task;
use crate::fakes::{Shape, block_on, ports};
use crate::replayed::{Silent, compare_states};

/// Runs all that came after a moment, beginning with its state.
async fn on_from(stage: &Stage, (reach, entries): &(Reach, Vec<Entry>)) -> Result<Vec<Entry>, Coded> {
    let (topics, journal) = (stage.broker.topics(), TopicPartition::new(internal::journal(GROUP), 0));
    let survey = Survey::of(&topics, journal.clone(), &Bounds::default()).await?;
    // With a page of which it holds nothing, it begins at the beginning.
    let from = survey.offset_of(reach.number).map_or(0, |offset| offset + 1);
    let held = store::memory();
    let changes = entries.iter().map(|(key, value)| Change { key: key.clone(), value: Some(value.clone()) });
    held.apply(changes.collect(), Durability::Buffered)?;
    let ports = ports(&stage.clock, 0, Arc::new(NoObserver));
    let mut session = Session::open(Arc::clone(&stage.service), Arc::clone(&topics), ports).await?;
    session.begin(0, Arc::clone(&held)).await?;
    let course = Course::new(&mut session, topics, 0, Bounds::default()).passing(reach.beyond.clone());
    let span = Span { from, first: from, last: u64::MAX };
    course.run(journal, span, &store::memory, &mut Silent).await?;
    held.scan(&KeyRange::all(), usize::MAX)
}

#[test]
fn a_replay_goes_on_from_the_state_of_any_moment() {
    for shape in [Shape::Batch, Shape::Unit] {
        let stage = Stage::build(shape, 1, |builder, work| {
            let limits = Limits { commit_interval: Duration::from_millis(40), ..limits() };
            builder.limits(limits).failures(Policies::default()).handler("worker", work, HandlerBuilder::on::<Task>)
        });
        assert_eq!(*partition(0).topic, *IN);
        for n in 0..60 {
            let fails = if n % 7 == 0 { 5 } else { 0 };
            let task = Task { n, wait: n % 5, emits: 1, keeps: true, fails, ..Task::default() };
            stage.feed(&partition(0), &format!("key-{}", n % 4), task);
        }
        let (mut executor, worker) = stage.run();
        let mut moments: Vec<(Reach, Vec<Entry>)> = Vec::new();
        let run = executor.run_until(|executor| {
            let entries = stage.broker.states(GROUP, 0);
            let is_parked = entries.iter().any(|entry| parking::parked(entry).is_some());
            if let Some(reach) = journal::reach(&entries)
                && moments.last().is_none_or(|(last, _)| *last != reach)
            {
                moments.push((reach, entries));
            }
            (stage.behind() == 0 && !is_parked) || !executor.is_running(worker)
        });
        run.expect("nothing stalls");
        stage.finish(&mut executor, worker);
        let last = stage.broker.states(GROUP, 0);
        let has_beyond = moments.iter().any(|(reach, _)| !reach.beyond.is_empty());
        assert_eq!(has_beyond, shape == Shape::Unit, "{shape:?}: units that commit by themselves are ahead of pages");
        assert!(moments.len() > 5, "{shape:?}: {} moments", moments.len());
        for moment in &moments {
            let now = block_on(&stage.clock, on_from(&stage, moment)).expect("it runs");
            let mut differences = Vec::new();
            compare_states(0, &last, &now, &mut differences);
            assert_eq!(differences, Vec::<String>::new(), "{shape:?}: {:?}", moment.0);
        }
    }
}
