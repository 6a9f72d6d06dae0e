use std::sync::Mutex;
use std::time::Duration;

use tidemill_core::code::Code;
use tidemill_core::record::Position;

use super::*;

/// Notes what it is told.
#[derive(Default)]
struct Notes(Mutex<Vec<&'static str>>);

impl Notes {
    fn note(&self, what: &'static str) {
        self.0.lock().expect("no test panics here").push(what);
    }
}

impl Observer for Notes {
    fn wants_units(&self) -> bool {
        true
    }
    fn shard_loading(&self, _: u32) {
        self.note("shard_loading");
    }
    fn shard_started(&self, _: u32) {
        self.note("shard_started");
    }
    fn paused(&self, _: bool) {
        self.note("paused");
    }
    fn shard_waits(&self, _: u32, _: &[TopicPartition]) {
        self.note("shard_waits");
    }
    fn shard_ended(&self, _: u32, _: usize) {
        self.note("shard_ended");
    }
    fn unit_ended(&self, _: &UnitEnded<'_>) {
        self.note("unit_ended");
    }
    fn retrying(&self, _: &Retrying<'_>) {
        self.note("retrying");
    }
    fn breaker(&self, _: &str, _: bool, _: &str) {
        self.note("breaker");
    }
    fn inbox_forgot(&self, _: u32) {
        self.note("inbox_forgot");
    }
    fn committed(&self, _: Committed) {
        self.note("committed");
    }
    fn commit_failed(&self, _: &Coded, _: &str) {
        self.note("commit_failed");
    }
    fn relayed(&self, _: Relayed) {
        self.note("relayed");
    }
    fn relay_waits(&self, _: &Coded) {
        self.note("relay_waits");
    }
    fn row_parked(&self, _: u64, _: &str) {
        self.note("row_parked");
    }
}

/// Tells an observer everything that there is to tell.
fn tell(observer: &dyn Observer) {
    let position: Position = TopicPartition::new("in", 0).at(1);
    let (position, cause, took) = (&position, &Coded::new(Code::FENCED, "gone"), Duration::ZERO);
    observer.shard_loading(0);
    observer.shard_started(0);
    observer.paused(true);
    observer.shard_waits(0, &[]);
    observer.shard_ended(0, 0);
    let disposition = Disposition::Done;
    observer.unit_ended(&UnitEnded { handler: "count", shard: 0, position, failure: None, disposition });
    observer.retrying(&Retrying { handler: "count", position, attempt: 1, delay: took, cause: "away" });
    observer.breaker("bank", true, "away");
    observer.inbox_forgot(0);
    observer.committed(Committed { units: 1, outputs: 0, took });
    observer.commit_failed(cause, "it is tried again");
    observer.relayed(Relayed { rows: 1, waited: took });
    observer.relay_waits(cause);
    observer.row_parked(1, "too large");
}

#[test]
fn each_observer_is_told_everything() {
    let direct = Notes::default();
    tell(&direct);
    let all = [Arc::<Notes>::default(), Arc::default()];
    let fan = Fan(all.iter().map(|notes| Arc::clone(notes) as Arc<dyn Observer>).collect());
    assert!(fan.wants_units());
    tell(&fan);
    for notes in &all {
        assert_eq!(*notes.0.lock().unwrap(), *direct.0.lock().unwrap());
    }
}
