//! What goes wrong on purpose: bytes that are no events, and what is known in the end of all that failed.

use std::fmt;
use std::sync::Arc;

use orders::OrderPlaced;
use serde::Serialize;
use tidemill::code::Coded;
use tidemill::event::Event;
use tidemill::failure::ErrorClass;
use tidemill::headers::{self, Headers};
use tidemill::host::Host;
use tidemill::internal;
use tidemill::letters::Letter;
use tidemill::outputs::{Address, Outputs};
use tidemill::partitioner::partition_for;
use tidemill::ports::Broker;
use tidemill::query::{self, Query};
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

/// What failed, in counts of records.
#[derive(Debug, Default, PartialEq, Serialize)]
pub(crate) struct Faults {
    /// Charges that failed for a while, or took too long, and went through in the end.
    transient: u64,
    /// Charges that the bank refused.
    permanent: u64,
    /// Records whose bytes are no event.
    undecodable: u64,
    /// Charges that took more than one attempt.
    retried: u64,
    /// Those among them that were parked.
    parked: u64,
    /// Dead letters of `payments`.
    dead_letters: u64,
}

impl Faults {
    /// Asks the service's state, and its dead letters.
    pub(crate) async fn read(broker: &Arc<dyn Broker>) -> Result<Self, Coded> {
        let mut faults = Self::default();
        let payments = Query::new(Arc::clone(broker), payments::NAME);
        payments
            .cells(payments::CHARGES, payments::PAYMENT, |_, payment| {
                faults.retried += u64::from(payment.attempts > 1);
                faults.parked += u64::from(payment.attempts > payments::ATTEMPTS_IN_PLACE);
            })
            .await?;
        faults.transient = faults.retried;
        query::records(&**broker, &internal::dead_letters(payments::NAME), &mut Vec::new(), |_, record| {
            // One that failed again is the same record.
            let Some(letter) = Letter::read(&record).filter(|letter| letter.round == 1) else { return };
            faults.dead_letters += 1;
            match ErrorClass::named(&letter.class) {
                Some(ErrorClass::Permanent) => faults.permanent += 1,
                Some(ErrorClass::Undecodable) => faults.undecodable += 1,
                _ => {}
            }
        })
        .await?;
        Ok(faults)
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Payments that failed")?;
        let lines = [
            ("for a while", self.transient),
            ("  tried again", self.retried),
            ("  parked", self.parked),
            ("for good", self.permanent),
            ("no event", self.undecodable),
            ("dead letters", self.dead_letters),
        ];
        for (name, count) in lines {
            writeln!(f, "  {name:<18} {count:>18}")?;
        }
        Ok(())
    }
}
