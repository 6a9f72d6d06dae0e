use std::borrow::Cow;
use std::sync::atomic::AtomicBool;
use std::sync::{Condvar, Mutex as StdMutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tidemill_core::codec::Raw;
use tidemill_core::ports::Which;
use tidemill_core::time::Timestamp;

use super::*;

/// Time that stands still.
struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1)
    }

    fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }
}

struct Note(Bytes);

impl AsRef<[u8]> for Note {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Bytes> for Note {
    fn from(value: Bytes) -> Self {
        Self(value)
    }
}

impl Event for Note {
    const NAME: &'static str = "note";
    const VERSION: u32 = 1;
    const TOPIC: &'static str = "notes";

    type Codec = Raw;

    fn key(&self) -> Option<Cow<'_, [u8]>> {
        None
    }
}

/// What everybody waits for is there at once: nothing here has a thread of its own.
fn now<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("nothing waits")
}

fn envelopes() -> Envelopes {
    let mut envelopes = Envelopes::new("/tests");
    now(envelopes.declare::<Note>()).expect("declared");
    envelopes
}

fn add(to: &mut Transaction, value: &'static str) {
    let event = Note(Bytes::from_static(value.as_bytes()));
    let publication = Publication { event: &event, id: value, time: Timestamp::from_millis(1) };
    to.add(&envelopes(), &publication).expect("added");
}

fn over(store: Arc<dyn Store>) -> Local {
    Local::of(store, "0a".into(), Away(None), Arc::new(Still), None).expect("opened")
}

/// A store in memory that can be watched.
struct Watched {
    store: Arc<dyn Store>,
    /// What was applied, or read, since everything was brought to the disk.
    is_dirty: AtomicBool,
    /// How many batches were applied, and whether the next one is slow.
    applied: StdMutex<(u64, bool)>,
    more: Condvar,
}

impl Watched {
    fn new() -> Arc<Self> {
        let (is_dirty, applied, more) = Default::default();
        Arc::new(Self { store: store::memory(), is_dirty, applied, more })
    }
}

impl Store for Watched {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Coded> {
        self.store.get(key)
    }

    fn scan(&self, range: &KeyRange, limit: usize) -> Result<Vec<Entry>, Coded> {
        // Somebody may have applied something just before.
        self.is_dirty.store(true, Ordering::SeqCst);
        self.store.scan(range, limit)
    }

    fn last(&self, range: &KeyRange) -> Result<Option<Entry>, Coded> {
        self.store.last(range)
    }

    fn apply(&self, changes: Vec<Change>, durability: Durability) -> Result<(), Coded> {
        let mut applied = self.applied.lock().expect("nobody panics");
        if std::mem::take(&mut applied.1) {
            // Whoever can go on meanwhile does.
            let before = applied.0;
            let wait = Duration::from_millis(300);
            (applied, _) = self.more.wait_timeout_while(applied, wait, |now| now.0 == before).expect("nobody panics");
        }
        applied.0 += 1;
        self.more.notify_all();
        self.is_dirty.store(true, Ordering::SeqCst);
        self.store.apply(changes, durability)
    }

    fn sync(&self) -> Result<(), Coded> {
        self.is_dirty.store(false, Ordering::SeqCst);
        self.store.sync()
    }
}

#[test]
fn a_transaction_sees_what_it_wrote_and_leaves_nothing_behind_when_it_is_dropped() {
    let local = over(store::memory());
    let mut transaction = now(local.begin());
    transaction.put(b"a", "1");
    transaction.put(b"ab", "2");
    transaction.put(b"b", "3");
    assert_eq!(now(local.get(b"a")), Ok(None));
    now(transaction.commit()).expect("committed");
    let mut transaction = now(local.begin());
    assert!(local.begin().now_or_never().is_none(), "one is open at a time");
    transaction.remove(b"a");
    transaction.put(b"c", "4");
    add(&mut transaction, "lost");
    assert_eq!(now(transaction.get(b"a")), Ok(None));
    assert_eq!(now(transaction.get(b"b")), Ok(Some("3".into())));
    assert_eq!(now(transaction.get(b"c")), Ok(Some("4".into())));
    drop(transaction);
    let committed = [("a", "1"), ("ab", "2"), ("b", "3")].map(|(key, value)| (Bytes::from(key), Bytes::from(value)));
    assert_eq!(now(local.scan(b"", 9)), Ok(committed.to_vec()));
    assert_eq!(now(local.scan(b"a", 9)), Ok(committed[..2].to_vec()));
    assert_eq!(now(local.scan(b"a", 1)), Ok(committed[..1].to_vec()));
    assert_eq!(now(local.outbox().next(9, 9)), Ok(Vec::new()));
}

#[test]
fn what_is_handed_out_to_be_sent_is_durable() {
    let store = Watched::new();
    let local = over(Arc::<Watched>::clone(&store));
    let mut transaction = now(local.begin());
    add(&mut transaction, "one");
    now(transaction.commit()).expect("committed");
    assert_eq!(now(local.outbox().next(9, 9)).expect("read").len(), 1);
    assert!(!store.is_dirty.load(Ordering::SeqCst), "what was read last is durable");
}

/// An id that is given out twice is that of an event which a relay believes to have sent.
#[test]
#[expect(clippy::disallowed_methods, reason = "two that change events at the same time")]
fn changes_of_events_do_not_undo_each_other() {
    let store = Watched::new();
    let local = over(Arc::<Watched>::clone(&store));
    let mut transaction = now(local.begin());
    for value in ["one", "two"] {
        add(&mut transaction, value);
    }
    now(transaction.commit()).expect("committed");
    let rows = now(local.outbox().list(Which::All, None, 9)).expect("read");
    now(local.outbox().park(rows[0].id, "why")).expect("parked");
    store.applied.lock().expect("nobody panics").1 = true;
    std::thread::scope(|threads| {
        threads.spawn(|| now(local.outbox().discard(rows[0].id, "nobody needs it")).expect("discarded"));
        // The other one is about to write.
        while store.applied.try_lock().is_ok_and(|applied| applied.1) {
            std::thread::yield_now();
        }
        threads.spawn(|| now(local.outbox().delete(&[(rows[1].id, rows[1].event)], "relay", 1)).expect("deleted"));
    });
    drop(local);
    let local = over(store);
    let mut transaction = now(local.begin());
    add(&mut transaction, "three");
    now(transaction.commit()).expect("committed");
    let next = now(local.outbox().next(9, 9)).expect("read");
    assert!(next[0].id > rows[1].id, "{} was given out before", next[0].id);
}

#[test]
fn outboxes_in_memory_are_not_each_other() {
    let open = || Local::memory(Arc::new(Still)).expect("opened");
    let identity = |local: &Local| now(local.outbox().open()).expect("opened");
    let (one, other) = (open(), open());
    assert_eq!(identity(&one), identity(&one));
    assert_ne!(identity(&one), identity(&other));
}

/// Who asks first is first, though another one comes by when the turn is free; and one who goes away holds nobody up.
#[test]
fn transactions_take_turns_in_the_order_in_which_they_asked() {
    let local = Local::memory(Arc::new(Still)).expect("made");
    let first = now(local.begin());
    let [mut second, third, mut fourth] = [(); 3].map(|()| Box::pin(local.begin()));
    let mut third = third;
    for waits in [&mut second, &mut third, &mut fourth] {
        assert!(waits.as_mut().now_or_never().is_none());
    }
    drop(third);
    drop(first);
    assert!(local.begin().now_or_never().is_none(), "it came later");
    assert!(fourth.as_mut().now_or_never().is_none());
    drop(now(second));
    drop(now(fourth));
}
