//! Who took a shard is the only one who commits for it, whatever a handler has asked of its transaction.

use std::time::Duration;

use tidemill_postgres::tokio_postgres::{Client, Error};

use super::rows::client;
use super::{database, event_loop};

const SCHEMA: &str = "fence";
const TAKE: &str = "select taken_number from fence.take('service', 0, $1, $2)";
const SETTLE: &str = "select fence.settle(1, $1, $2, 'topic', 0, $3, 0, null, null, '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}')";

async fn take(client: &Client, generation: i64, owner: &str) -> Result<i64, Error> {
    Ok(client.query_one(TAKE, &[&generation, &owner]).await?.get(0))
}

/// Begins a unit of an owner, that of `number`, and settles it when `between` is over. Answers why it was refused, if it was.
async fn settled(client: &Client, isolation: &str, number: i64, between: impl Future<Output = ()>) -> Option<String> {
    client.batch_execute(&format!("begin isolation level {isolation}; select count(*) from fence.done")).await.unwrap();
    between.await;
    let row = client.query_one("select coalesce(max(position), 0) + 1 from fence.done", &[]).await.unwrap();
    let settled = client.query_one(SETTLE, &[&number, &number, &row.get::<_, i64>(0)]).await;
    client.batch_execute("commit").await.unwrap();
    settled.err().map(|error| error.as_db_error().unwrap().message().to_owned())
}

#[test]
fn a_unit_of_a_former_owner_is_refused_whatever_its_isolation() {
    let Some(url) = devkit::postgres::for_tests("takeovers of shards") else { return };
    let _ = database(url, SCHEMA);
    event_loop().block_on(async {
        let (former, next) = (client(url).await, client(url).await);
        for (number, isolation) in (1..).step_by(2).zip(["read committed", "repeatable read", "serializable"]) {
            assert_eq!(take(&former, number, "former").await.unwrap(), number);
            assert_eq!(settled(&former, isolation, number, async {}).await, None);
            let taken = async { assert_eq!(take(&next, number + 1, "next").await.unwrap(), number + 1) };
            let refused = settled(&former, isolation, number, taken).await.expect("it is refused");
            assert!(refused == "fenced" || refused.contains("could not serialize"), "{isolation}: {refused}");
            let again = settled(&former, isolation, number, async {}).await;
            assert_eq!(again.as_deref(), Some("fenced"), "{isolation}");
        }
        let rows = next.query_one("select count(*) from fence.done", &[]).await.unwrap();
        assert_eq!(rows.get::<_, i64>(0), 3, "one of each former owner");
    });
}

#[test]
fn a_takeover_waits_for_commits_that_are_under_way() {
    let Some(url) = devkit::postgres::for_tests("takeovers of shards") else { return };
    let _ = database(url, "fence_waits");
    let of_schema = |text: &str| text.replace("fence.", "fence_waits.");
    event_loop().block_on(async {
        let (former, next) = (client(url).await, client(url).await);
        next.batch_execute("set lock_timeout = 200").await.unwrap();
        for isolation in ["read committed", "repeatable read"] {
            let number: i64 = former.query_one(&of_schema(TAKE), &[&1_i64, &"former"]).await.unwrap().get(0);
            former.batch_execute(&format!("begin isolation level {isolation}")).await.unwrap();
            former.query_one(&of_schema(SETTLE), &[&number, &1_i64, &number]).await.unwrap();
            let taken = next.query_one(&of_schema(TAKE), &[&2_i64, &"next"]).await;
            assert_eq!(taken.unwrap_err().code().unwrap().code(), "55P03", "{isolation}: it waited, and in vain");
            former.batch_execute("commit").await.unwrap();
            tokio::time::timeout(Duration::from_secs(10), next.query_one(&of_schema(TAKE), &[&2_i64, &"next"]))
                .await
                .expect("nobody is in the way")
                .unwrap();
        }
    });
}
