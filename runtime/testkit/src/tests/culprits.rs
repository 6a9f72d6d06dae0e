//! Records that end the process.

use std::time::Duration;

use tidemill_core::failure::Policies;
use tidemill_core::limits::Limits;
use tidemill_core::service::HandlerBuilder;

use super::stage::{GROUP, Stage, letters, limits, partition};
use super::work::{COUNT, How, Task};
use crate::fakes::Shape;

const ALWAYS: u32 = u32::MAX;

/// Ends the process while a record is handled that never ends, which stands for one that ends the process.
fn ends_processes(shape: Shape, culprit: u64, most: u32) {
    let stage = Stage::build(shape, 1, |builder, work| {
        let limits = Limits { crash_guard: true, handler_timeout: Duration::from_hours(9), ..limits() };
        let builder = builder.limits(limits).failures(Policies::default());
        builder.handler("worker", work, HandlerBuilder::on::<Task>)
    });
    for n in 0..2_000 {
        let (how, fails) = if n == culprit { (How::Hang, ALWAYS) } else { (How::Transient, 0) };
        stage.feed(&partition(0), &format!("key-{}", n % 7), Task { how, fails, n, emits: 1, ..Task::default() });
    }
    let began = || stage.begun().iter().filter(|n| **n == culprit).count();
    let (mut crashes, mut executor) = (0, stage.executor());
    let worker = loop {
        let member = format!("m{crashes}");
        let (worker, before) = (executor.spawn(stage.worker(&member)), began());
        executor.run_until(|_| letters(&stage).len() == 1 || began() > before).expect("nothing stalls");
        if letters(&stage).len() == 1 {
            break worker;
        }
        crashes += 1;
        assert!(crashes <= most, "it ends the process for ever, {shape:?}");
        executor.crash(worker);
        stage.broker.lose(GROUP, &member, &[partition(0)]);
    };
    let letter = letters(&stage).remove(0);
    assert_eq!((crashes, letter.code.as_str(), letter.origin.offset), (most, "TM-0513", culprit), "{shape:?}");
    executor.run_until(|_| stage.behind() == 0).expect("the rest goes on");
    let counts: u64 = (0..7).filter_map(|key| stage.cell(&format!("key-{key}"), COUNT)).sum();
    assert_eq!(counts, 1_999, "each once");
    stage.switch.stop();
    executor.run_to_end(worker).expect("nothing stalls");
    let is_mark = |key: &[u8]| key.windows(5).any(|name| name == b"guard");
    assert!(stage.broker.states(GROUP, 0).iter().all(|(key, _)| !is_mark(key)), "a good end leaves no mark");
}

#[test]
fn a_record_that_ends_the_process_is_a_letter_after_three_times() {
    for shape in [Shape::Batch, Shape::Unit] {
        ends_processes(shape, 123, 3);
    }
}

#[test]
fn one_far_behind_what_is_durable_takes_one_time_more() {
    ends_processes(Shape::Batch, 1_234, 4);
}
