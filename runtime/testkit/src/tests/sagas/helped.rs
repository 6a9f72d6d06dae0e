//! What a person does with an instance of which something could not be undone; where steps may lead, and how that is drawn.

use tidemill_core::internal::Help;
use tidemill_core::saga::{Leads, Missing, Status};
use tidemill_core::service::Service;

use super::{
    Checkout, HOUR, Overdue, Paid, Paying, Placed, Refused, Release, Reserve, Reserved, Reserving, checkout, declared,
    ended, instance, service, status,
};
use crate::driver::TestDriver;

/// An instance whose stock nobody takes back.
fn stuck() -> TestDriver {
    let mut driver = checkout();
    send!(driver, Placed, "for good");
    send!(driver, Reserved);
    driver.advance(HOUR);
    assert_eq!(status(&driver), Status::NeedsPerson);
    driver
}

#[test]
fn a_person_has_it_tried_again_or_gives_it_up_or_ends_it() {
    let mut driver = stuck();
    driver.help("checkout", "7", Help::Retry);
    assert_eq!(status(&driver), Status::NeedsPerson, "it fails again");
    driver.crash_and_restart();
    driver.help("checkout", "7", Help::Skip);
    let ends = instance(&driver).expect("it is kept");
    assert_eq!((ends.status, ends.skipped), (ended("compensated"), vec!["release-stock".to_owned()]));
    assert!(driver.emitted::<Release>().is_empty() && ends.undone.is_empty());

    let mut driver = stuck();
    driver.help("checkout", "7", Help::Finish { outcome: "by hand".to_owned() });
    let ends = instance(&driver).expect("it is kept");
    assert_eq!((ends.status.clone(), ends.to_undo().count()), (ended("by hand"), 1), "what is left is still told");
    let last = ends.history.last().expect("it happened");
    assert_eq!((&*last.event, &*last.to), ("saga-finish by driver", "end by hand: a test"));
    driver.advance(HOUR * 24);
    assert!(instance(&driver).is_none());
}

#[test]
fn an_instance_whose_undoing_panicked_or_could_not_emit_is_helped_too() {
    for (wrong, stands) in [("panic", Status::Compensating), ("undeclared", Status::NeedsPerson)] {
        let mut driver = checkout();
        driver.send(Placed { order: "7".into(), wrong: wrong.into() });
        send!(driver, Reserved);
        driver.advance(HOUR);
        driver.advance(HOUR);
        assert_eq!(status(&driver), stands, "{wrong}");
        driver.help("checkout", "7", Help::Retry);
        driver.advance(HOUR);
        assert_eq!(status(&driver), stands, "{wrong}");
        driver.help("checkout", "7", Help::Skip);
        assert_eq!(status(&driver), ended("compensated"), "{wrong}");
    }
}

#[test]
fn a_step_that_cannot_emit_undoes_the_instance() {
    let mut driver = TestDriver::new(|| {
        let saga = |saga| declared(saga);
        // Nobody declared that it emits charges.
        Service::builder("checkout").saga("checkout", Checkout, saga).emits::<Reserve>().emits::<Release>()
    });
    send!(driver, Placed);
    send!(driver, Reserved);
    let ends = instance(&driver).expect("it is kept");
    assert_eq!((ends.status, driver.dead_letters().len()), (ended("aborted"), 0));
    assert!(ends.reason.expect("it has one").contains("test.charge is not declared"));
}

#[test]
fn nothing_happens_to_an_instance_that_needs_nobody() {
    let mut driver = checkout();
    send!(driver, Placed);
    let before = instance(&driver);
    driver.help("checkout", "7", Help::Skip);
    driver.help("checkout", "8", Help::Skip);
    driver.help("nobody", "7", Help::Skip);
    assert_eq!((instance(&driver), driver.dead_letters().len()), (before, 0));
}

#[test]
fn a_step_leads_only_where_it_is_declared_to_lead() {
    let mut driver = TestDriver::new(|| {
        service(|saga| {
            let saga = saga.begins_with::<Placed>([Leads::to::<Reserving>()]);
            let saga = saga.missing::<Reserved>(Missing::DeadLetter).missing::<Refused>(Missing::DeadLetter);
            let saga = saga.missing::<Overdue>(Missing::DeadLetter).undo::<super::ReleaseStock>();
            saga.state::<Reserving>(|state| {
                state.on::<Reserved>([]).on::<Refused>([Leads::to::<Paying>()]).ignore::<Placed>().ignore::<Overdue>()
            })
            .state::<Paying>(|state| {
                state.ignore::<Placed>().ignore::<Reserved>().ignore::<Refused>().ignore::<Overdue>()
            })
        })
    });
    send!(driver, Placed);
    send!(driver, Reserved);
    assert_eq!(instance(&driver).expect("it runs").state, "reserving");
    let said = &driver.dead_letters()[0].message;
    assert_eq!(said, "test.reserved in reserving led to state paying, where it is not declared to lead");
}

#[test]
fn states_that_are_nowhere_or_that_nothing_leads_to_are_refused() {
    let refused = |declare| service(declare).build().err().expect("it is refused").to_string();
    let unknown = refused(|saga| {
        saga.begins_with::<Placed>([Leads::to::<Paying>()])
            .state::<Reserving>(tidemill_core::saga::StateBuilder::ignore::<Placed>)
    });
    assert!(
        unknown.contains("test.placed leads from the beginning to state paying, which is not declared"),
        "{unknown}"
    );
    let alone = refused(|saga| {
        let saga = saga.begins_with::<Placed>([Leads::to::<Reserving>()]).missing::<Paid>(Missing::DeadLetter);
        saga.state::<Reserving>(|state| state.ignore::<Placed>().ignore::<Paid>())
            .state::<Paying>(|state| state.ignore::<Placed>().on::<Paid>([Leads::to::<Paying>()]))
    });
    assert!(alone.contains("no event leads to state paying"), "{alone}");
}

#[test]
fn a_saga_is_drawn_with_its_states_and_where_events_lead() {
    let service = service(declared).build().expect("it fits together");
    let drawn = service.sagas().next().expect("it has one").1.to_string();
    let expected = r#"stateDiagram-v2
    state "reserving" as reserving
    state "paying" as paying
    [*] --> reserving : test.placed
    reserving --> paying : test.reserved
    reserving --> undoing : test.refused
    reserving --> undoing : test.overdue
    paying --> [*] : test.paid / confirmed
    paying --> undoing : test.overdue
    note right of reserving : keeps test.paid for later
    undoing --> [*] : compensated
    undoing --> needs_person : what cannot be undone
    needs_person --> undoing : retry, skip
    needs_person --> [*] : finish
    note right of undoing : the last first of release-stock"#;
    assert_eq!(drawn, expected);
}
