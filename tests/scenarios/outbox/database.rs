//! A database as somebody sees it who knows nothing of tidemill.

use tidemill_postgres::tokio_postgres::{Client, NoTls, connect};
use tokio::runtime::Builder;

/// Asks something of the database; nothing where it does not answer.
fn asked<T>(url: &str, ask: impl AsyncFnOnce(Client) -> T) -> Option<T> {
    let event_loop = Builder::new_current_thread().enable_all().build().expect("an event loop");
    event_loop.block_on(async {
        let (client, connection) = connect(url, NoTls).await.ok()?;
        tokio::spawn(async move { drop(connection.await) });
        Some(ask(client).await)
    })
}

/// Runs statements that have to go through.
pub(super) fn execute(url: &str, sql: &str) {
    let done = asked(url, async |client| client.batch_execute(sql).await.expect("it can be done"));
    done.expect("the database answers");
}

/// The one number that a query answers, or none where the database is away.
pub(super) fn number(url: &str, query: &str) -> Option<i64> {
    asked(url, async |client| client.query_one(query, &[]).await.ok().map(|row| row.get(0))).flatten()
}

/// The texts that a query answers.
pub(super) fn texts(url: &str, query: &str) -> Vec<String> {
    let rows = asked(url, async |client| client.query(query, &[]).await.expect("it can be asked"));
    rows.expect("the database answers").iter().map(|row| row.get(0)).collect()
}
