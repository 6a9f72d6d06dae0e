//! The names of everything that belongs to one group.

/// The compacted topic that a group's state is rebuilt from.
pub(crate) fn changelog(group: &str) -> String {
    format!("{group}.changelog")
}

/// The name under which one member's transactions are known to the cluster: whoever opens it ends what another left open.
pub(crate) fn transactional_id(group: &str, member: &str) -> String {
    format!("{group}.{member}")
}
