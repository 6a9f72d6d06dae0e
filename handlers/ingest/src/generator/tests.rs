use std::collections::BTreeSet;
use std::io::Read as _;

use flate2::Crc;

use super::Generator;

fn text(lines: u64, seed: u64) -> String {
    let mut text = String::new();
    Generator::new(lines, seed).read_to_string(&mut text).expect("text");
    text
}

#[test]
fn a_seed_means_the_same_lines_everywhere() {
    let text = text(10_000, 1);
    let mut crc = Crc::new();
    crc.update(text.as_bytes());
    assert_eq!((text.len(), crc.sum()), (759_245, 780_322_241));
}

#[test]
fn the_pieces_that_are_read_do_not_matter() {
    let mut generator = Generator::new(500, 3);
    let (mut read, mut piece) = (Vec::new(), [0; 7]);
    loop {
        let count = generator.read(&mut piece).expect("text");
        if count == 0 {
            break;
        }
        read.extend_from_slice(&piece[..count]);
    }
    assert_eq!(read, text(500, 3).into_bytes());
}

#[test]
fn what_was_read_is_not_kept() {
    let (lines, mut piece) = (200_000, vec![0; 64 * 1024]);
    let mut generator = Generator::new(lines, 1);
    let mut all = 0;
    loop {
        let count = generator.read(&mut piece).expect("text");
        if count == 0 {
            break;
        }
        all += count;
        let kept = generator.text.capacity();
        assert!(kept < 4 * piece.len(), "{kept} bytes after {all}");
    }
    assert!(all > 100 * piece.len(), "only {all} bytes were read");
}

#[test]
fn there_are_as_many_lines_as_wanted() {
    for lines in [0, 1, 2, 50, 1_000] {
        assert_eq!(text(lines, 7).lines().count() as u64, lines + 1);
    }
}

#[test]
fn the_lines_have_the_untidiness_of_real_ones() {
    let text = text(100_000, 1);
    for what in ["\nC5", "\nA5", ",,-", ",0.00,", "FRAME 7\"\"", "2010-12-01 08:00:00", "2011-12-0", ",,United"] {
        assert!(text.contains(what), "no {what:?}");
    }
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines.windows(2).any(|pair| pair[0] == pair[1]), "exact duplicates");
    let (mut ended, mut current, mut scattered) = (BTreeSet::new(), "", BTreeSet::new());
    for line in &lines {
        let invoice = line.split(',').next().expect("a field");
        if invoice != current {
            ended.insert(std::mem::replace(&mut current, invoice));
            if ended.contains(invoice) {
                scattered.insert(invoice);
            }
        }
    }
    assert!(!scattered.is_empty(), "invoices whose lines are not contiguous");
}
