//! A full disk: the run stops with one clear error, and goes on once there is room.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::process::{program, run_json, totals_of};

/// Where the script says that it may not mount anything here.
const MAY_NOT_MOUNT: i32 = 77;

/// Feeds the shop on a file system of its own, makes that so small that a run cannot end, runs, makes room, and runs again. The
/// file system is in a mount namespace of its own, so it is gone when the script ends, however it ends.
const SCRIPT: &str = r#"
set -eu
shop=$1 room=$2 out=$3 store=$4
mount -t tmpfs -o size=1g tmpfs "$room" || exit 77
on="--broker embedded:$room/shop --store $store"
"$shop" ingest --lines 50000 $on
used=$(df -k --output=used "$room" | tail -n 1)
mount -o remount,size=$((used + 2048))k "$room"
code=0
"$shop" run --until-drained $on 2>"$out/errors" || code=$?
echo $code >"$out/code"
mount -o remount,size=1g "$room"
"$shop" run --until-drained $on
"$shop" report --output json $on >"$out/report"
"#;

/// What the script needs of the machine, alone.
const TRIAL: &str = r#"mount -t tmpfs -o size=1g tmpfs "$0" && mount -o remount,size=2048k "$0""#;

/// What begins the script: root mounts in a namespace, anybody else in one where they are root.
fn namespace() -> Command {
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "sh", "-c"]);
    command
}

/// Whether a file system can be mounted here and made small, as the script does; says why when not.
fn can_mount(folder: &Path) -> bool {
    let tried = namespace().arg(TRIAL).arg(folder).output();
    let reason = match &tried {
        Ok(output) if output.status.success() => return true,
        Ok(output) => String::from_utf8_lossy(&output.stderr),
        Err(error) => format!("unshare cannot be started: {error}").into(),
    };
    let reason = reason.split_whitespace().collect::<Vec<_>>().join(" ");
    eprintln!("SKIPPED: a full disk was not tried, as no file system can be mounted here: {reason}");
    false
}

fn filled_and_emptied(store: &str, expected: &Value) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (room, out) = (folder.path().join("room"), folder.path().join("out"));
    for path in [&room, &out] {
        std::fs::create_dir(path).expect("the folder can be made");
    }
    let mut script = namespace();
    script.args([SCRIPT, "sh"]).arg(program("shop")).args([&room, &out]).arg(store);
    let output = script.output().expect("sh can be started");
    assert_ne!(output.status.code(), Some(MAY_NOT_MOUNT), "it could be mounted a moment ago");
    assert!(output.status.success(), "{store}: {}", String::from_utf8_lossy(&output.stderr));
    let written = |name: &str| std::fs::read_to_string(out.join(name)).expect("the script wrote it");
    let errors = written("errors");
    assert_eq!(written("code").trim(), "1", "{store}: {errors}");
    assert_eq!(errors.matches("error TM-").count(), 1, "{store}: one clear error: {errors}");
    assert!(errors.contains("error TM-0305"), "{store}: {errors}");
    assert!(!errors.contains("panicked"), "{store}: {errors}");
    let report = serde_json::from_str(&written("report")).expect("a JSON report");
    assert_eq!(totals_of(report), *expected, "{store}");
}

#[test]
fn a_full_disk_stops_the_run_and_loses_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    if !can_mount(folder.path()) {
        return;
    }
    let expected = totals_of(run_json(&program("shop"), &["--lines", "50000", "--output", "json"]));
    for store in ["sled", "fjall"] {
        filled_and_emptied(store, &expected);
    }
}
