//! An output that the broker does not take: its unit is found and named, and all else goes through.

use super::audit;
use super::feed::feed_once;
use super::tally::Stage;

/// What the client itself takes, so that the broker has to refuse.
const CLIENT: &str = "kafka.client.message.max.bytes=8000000";

#[test]
fn an_output_that_is_refused_names_its_record_and_holds_up_no_other_partition() {
    let Some(stage) = Stage::open("outputs that Kafka refuses", &[]) else { return };
    let others = (1..=400).flat_map(|number| [("a", number), ("b", number), ("c", number)]);
    feed_once(&stage, &others.clone().chain([("large", 1)]).chain(others).collect::<Vec<_>>());
    for settings in [&[][..], &[CLIENT]] {
        let output = stage.run(settings);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{errors}");
        for words in ["TM-0509", "handler count: record at steps-4@400: ", "too large"] {
            assert!(errors.contains(words), "it does not say {words:?}: {errors}");
        }
    }
    let change = ["--alter", "--entity-type", "topics", "--entity-name", "counts"];
    stage.tool("configs", &[&change[..], &["--add-config", "max.message.bytes=8000000"]].concat());
    let output = stage.run(&[CLIENT]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(audit::applied_once(&stage), 2_401);
}
