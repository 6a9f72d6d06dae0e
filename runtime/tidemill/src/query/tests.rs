use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tidemill_core::code::Code;

use super::{PAGE, Query};
use crate::host::tests::{Ping, SEEN, host, run, serve};
use crate::host::{Host, Until};
use crate::prelude::*;

/// Not what the cell holds.
const MISREAD: Cell<String> = Cell::named("seen");
const OTHER: Cell<u32> = Cell::named("other");
const NOTES: Map<String, u32> = Map::named("seen");

/// A host whose service keeps, for each of these keys, a cell, another one for some, and a map with the cell's name.
async fn kept(keys: impl IntoIterator<Item = String>) -> Host {
    let keep = async |ping: &Ping, cx: &mut Context<'_>| {
        cx.set(SEEN, ping.left);
        cx.map(NOTES).insert(&"a".to_owned(), &1);
        if ping.key.ends_with('7') {
            cx.set(OTHER, 7);
        }
        Ok(())
    };
    let service = Service::builder("keeper").on::<Ping>("balls", keep);
    let host = host(&[("topics.partitions", "3")], [service]);
    serve(&host, keys, 5).await;
    host.run(Until::Drained).await.expect("nothing fails");
    host
}

#[test]
fn every_key_with_the_cell_comes_once_over_all_pages_and_shards() {
    run(async {
        // Each key has two entries or three, so a shard has more than one page of them.
        let keys: BTreeSet<String> = (0..PAGE * 3).map(|key| format!("key{key}")).collect();
        let host = kept(keys.iter().cloned()).await;
        let query = Query::new(Arc::clone(host.broker()), "keeper");
        let mut found = Vec::new();
        query.cells("balls", SEEN, |key, value| found.push((key.to_owned(), value))).await.expect("numbers");
        assert_eq!(found.len(), keys.len());
        assert!(found.iter().all(|(key, value)| keys.contains(key) && *value == 5));
        let mut others = 0;
        query.cells("balls", OTHER, |_, _| others += 1).await.expect("numbers");
        assert_eq!(others, keys.iter().filter(|key| key.ends_with('7')).count());
    });
}

#[test]
fn one_key_is_found_where_it_belongs() {
    run(async {
        let host = kept(["a".into(), "b7".into()]).await;
        let query = Query::new(Arc::clone(host.broker()), "keeper");
        assert_eq!(query.get("balls", "a", SEEN).await, Ok(Some(5)));
        assert_eq!(query.get("balls", "a", OTHER).await, Ok(None));
        assert_eq!(query.get("balls", "b7", OTHER).await, Ok(Some(7)));
        assert_eq!(query.get("balls", "c", SEEN).await, Ok(None));
        assert_eq!(query.get("other", "a", SEEN).await, Ok(None));
        let nobody = Query::new(Arc::clone(host.broker()), "nobody");
        assert_eq!(nobody.get("balls", "a", SEEN).await, Ok(None));
    });
}

#[test]
fn copies_are_counted_by_their_handler() {
    run(async {
        let keys = || (0..20).map(|key| format!("key{key}"));
        let host = kept(keys()).await;
        let query = Query::new(Arc::clone(host.broker()), "keeper");
        assert_eq!(query.copies_suppressed().await, Ok(BTreeMap::new()));
        for (again, copies) in [(20, 20), (13, 33)] {
            serve(&host, keys().take(again), 5).await;
            host.run(Until::Drained).await.expect("nothing fails");
            assert_eq!(query.copies_suppressed().await, Ok(BTreeMap::from([("balls".to_owned(), copies)])));
        }
        let nobody = Query::new(Arc::clone(host.broker()), "nobody");
        assert_eq!(nobody.copies_suppressed().await, Ok(BTreeMap::new()));
    });
}

#[test]
fn a_value_that_cannot_be_read_is_an_error() {
    run(async {
        let host = kept(["a".into()]).await;
        let query = Query::new(Arc::clone(host.broker()), "keeper");
        let error = query.cells("balls", MISREAD, |_, _| ()).await.expect_err("it is a number");
        assert_eq!(error.code, Code::STATE_UNREADABLE);
        assert!(error.message.contains("seen of handler balls of service keeper"), "{error}");
        assert_eq!(query.get("balls", "a", MISREAD).await.map_err(|error| error.code), Err(Code::STATE_UNREADABLE));
    });
}
