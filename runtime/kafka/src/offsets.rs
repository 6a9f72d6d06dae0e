//! A group's offsets, as every tool reads them, and the progress that goes with them.

use rdkafka::TopicPartitionList;
use rdkafka::topic_partition_list::TopicPartitionListElem;
use tidemill_core::progress::Progress;
use tidemill_core::record::TopicPartition;

use crate::reader::{number, offset};

/// The longest text that a broker keeps beside an offset (`offset.metadata.max.bytes`).
const MOST_TEXT: usize = 4096;

/// Adds the offset at which a new owner begins, and beside it which of the later records are done. A list that is too long
/// is left out: the changelog has it.
pub(crate) fn add(list: &mut TopicPartitionList, partition: &TopicPartition, progress: &Progress) {
    let at = offset(progress.resume_at());
    let mut element = list.add_partition(&partition.topic, number(partition));
    element.set_offset(at).expect("an offset is from 0 on");
    if progress.undone() > 0 {
        let mut bytes = Vec::new();
        progress.encode(&mut bytes);
        let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
        let text: String = digits.filter_map(|digit| char::from_digit(u32::from(digit), 16)).collect();
        if text.len() <= MOST_TEXT {
            element.set_metadata(text);
        }
    }
}

/// The progress that an offset and its text tell; `None` where the group has no offset.
pub(crate) fn read(element: &TopicPartitionListElem<'_>) -> Option<Progress> {
    let rdkafka::Offset::Offset(at) = element.offset() else { return None };
    let at = u64::try_from(at).ok()?;
    let told = parse(element.metadata()).and_then(|bytes| Progress::decode(&bytes));
    // A text of somebody else's, or of another offset, tells nothing.
    Some(told.filter(|progress| progress.resume_at() == at).unwrap_or_else(|| Progress::starting_at(at)))
}

fn parse(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

#[cfg(test)]
mod tests;
