//! Workloads with an operator, who has records of dead letters handled again, or gives them up; often more than once.

use tidemill_core::event::Event;
use tidemill_core::failure::Then;
use tidemill_core::internal::Wish;
use tidemill_core::letters::Letter;
use tidemill_core::parking::Parked;
use tidemill_core::record::Record;
use tidemill_core::service::{Service, ServiceBuilder};
use tidemill_testkit::simulation::{Act, Run, Scene, Simulation, Violation};

use crate::events::{Counted, Tick};
use crate::failing::{NAME, applied, policies, said, service, wanted};
use crate::handlers::{Fails, HISTORY, Unsteady};
use crate::workloads::{broken, cells, limits, ticks};

/// What an operator adds to the number of a tick that cannot be handled: then it can.
const MENDED: u64 = 1_000;

fn is_broken(n: u64) -> bool {
    n < MENDED && n % 5 == 2
}

fn fails(n: u64) -> Fails {
    if is_broken(n) { Fails::Permanently } else { Fails::UpTo(if n % 7 == 1 { 3 } else { 0 }) }
}

/// Whether an operator gives a broken tick up.
fn is_given_up(n: u64) -> bool {
    n.is_multiple_of(3)
}

/// What a tick is counted as in the end.
fn becomes(n: u64) -> Option<u64> {
    match n {
        n if !is_broken(n) => Some(n),
        n if is_given_up(n) => None,
        n => Some(n + MENDED),
    }
}

fn tick(letter: &Letter) -> Tick {
    serde_json::from_slice(letter.record.value.as_deref().expect("an event")).expect("a tick")
}

/// The letter's record, so that it can be handled.
fn mended(letter: &Letter) -> Record {
    let mut tick = tick(letter);
    if is_broken(tick.n) {
        tick.n += MENDED;
    }
    Record { value: Some(serde_json::to_vec(&tick).expect("a plain struct").into()), ..letter.record.clone() }
}

fn target(letter: &Letter, record: Record) -> Parked {
    Letter { record, ..letter.clone() }.target()
}

/// What an operator wants of a letter: what becomes of its record follows from its number.
fn wish(letter: &Letter) -> (Wish, Parked) {
    let (id, round) = (letter.id.clone(), letter.round);
    // One that was given up is never to be handled again, whatever is asked for later.
    if is_broken(tick(letter).n) && is_given_up(tick(letter).n) {
        let wish = Wish::Discard { letter: id, round };
        return (wish, letter.target());
    }
    (Wish::Redrive { letter: id, round }, target(letter, mended(letter)))
}

/// Wants something of a letter, now and then twice.
fn command(scene: &Scene<'_>, shard: u32, (wish, target): &(Wish, Parked), acts: &mut Vec<Act>) {
    for _ in 0..=scene.draw(2) {
        let id = format!("command-{}-{}", scene.looks(), acts.len());
        acts.push(scene.command(NAME, shard, id, wish.clone(), target.clone()));
    }
}

/// Keys whose records fail for good wait until an operator has them handled, edited, or gives them up. Nothing overtakes them.
pub(crate) fn held() -> Simulation {
    let simulation = Simulation::of(|| service(fails, Then::Hold)).feed_all(ticks(50, 7)).operated(hold_operator);
    simulation.check(|run| applied(run, becomes))
}

/// As [`held`], where one such record holds its whole partition.
pub(crate) fn held_in_order() -> Simulation {
    let service = || {
        let builder = Service::builder(NAME).limits(limits()).failures(policies(Then::Hold)).emits::<Counted>();
        builder.handler("counter", Unsteady(fails), |handler| handler.on::<Tick>().in_order())
    };
    let simulation = Simulation::of(service).feed_all(ticks(40, 7)).operated(hold_operator);
    simulation.check(|run| applied(run, becomes))
}

fn hold_operator(scene: &Scene<'_>) -> Vec<Act> {
    let mut acts = Vec::new();
    for (shard, letter) in scene.open_letters(NAME) {
        match scene.draw(6) {
            0 | 1 if !scene.is_last() => {}
            // It fails again, and has another round.
            2 if !scene.is_last() => command(scene, shard, &(Wish::Release, letter.target()), &mut acts),
            3 if is_broken(tick(&letter).n) && is_given_up(tick(&letter).n) => {
                command(scene, shard, &(Wish::DiscardParked, letter.target()), &mut acts);
            }
            _ => command(scene, shard, &wish(&letter), &mut acts),
        }
    }
    acts
}

/// Keys go on behind their dead letters, and an operator has these handled later, gives them up, or publishes a copy.
pub(crate) fn redriven() -> Simulation {
    operated(|| service(fails, Then::Continue))
}

/// As [`redriven`], where no inbox keeps a letter from having its effects twice: that they are open has to do.
pub(crate) fn redriven_alone() -> Simulation {
    operated(|| {
        let builder = Service::builder(NAME).limits(limits()).failures(policies(Then::Continue)).emits::<Counted>();
        builder.handler("counter", Unsteady(fails), |handler| handler.on::<Tick>().without_inbox())
    })
}

fn operated(service: impl Fn() -> ServiceBuilder + Send + Sync + 'static) -> Simulation {
    let simulation = Simulation::of(service).feed_all(ticks(50, 7)).operated(redrive_operator);
    // When a record is handled again follows from when the operator looks.
    simulation.in_any_order().check(all_applied)
}

/// Whether an operator publishes a copy of a broken tick.
fn is_copied(n: u64) -> bool {
    n % 3 == 1
}

fn redrive_operator(scene: &Scene<'_>) -> Vec<Act> {
    let ticks = scene.records(Tick::TOPIC);
    let mut acts = Vec::new();
    for (shard, letter) in scene.open_letters(NAME) {
        if scene.draw(3) == 0 && !scene.is_last() {
            continue;
        }
        if !is_copied(tick(&letter).n) {
            command(scene, shard, &wish(&letter), &mut acts);
            continue;
        }
        let partition = &ticks[letter.origin.source.partition as usize];
        let same = partition.iter().filter(|record| record.headers == letter.record.headers);
        if same.count() == 1 {
            acts.push(Act { target: letter.origin.source.clone(), record: mended(&letter) });
        }
    }
    // What comes too late is refused.
    for (shard, letter) in scene.closed_letters(NAME) {
        if !scene.is_last() && scene.draw(4) == 0 {
            let late = Wish::Redrive { letter: letter.id.clone(), round: letter.round };
            command(scene, shard, &(late, target(&letter, mended(&letter))), &mut acts);
        }
    }
    acts
}

/// Every key counted what never failed in order, and each of what was handled later once.
fn all_applied(run: &Run) -> Vec<Violation> {
    let (histories, mut said) = (cells(run, NAME, HISTORY), said(run));
    let mut violations = Vec::new();
    for (key, wanted) in wanted(run, becomes) {
        let found = histories.get(&key).cloned().unwrap_or_default();
        let in_order = |numbers: &[u64]| numbers.iter().copied().filter(|n| *n < MENDED).collect::<Vec<_>>();
        let sorted = |numbers: &[u64]| {
            let mut numbers = numbers.to_vec();
            numbers.sort_unstable();
            numbers
        };
        // A copy stands in the topic beside its record.
        let mut once = sorted(&wanted);
        once.dedup();
        if in_order(&found) != in_order(&wanted) || sorted(&found) != once {
            violations.push(broken("I2", format!("{key} counted {found:?} and has to have counted {wanted:?}")));
        }
        let told: Vec<u64> = said.remove(&key).unwrap_or_default().into_iter().map(|(n, _)| n).collect();
        if told != found {
            violations.push(broken("I4", format!("{key} said {told:?} and counted {found:?}")));
        }
    }
    violations
}
