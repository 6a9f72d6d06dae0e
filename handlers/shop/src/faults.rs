//! What goes wrong on purpose: bytes that are no events, and what is known in the end of all that failed.

use std::fmt;
use std::sync::Arc;

use orders::OrderPlaced;
use serde::Serialize;
use tidemill::code::Coded;
use tidemill::event::Event;
use tidemill::headers::{self, Headers};
use tidemill::host::Host;
use tidemill::outputs::{Address, Outputs};
use tidemill::partitioner::partition_for;
use tidemill::ports::{Broker, Start, Subscription};
use tidemill::query::Query;
use tidemill::time::Timestamp;

/// Of so many invoices, one comes with bytes beside it that are no event.
const INVOICES_FOR_ONE: u64 = 500;

/// Publishes bytes that are no events among the orders, as many as go with so many invoices.
pub(crate) async fn publish(host: &Host, seed: Option<u64>, invoices: u64) -> Result<(), Coded> {
    let Some(seed) = seed else { return Ok(()) };
    let topic: Arc<str> = OrderPlaced::TOPIC.into();
    let info = host.broker().topics().describe(&topic).await?;
    let partitions = info.map_or(1, |info| info.partitions);
    let mut outputs = Outputs::new([topic].as_slice().into());
    let headers = Headers::from_pairs([(headers::TYPE, Some(OrderPlaced::NAME.as_bytes()))]);
    for number in 0..invoices.div_ceil(INVOICES_FOR_ONE) {
        let key = format!("broken-{seed}-{number}");
        let partition = partition_for(key.as_bytes(), partitions);
        let address = Address { topic: 0, partition, timestamp: Timestamp::default() };
        let value = [&seed.to_le_bytes()[..], &number.to_le_bytes()].concat();
        outputs.push_raw(address, Some(key.as_bytes()), &headers, Some(&value));
    }
    host.broker().publish(outputs).await
}
