//! `dead-letters edit`: a letter's record, handled again with another value or other headers.

use std::fs;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use tidemill_core::code::{Code, Coded, Exit};
use tidemill_core::codec::CodecError;
use tidemill_core::headers::{Headers, ID, SOURCE};
use tidemill_core::internal::Wish;
use tidemill_core::letters::Letter;
use tidemill_core::record::Record;

use super::act::{self, Act};
use super::book::{self, Wanted};
use super::{Edit, diff};
use crate::command::site::Site;

/// How long the check of an edit waits for a schema that it needs.
const PATIENCE: Duration = Duration::from_secs(10);

/// Reads `NAME=VALUE`. What names the record itself stays as it is: copies of it are told by that.
pub(super) fn header(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((ID | SOURCE, _)) => Err("the id and the source of a record stay as they are".to_owned()),
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("it has to be NAME=VALUE".to_owned()),
    }
}

/// Shows what would change, and sends it as a redrive. A value that its handler could not read is an error (TM-0410).
pub(super) async fn edit(site: &Site, edit: &Edit) -> Result<Exit, Coded> {
    let wanted = Wanted { filter: None, ids: std::slice::from_ref(&edit.id), all: false };
    let found = book::need(site, &wanted).await?;
    let [letter] = &found[..] else {
        let message = format!("several services have a letter {}; say which with --service NAME", edit.id);
        return Err(Coded::new(Code::UNKNOWN_NAME, message));
    };
    let record = edited(&letter.letter.record, edit)?;
    if let Some(service) = site.service(&letter.service) {
        let check = service.check_value(
            &letter.letter.origin.source.topic,
            &letter.letter.handler,
            &record,
            site.host.schemas().map(|schemas| &**schemas),
        );
        let checked = match select(pin!(check), site.host.clock().sleep(PATIENCE)).await {
            Either::Left((checked, _)) => checked,
            Either::Right(_) => Err(CodecError("the schema registry does not answer".to_owned())),
        };
        checked.map_err(|error| {
            let message = format!("the edited record of letter {} cannot be read: {error}", edit.id);
            Coded::new(Code::EDIT_UNREADABLE, message)
        })?;
    } else {
        tracing::warn!(service = %letter.service, "nobody here knows its types, so the edited record is not checked");
    }
    let changes = diff::changes(&letter.letter.record, &record);
    let target = Letter { record, ..letter.letter.clone() }.target();
    let wish = Wish::Redrive { letter: letter.id(), round: letter.letter.round };
    let acts = vec![Act::on_letter(letter, wish, target)];
    act::carry_out(site, acts, &edit.execution, (edit.about.output, Some(changes))).await
}

/// The record with what is to be another. A file that cannot be read is an error (TM-0201).
fn edited(record: &Record, edit: &Edit) -> Result<Record, Coded> {
    let mut record = record.clone();
    if let Some(file) = &edit.value {
        let read = fs::read(file);
        let cannot = |error| Coded::new(Code::UNREADABLE_INPUT, format!("{} cannot be read: {error}", file.display()));
        record.value = Some(read.map_err(cannot)?.into());
    }
    let is_set = |name: &str| edit.header.iter().any(|(set, _)| set == name);
    let kept = record.headers.iter().filter(|(name, _)| !is_set(name));
    let set = edit.header.iter().map(|(name, value)| (name.as_str(), Some(value.as_bytes())));
    record.headers = Headers::from_pairs(kept.chain(set));
    Ok(record)
}
