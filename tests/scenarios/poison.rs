//! Records that no handler can read: each is a dead letter, byte for byte, and everything else is done once.

use std::collections::BTreeMap;
use std::sync::Arc;

use orders::{OrderItem, OrderPlaced};
use tidemill::code::Exit;
use tidemill::config::Configuration;
use tidemill::event::Event;
use tidemill::headers::{self, Headers};
use tidemill::host::{Host, Until};
use tidemill::internal;
use tidemill::letters::Letter;
use tidemill::outputs::{Address, Outputs};
use tidemill::partitioner::partition_for;
use tidemill::publisher::Publication;
use tidemill::query::{self, Query};
use tidemill::record::Record;
use tidemill::time::Timestamp;

const PARTITIONS: u32 = 4;
const GOOD: u64 = 99_000;
const POISON: u64 = 1_000;
/// Good records for each of poison, and how many of poison are published at once, behind theirs.
const BETWEEN: u64 = GOOD / POISON;
const TOGETHER: usize = 20;
/// Bytes of headers, and of a value that packs into almost nothing.
const LARGE_HEADER: usize = 60_000;
const BOMB: usize = 300_000;
/// One bomb in so many is larger than any topic takes, but for being packed.
const BOMBS_FOR_LARGE: u64 = 20;
const LARGE_BOMB: usize = 5_000_000;

fn order(number: u64) -> OrderPlaced {
    let item =
        OrderItem { stock_code: "A".to_owned(), quantity: 1, unit_price_milli: 1_000, month: "2010-12".to_owned() };
    OrderPlaced {
        invoice: number.to_string(),
        customer: None,
        country: format!("country-{}", number % 10),
        at: 0,
        lines: 1,
        items: vec![item],
        total_milli: 1_000,
    }
}

/// The headers and the value of poison: bytes that are nothing, headers beyond measure, a schema that nobody knows, no value, and a
/// value that is far larger than it looks on its way.
fn poison(number: u64) -> (Headers, Option<Vec<u8>>) {
    let event = (headers::TYPE, Some(OrderPlaced::NAME.as_bytes()));
    let plain = Headers::from_pairs([event]);
    let junk = number.to_le_bytes().repeat(3);
    match number % 5 {
        0 => (plain, Some(junk)),
        1 => {
            let large = vec![b'h'; LARGE_HEADER];
            (Headers::from_pairs([event, ("x-large", Some(&large)), ("x-none", None)]), Some(junk))
        }
        2 => (plain, Some([&[0, 0, 0, 0x7f, 0xff][..], &junk].concat())),
        3 => (plain, None),
        _ if (number / 5).is_multiple_of(BOMBS_FOR_LARGE) => (plain, Some(vec![0; LARGE_BOMB])),
        _ => (plain, Some(vec![0; BOMB])),
    }
}

async fn feed(host: &Host) {
    let mut publisher = host.publisher("/tests/poison");
    publisher.declare::<OrderPlaced>().await.expect("the topic is there");
    for first in (0..POISON).step_by(TOGETHER) {
        let places = first..first + TOGETHER as u64;
        for number in places.start * BETWEEN..places.end * BETWEEN {
            let (event, id, time) = (order(number), number.to_string(), Timestamp::from_millis(1_000));
            publisher.publish(Publication { event: &event, id: &id, time }).expect("it can be written");
        }
        publisher.flush().await.expect("it is taken");
        let mut outputs = Outputs::new([Arc::from(OrderPlaced::TOPIC)].as_slice().into());
        for place in places {
            let key = format!("poison-{place}");
            let timestamp = Timestamp::from_millis(5_000 + i64::try_from(place).expect("few"));
            let address = Address { topic: 0, partition: partition_for(key.as_bytes(), PARTITIONS), timestamp };
            let (headers, value) = poison(place);
            outputs.push_raw(address, Some(key.as_bytes()), &headers, value.as_deref());
        }
        host.broker().publish(outputs).await.expect("it is taken");
    }
}

async fn letters(host: &Host) -> BTreeMap<String, Letter> {
    let (mut found, mut from) = (BTreeMap::new(), Vec::new());
    let topic = internal::dead_letters(sales::NAME);
    let read = query::records(&**host.broker(), &topic, &mut from, |_, record| {
        let letter = Letter::read(&record).expect("a dead letter");
        let twice = found.insert(letter.key().expect("text").to_owned(), letter);
        assert!(twice.is_none(), "{twice:?}");
    });
    assert_eq!(read.await, Ok(true), "it can be read");
    found
}

fn open(address: &str, more: &[(&str, &str)]) -> Host {
    let partitions = PARTITIONS.to_string();
    let settings = [("broker", address), ("topics.partitions", &partitions), ("log.level", "off")];
    let settings = settings.iter().chain(more);
    let configuration =
        settings.fold(Configuration::default(), |known, (key, text)| known.with(key, text).expect("a good value"));
    let mut host = Host::open(configuration).expect("the broker is there");
    host.add(sales::service()).expect("a sound service");
    host
}

async fn all_are_letters(address: &str) {
    let host = open(address, &[]);
    host.create_topics(host.topics()).await.expect("they can be made");
    if address.starts_with("kafka:") {
        feed(&open(address, &[("kafka.client.compression.codec", "gzip")])).await;
    } else {
        feed(&host).await;
    }
    assert_eq!(host.run(Until::Drained).await, Ok(Exit::Done), "{address}");
    let letters = letters(&host).await;
    assert_eq!(letters.len() as u64, POISON, "{address}");
    for (place, letter) in (0..POISON).map(|place| (place, &letters[&format!("poison-{place}")])) {
        let (headers, value) = poison(place);
        let Record { timestamp, value: found, headers: kept, .. } = &letter.record;
        assert_eq!((kept, found.as_deref()), (&headers, value.as_deref()), "poison {place} on {address}");
        assert_eq!(timestamp.as_millis(), 5_000 + i64::try_from(place).expect("few"));
        assert_eq!((letter.code.as_str(), letter.handler.as_str()), ("TM-0503", sales::INVOICES));
    }
    let (mut invoices, mut revenue) = (0, 0);
    let query = Query::new(Arc::clone(host.broker()), sales::NAME);
    let totals = query.cells(sales::COUNTRIES, sales::TOTALS, |_, totals| {
        invoices += totals.invoices;
        revenue += totals.revenue_milli;
    });
    totals.await.expect("it can be read");
    let good = i64::try_from(GOOD).expect("few");
    assert_eq!((invoices, revenue), (good, good * 1_000), "all others once: {address}");
}

fn run(address: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(all_are_letters(address));
}

#[test]
fn poison_is_dead_letters_byte_for_byte_and_the_rest_is_done_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    run("memory:");
    run(&format!("embedded:{}", folder.path().join("log").display()));
}

#[test]
fn poison_on_kafka_is_dead_letters_byte_for_byte_too() {
    let Some(kafka) = devkit::kafka::own_for_tests("poison on Kafka", &devkit::kafka::Options::default()) else {
        return;
    };
    run(&format!("kafka://{}", kafka.address()));
}
