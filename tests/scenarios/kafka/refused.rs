//! An output that the broker does not take: its unit is found and named, and all else goes through.

use super::audit;
use super::feed::feed_once;
use super::tally::{Stage, until};

/// What `counts` takes at first, and what it takes then.
const LARGE: &str = "max.message.bytes=8000000";
const SMALL: &str = "max.message.bytes=1000000";

fn allow(stage: &Stage, setting: &str) {
    let change = ["--alter", "--entity-type", "topics", "--entity-name", "counts"];
    stage.tool("configs", &[&change[..], &["--add-config", setting]].concat());
}

fn others() -> impl Iterator<Item = (&'static str, u64)> + Clone {
    (1..=400).flat_map(|number| [("a", number), ("b", number), ("c", number)])
}

#[test]
fn an_output_larger_than_its_topic_takes_fails_its_unit_alone() {
    let Some(stage) = Stage::open("outputs that are too large for Kafka", &["failures.permanent.then=stop"]) else {
        return;
    };
    feed_once(&stage, &others().chain([("large", 1)]).chain(others()).collect::<Vec<_>>());
    let output = stage.run(&[]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    for words in ["TM-0501", "handler count failed at steps-4@400 after 1 attempt", "its topic takes 1048588"] {
        assert!(errors.contains(words), "it does not say {words:?}: {errors}");
    }
    allow(&stage, LARGE);
    let output = stage.run(&[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(audit::applied_once(&stage), 2_401);
}

#[test]
fn an_output_that_is_refused_names_its_record_and_holds_up_no_other_partition() {
    let Some(stage) = Stage::open("outputs that Kafka refuses", &["failures.refused.then=stop"]) else { return };
    // The service learns at its start what the topic takes, and the topic takes less then.
    allow(&stage, LARGE);
    let mut instance = stage.start("one");
    until("it runs", || instance.shards() == 12);
    allow(&stage, SMALL);
    feed_once(&stage, &others().chain([("large", 1)]).chain(others()).collect::<Vec<_>>());
    let code = instance.ends();
    let errors = instance.errors();
    assert_eq!(code, Some(1), "{errors}");
    for words in ["TM-0509", "handler count: record at steps-4@400: ", "too large"] {
        assert!(errors.contains(words), "it does not say {words:?}: {errors}");
    }
    allow(&stage, LARGE);
    let output = stage.run(&[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(audit::applied_once(&stage), 2_401);
}
