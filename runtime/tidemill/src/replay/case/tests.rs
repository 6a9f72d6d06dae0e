use tidemill_core::code::Code;

use super::Case;
use crate::host::Until;
use crate::host::tests::{Ping, SEEN, host, run, serve};
use crate::prelude::*;
use crate::replay::{Replay, Selection};

/// What `Ping` is to a build whose schema has another field.
#[derive(Debug, Serialize, Deserialize, Event)]
#[event(name = "demo.ping", version = 1, topic = "pings", key = key)]
struct Renamed {
    key: String,
    remaining: u32,
}

/// The case of the last of three pings of a key.
async fn captured() -> Case {
    let count = async |_: &Ping, cx: &mut Context<'_>| {
        let seen = cx.get(SEEN).await?.unwrap_or(0) + 1;
        cx.set(SEEN, seen);
        Ok(())
    };
    let host = host(&[], [Service::builder("counter").on::<Ping>("balls", count)]);
    for left in 0..3 {
        serve(&host, ["a", "b"].map(str::to_owned), left).await;
    }
    host.run(Until::Drained).await.expect("nothing fails");
    let selection = Selection { key: Some(b"a".to_vec()), ..Selection::default() };
    let replay = Replay::of(&host, "counter").expect("it is known").select(selection);
    let mut met = 0;
    let case = replay.capture(|_| {
        met += 1;
        met == 3
    });
    case.await.expect("it runs").expect("there are three")
}

#[test]
fn a_case_runs_with_the_state_that_its_unit_found() {
    let case = run(captured());
    let case = Case::parse(&case.to_text()).expect("it is read as it was written");
    let count = async |_: &Ping, cx: &mut Context<'_>| {
        let seen = cx.get(SEEN).await?.unwrap_or(0) + 100;
        cx.set(SEEN, seen);
        Ok(())
    };
    let unit = case.run(Service::builder("counter").on::<Ping>("balls", count)).expect("it fits");
    let changes: Vec<_> = unit.state.iter().map(|cell| (cell.before.clone(), cell.after.clone())).collect();
    assert_eq!((unit.failure, changes), (None, vec![(2.into(), 102.into())]));
}

#[test]
fn a_build_that_reads_other_events_says_so() {
    let case = run(captured());
    let never = async |_: &Renamed, _: &mut Context<'_>| Ok(());
    let unit = case.run(Service::builder("counter").on::<Renamed>("balls", never)).expect("it is one of it");
    let failure = unit.failure.expect("its record has no such field");
    assert!(failure.contains("TM-0503") && failure.contains("demo.ping"), "{failure}");
    let other = case.run(Service::builder("other").on::<Renamed>("balls", never)).expect_err("another service's");
    assert_eq!(other.code, Code::UNUSABLE_CASE);
}
