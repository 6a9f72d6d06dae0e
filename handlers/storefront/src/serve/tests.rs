use futures_util::future::join;
use tidemill::code::Code;
use tokio::net::TcpListener;

use super::serve;
use crate::http::router;
use crate::store::Store;
use crate::store::tests::{database, event_loop, host};

#[test]
fn a_relay_that_fails_ends_the_storefront_with_its_error() {
    let Some(url) = devkit::postgres::for_tests("a relay that fails") else { return };
    event_loop().block_on(async {
        let (own, client) = database(url, "storefront_relay").await;
        let host = host(&own);
        let store = Store::open(&host).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let running = host.start().await.unwrap();
        let serving = serve(listener, router(store), &host, running);
        let (ended, dropped) = join(serving, client.batch_execute("drop schema tidemill cascade")).await;
        dropped.unwrap();
        assert_eq!(ended.unwrap_err().code, Code::DATABASE_OUTDATED);
    });
}
