//! Which partition a key belongs to: the Java client's default rule, computed by us everywhere.
//!
//! Source: `org.apache.kafka.common.utils.Utils.murmur2` and `BuiltInPartitioner.partitionForKey`.

/// The seed of the Java client's murmur2.
const SEED: u32 = 0x9747_b28c;
/// The multiplication constant of murmur2.
const M: u32 = 0x5bd1_e995;
/// The shift constant of murmur2.
const R: u32 = 24;

/// The 32-bit murmur2 hash of `data` with the Java client's seed.
pub fn murmur2(data: &[u8]) -> u32 {
    let mut hash = SEED ^ u32::try_from(data.len()).expect("no key of 4 GiB fits into a record");
    let mut words = data.chunks_exact(4);
    for word in words.by_ref() {
        let mut k = u32::from_le_bytes(word.try_into().expect("chunks of four")).wrapping_mul(M);
        k = (k ^ (k >> R)).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ k;
    }
    let tail = words.remainder();
    if !tail.is_empty() {
        for (place, byte) in tail.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * place);
        }
        hash = hash.wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    hash ^ (hash >> 15)
}

/// The partition, out of `partitions`, that records with this key go to. `partitions` is at least 1.
pub fn partition_for(key: &[u8], partitions: u32) -> u32 {
    (murmur2(key) & 0x7fff_ffff) % partitions
}

#[cfg(test)]
mod tests;
