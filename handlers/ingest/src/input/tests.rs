use std::io::Write as _;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use tidemill::code::Code;

use super::{Input, LINE_BYTES};

const HEADER: &str = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country";
const GOOD: &str = "1,A,x,2,2010-12-01 08:26:00,2.55,,France";

fn file(folder: &Path, content: &[u8]) -> Input {
    let path: PathBuf = folder.join("input.csv");
    std::fs::write(&path, content).expect("the file can be written");
    Input::File(path)
}

/// Number, number in the file, and the reason of each line.
fn lines(input: &Input) -> Vec<(u64, u64, Option<String>)> {
    let mut lines = input.open().expect("a usable input");
    let mut all = Vec::new();
    while let Some(numbered) = lines.next().expect("readable") {
        all.push((numbered.number, numbered.in_file, numbered.line.err()));
    }
    all
}

fn gzipped(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).expect("memory");
    encoder.finish().expect("memory")
}

#[test]
fn lines_are_numbered_and_bad_ones_have_a_reason() {
    let folder = tempfile::tempdir().expect("a folder");
    let content = [format!("\u{feff}{HEADER}\r\n{GOOD}\r\n\r\n").as_bytes(), b"1,A,\xff,2\n", GOOD.as_bytes()].concat();
    let expected = [(1, 2, None), (3, 4, Some("not UTF-8".to_owned())), (4, 5, None)];
    assert_eq!(lines(&file(folder.path(), &content)), expected);
    assert_eq!(lines(&file(folder.path(), &gzipped(&content))), expected, "gzip is known by its first bytes");
}

#[test]
fn several_gzip_members_are_one_input() {
    let folder = tempfile::tempdir().expect("a folder");
    let content = [gzipped(format!("{HEADER}\n{GOOD}\n").as_bytes()), gzipped(GOOD.as_bytes())].concat();
    assert_eq!(lines(&file(folder.path(), &content)).len(), 2);
}

#[test]
fn a_line_without_end_is_one_bad_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let endless = "x".repeat(usize::try_from(LINE_BYTES).expect("small") * 3);
    let stray = "1,A,\"x,2,2010-12-01 08:26:00,2.55,,France";
    let input = file(folder.path(), format!("{HEADER}\n{endless}\n{stray}\n{GOOD}\n").as_bytes());
    let reasons: Vec<_> = lines(&input).into_iter().map(|(_, _, reason)| reason.is_some()).collect();
    assert_eq!(reasons, [true, true, false]);
}

#[test]
fn identity_is_that_of_the_content() {
    let folder = tempfile::tempdir().expect("a folder");
    let identity = |content: &[u8]| {
        let mut lines = file(folder.path(), content).open().expect("usable");
        while lines.next().expect("readable").is_some() {}
        lines.identity()
    };
    let content = format!("{HEADER}\n{GOOD}\n").into_bytes();
    assert_eq!(identity(&content), identity(&gzipped(&content)));
    assert_ne!(identity(&content), identity(&content[..content.len() - 1]));
}

#[test]
fn what_cannot_be_used_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let code = |input: &Input| {
        let mut lines = input.open().map_err(|error| error.code)?;
        while lines.next().map_err(|error| error.code)?.is_some() {}
        Ok(())
    };
    assert_eq!(code(&Input::File(folder.path().join("none.csv"))), Err(Code::UNREADABLE_INPUT));
    assert_eq!(code(&Input::File(folder.path().to_owned())), Err(Code::UNREADABLE_INPUT));
    assert_eq!(code(&file(folder.path(), b"")), Err(Code::UNUSABLE_INPUT));
    assert_eq!(code(&file(folder.path(), b"\xff\xfe\n")), Err(Code::UNUSABLE_INPUT));
    assert_eq!(code(&file(folder.path(), b"InvoiceNo,StockCode\n1,2\n")), Err(Code::UNUSABLE_INPUT));
    let whole = gzipped(format!("{HEADER}\n{}", format!("{GOOD}\n").repeat(1_000)).as_bytes());
    assert_eq!(code(&file(folder.path(), &whole)), Ok(()));
    for cut in [6, 12, whole.len() / 2, whole.len() - 1] {
        assert_eq!(code(&file(folder.path(), &whole[..cut])), Err(Code::UNREADABLE_INPUT), "cut at {cut}");
    }
    let mut damaged = whole;
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    assert_eq!(code(&file(folder.path(), &damaged)), Err(Code::UNREADABLE_INPUT));
}
