#![expect(
    clippy::disallowed_methods,
    reason = "a lock is let go while another thread waits for it; the thread is joined here"
)]

use super::*;

#[test]
fn a_lock_that_is_let_go_is_waited_for_and_one_that_is_kept_is_not() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let open = || File::create(folder.path().join("lock")).expect("it can be made");
    let (held, wanted) = (open(), open());
    hold(&held).expect("nobody holds it");
    assert!(matches!(hold(&wanted), Err(TryLockError::WouldBlock)));
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::park_timeout(LOCK_EVERY * 3);
            drop(held);
        });
        hold(&wanted).expect("it is let go");
    });
}
