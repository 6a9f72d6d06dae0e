use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// A record on its way out that owns its parts.
#[derive(Debug, Clone, PartialEq)]
struct Owned {
    topic: u16,
    partition: u32,
    timestamp: i64,
    key: Option<Vec<u8>>,
    headers: Vec<u8>,
    value: Option<Vec<u8>>,
}

#[derive(Debug, Clone)]
enum Step {
    Push(Owned),
    Raw(Owned),
    /// A push whose value fails after it was written in part.
    Fail(Owned),
    Append(Vec<Owned>),
    Clear,
}

fn owned() -> impl Strategy<Value = Owned> {
    let part = || vec(any::<u8>(), 0..6);
    let address = (0_u16..3, any::<u32>(), any::<i64>());
    let parts = (proptest::option::of(part()), part(), proptest::option::of(part()));
    (address, parts).prop_map(|((topic, partition, timestamp), (key, headers, value))| Owned {
        topic,
        partition,
        timestamp,
        key,
        headers,
        value,
    })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => owned().prop_map(Step::Push),
        3 => owned().prop_map(Step::Raw),
        3 => owned().prop_map(Step::Fail),
        2 => vec(owned(), 0..5).prop_map(Step::Append),
        1 => Just(Step::Clear),
    ];
    vec(step, 0..40)
}

fn topics() -> Arc<[Arc<str>]> {
    Arc::from([Arc::from("a"), Arc::from("b"), Arc::from("c")])
}

/// Emits a record as a unit does; `fails` in the middle of its value.
fn push(outputs: &mut Outputs, record: &Owned, fails: bool) -> Result<(), &'static str> {
    let Owned { topic, partition, timestamp, .. } = *record;
    let address = Address { topic, partition, timestamp: Timestamp::from_millis(timestamp) };
    outputs.push(
        address,
        record.key.as_deref(),
        |buffer| buffer.extend_from_slice(&record.headers),
        |buffer| {
            buffer.extend_from_slice(record.value.as_deref().unwrap_or_default());
            if fails { Err("it cannot be written") } else { Ok(record.value.is_some()) }
        },
    )
}

fn held(outputs: &Outputs) -> Vec<Owned> {
    let place = |topic: &Arc<str>| outputs.topics.iter().position(|found| found == topic);
    let owned = |output: Output<'_>| Owned {
        topic: place(output.topic).and_then(|place| place.try_into().ok()).expect("a topic of the table"),
        partition: output.partition,
        timestamp: output.timestamp.as_millis(),
        key: output.key.map(<[u8]>::to_vec),
        headers: output.headers.to_vec(),
        value: output.value.map(<[u8]>::to_vec),
    };
    outputs.iter().map(owned).collect()
}

proptest! {
    /// Against a list of records that own their parts: an empty key or value is not none, and what failed leaves nothing.
    #[test]
    fn agree_with_a_list_of_records(steps in steps()) {
        let (mut outputs, mut list) = (Outputs::new(topics()), Vec::new());
        for step in steps {
            match step {
                Step::Push(record) => {
                    prop_assert_eq!(push(&mut outputs, &record, false), Ok(()));
                    list.push(record);
                }
                Step::Raw(record) => {
                    let Owned { topic, partition, timestamp, .. } = record;
                    let address = Address { topic, partition, timestamp: Timestamp::from_millis(timestamp) };
                    let headers = Headers::from_bytes(record.headers.clone().into());
                    outputs.push_raw(address, record.key.as_deref(), &headers, record.value.as_deref());
                    list.push(record);
                }
                Step::Fail(record) => prop_assert!(push(&mut outputs, &record, true).is_err()),
                Step::Append(records) => {
                    let mut other = Outputs::new(topics());
                    for record in &records {
                        prop_assert_eq!(push(&mut other, record, false), Ok(()));
                    }
                    outputs.append(&mut other);
                    prop_assert!(other.is_empty() && other.bytes() == 0);
                    list.extend(records);
                }
                Step::Clear => {
                    outputs.clear();
                    list.clear();
                }
            }
            prop_assert_eq!((outputs.len(), outputs.is_empty()), (list.len(), list.is_empty()));
            let part = |part: &Option<Vec<u8>>| part.as_ref().map_or(0, Vec::len);
            let size = |record: &Owned| part(&record.key) + record.headers.len() + part(&record.value);
            let bytes: usize = list.iter().map(size).sum();
            prop_assert_eq!(outputs.bytes(), bytes);
        }
        prop_assert_eq!(&held(&outputs), &list);
        let more: Arc<[Arc<str>]> = topics().iter().cloned().chain([Arc::from("d")]).collect();
        prop_assert_eq!(held(&outputs.with_topics(more)), list);
    }
}
