//! What `--where` can ask of a unit that ran again.

use crate::command::filter::{Fact, Field, Filter};
use crate::replay::Told;

/// Whether a unit of this service is meant.
pub(super) fn is_meant(filter: Option<&Filter>, service: &str, told: &Told) -> bool {
    filter.is_none_or(|filter| filter.holds(&|field| fact(service, told, field)))
}

/// What a unit answers when it is asked for a field.
fn fact<'t>(service: &'t str, told: &'t Told, field: Field) -> Fact<'t> {
    let text = |text: Option<&'t str>| text.map_or(Fact::Nothing, Fact::Text);
    let source = &told.position.source;
    match field {
        Field::Id => Fact::Text(&told.id),
        Field::Service => Fact::Text(service),
        Field::Handler => Fact::Text(&told.handler),
        Field::Type => Fact::Text(&told.event),
        Field::Key => text(told.record.key.as_deref().and_then(|key| std::str::from_utf8(key).ok())),
        Field::Topic => Fact::Text(&source.topic),
        Field::Partition => Fact::Number(source.partition.into()),
        Field::Offset => Fact::Number(told.position.offset),
        Field::Attempts => Fact::Number(told.noted.attempt.into()),
        Field::Time => Fact::Time(told.at),
        Field::Message => text(told.failure.as_ref().map(|failure| failure.message.as_str())),
        Field::Code => text(told.noted.ended.code()),
        Field::State => Fact::Text(told.noted.ended.name()),
        Field::Class | Field::Fingerprint | Field::Round => Fact::Nothing,
    }
}
