//! Dead letters of the shop, over all its services.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use tidemill::config::Configuration;
use tidemill::headers::{self, Headers};
use tidemill::host::Host;
use tidemill_core::outputs::{Address, Outputs};
use tidemill_core::time::Timestamp;

use crate::process::{program, run_json};

/// Publishes what no handler can read to topics that different services read.
fn spoil(broker: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let host = Host::open(Configuration::default().with("broker", broker).expect("an address"))
            .expect("nobody else has it");
        let topics: Arc<[Arc<str>]> = ["order-lines".into(), "stock".into()].into();
        let mut outputs = Outputs::new(topics);
        for (topic, event) in [(0, "shop.order-line-recorded"), (1, "shop.stock-moved")] {
            let address = Address { topic, partition: 0, timestamp: Timestamp::from_millis(0) };
            let headers = Headers::from_pairs([(headers::TYPE, Some(event.as_bytes()))]);
            outputs.push_raw(address, Some(b"spoiled"), &headers, Some(b"?"));
        }
        host.broker().publish(outputs).await.expect("it is taken");
    });
}

fn shop(broker: &str, arguments: &[&str]) -> Value {
    run_json(&program("shop"), &[arguments, &["--broker", broker, "--output", "json"]].concat())
}

fn ingest_and_run(broker: &str, folder: &Path) {
    for arguments in [&["ingest", "--lines", "100"][..], &["run", "--until-drained"]] {
        let mut command = crate::process::command(&program("shop"), &[arguments, &["--broker", broker]].concat());
        assert!(command.current_dir(folder).status().expect("it can be started").success(), "{arguments:?}");
    }
}

#[test]
fn the_shop_tells_of_the_dead_letters_of_all_its_services() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let broker = format!("embedded:{}", folder.path().join("shop").display());
    ingest_and_run(&broker, folder.path());
    assert_eq!(shop(&broker, &["dead-letters", "list"]), json!([]));
    spoil(&broker);
    ingest_and_run(&broker, folder.path());
    let listed = shop(&broker, &["dead-letters", "list"]);
    let services: Vec<&str> = listed.as_array().unwrap().iter().filter_map(|line| line["service"].as_str()).collect();
    assert_eq!(services, ["orders", "inventory"], "{listed}");
    let of_one = shop(&broker, &["dead-letters", "list", "--service", "inventory", "--where", "code = TM-0503"]);
    assert_eq!(of_one, json!([listed[1]]));
    let done = shop(&broker, &["dead-letters", "discard", "--execute", "--reason", "nobody can read them"]);
    assert_eq!(done["sent"], 2);
    ingest_and_run(&broker, folder.path());
    assert_eq!(shop(&broker, &["dead-letters", "list"]), json!([]));
    assert_eq!(shop(&broker, &["parked", "list"]), json!([]));
}
