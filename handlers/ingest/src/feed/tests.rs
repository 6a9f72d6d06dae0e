use std::path::Path;
use std::sync::Arc;

use tidemill::headers;
use tidemill::publisher::Publisher;
use tidemill_testkit::fakes::{Scripted, Shape, VirtualClock, block_on};

use super::{SOURCE, Summary};
use crate::{Input, Survey, TOPIC};

const HEADER: &str = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n";

fn line(invoice: &str, quantity: &str) -> String {
    format!("{invoice},A,thing,{quantity},2010-12-01 08:26:00,2.55,,France\n")
}

/// What was published: type, key and id of each record, in order.
type Published = Vec<(String, String, String)>;

/// Publishes a CSV to a topic with one partition.
fn published(folder: &Path, rows: &[String], rejects: Option<&Path>) -> (Published, Summary, Vec<u64>) {
    let path = folder.join("lines.csv");
    std::fs::write(&path, format!("{HEADER}{}", rows.concat())).expect("the input can be written");
    let clock = VirtualClock::new();
    let scripted = Scripted::new(&clock, Shape::Batch);
    scripted.create(TOPIC, 1);
    let to = Publisher::new(Arc::new(scripted.clone()), SOURCE);
    let survey = Survey::of(Input::File(path)).expect("the input can be read");
    let mut told = Vec::new();
    let summary = block_on(&clock, survey.publish(to, rejects, |lines| told.push(lines)));
    let records = scripted.records(TOPIC).concat();
    let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
    let published = records.iter().map(|record| {
        let header = |name| text(record.headers.get(name));
        (header(headers::TYPE).replace("shop.", ""), text(record.key.as_deref()), header(headers::ID))
    });
    (published.collect(), summary.expect("it can be published"), told)
}

fn kinds(published: &Published) -> Vec<(&str, &str)> {
    published.iter().map(|(kind, key, _)| (kind.as_str(), key.as_str())).collect()
}

#[test]
fn an_invoice_is_closed_after_its_last_line_and_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let rows = [line("1", "2"), line("1", "3"), line("2", "1"), line("1", "4"), line("C3", "-1")];
    let (published, summary, told) = published(folder.path(), &rows, None);
    let (recorded, closed) = ("order-line-recorded", "invoice-closed");
    let expected = [
        (recorded, "1"),
        (recorded, "1"),
        (recorded, "2"),
        (closed, "2"),
        (recorded, "1"),
        (closed, "1"),
        (recorded, "C3"),
        (closed, "C3"),
    ];
    assert_eq!(kinds(&published), expected);
    assert_eq!((summary.lines, summary.invoices, summary.rejected), (5, 3, 0));
    assert_eq!(told.last(), Some(&5));
}

#[test]
fn a_line_that_cannot_be_read_is_told_and_the_rest_goes_on() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let report = folder.path().join("rejects.csv");
    let rows = [line("1", "2"), line("1", "many"), "1,A\n".to_owned(), line("1", "3")];
    let (published, summary, _) = published(folder.path(), &rows, Some(&report));
    let (recorded, closed, rejected) = ("order-line-recorded", "invoice-closed", "line-rejected");
    let name = "lines.csv";
    assert_eq!(
        kinds(&published),
        [(recorded, "1"), (rejected, name), (rejected, name), (recorded, "1"), (closed, "1")]
    );
    assert_eq!((summary.lines, summary.invoices, summary.rejected), (2, 1, 2));
    let report = std::fs::read_to_string(report).expect("the report is there");
    let lines: Vec<&str> = report.lines().map(|row| row.split(',').next().unwrap_or_default()).collect();
    assert_eq!(lines, ["line", "3", "4"], "{report}");
}

#[test]
fn the_same_content_has_the_same_ids_and_every_event_its_own() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let rows = [line("1", "2"), line("1", "many"), line("2", "1")];
    let (first, ..) = published(folder.path(), &rows, None);
    let (again, ..) = published(folder.path(), &rows, None);
    assert_eq!(first, again);
    let mut ids: Vec<&str> = first.iter().map(|(_, _, id)| id.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), first.len());
    let (other, ..) = published(folder.path(), &[line("1", "5")], None);
    assert_ne!(other[0].2, first[0].2);
}
