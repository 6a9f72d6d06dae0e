use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tidemill_core::code::{Code, Coded};
use tidemill_core::ports::Heartbeat;
use tidemill_core::service::Service;

use super::{Act, LOOKS, Watchdog, Watched};
use crate::host::tests::{Ping, ignore_ping};

const LIMIT: Duration = Duration::from_millis(100);
/// Long enough for a loaded machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A watchdog over one worker, and where it reports.
fn watch(heartbeat: &Arc<Heartbeat>) -> (Watchdog, Receiver<Coded>) {
    let service = Service::builder("echo").on::<Ping>("first", ignore_ping).build().expect("a service");
    let watched = Watched { service: Arc::new(service), thread: "echo-0".into(), heartbeat: Arc::clone(heartbeat) };
    let (send, receive) = sync_channel(8);
    let send = Mutex::new(send);
    let act: Act = Arc::new(move |error: &Coded| {
        send.lock().expect("nobody panics with it").send(error.clone()).expect("the test waits");
    });
    (Watchdog::start(vec![watched], LIMIT, act), receive)
}

#[test]
fn a_handler_that_does_not_give_its_thread_back_is_named_once() {
    let heartbeat = Arc::new(Heartbeat::default());
    let (_watchdog, reports) = watch(&heartbeat);
    heartbeat.enter(0);
    let report = reports.recv_timeout(PATIENCE).expect("it blocks");
    assert_eq!(report.code, Code::HANDLER_BLOCKS);
    for part in ["handler first", "service echo", "(echo-0)", "100ms"] {
        assert!(report.message.contains(part), "{report}");
    }
    assert!(reports.recv_timeout(LIMIT * 2).is_err(), "once is enough");
    // Another one after it is another report.
    heartbeat.leave();
    heartbeat.enter(0);
    assert!(reports.recv_timeout(PATIENCE).is_ok());
}

#[test]
fn handlers_that_come_and_go_and_idle_workers_are_left_alone() {
    let heartbeat = Arc::new(Heartbeat::default());
    let (watchdog, reports) = watch(&heartbeat);
    for _ in 0..LOOKS * 8 {
        heartbeat.enter(0);
        assert!(reports.recv_timeout(LIMIT / LOOKS / 2).is_err());
        heartbeat.leave();
    }
    assert!(reports.recv_timeout(LIMIT * 2).is_err(), "it is idle");
    drop(watchdog);
    // The reports' other end goes with the watchdog's thread.
    assert_eq!(reports.recv_timeout(PATIENCE), Err(std::sync::mpsc::RecvTimeoutError::Disconnected));
}
