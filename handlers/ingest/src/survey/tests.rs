use super::{Pieces, Scattered};

fn scattered(invoices: &str) -> Vec<(String, u64)> {
    let mut pieces = Pieces::default();
    for (number, invoice) in (1..).zip(invoices.split(' ')) {
        pieces.see(invoice, number);
    }
    let mut found: Vec<_> =
        pieces.scattered.into_iter().map(|(name, Scattered { last_piece, .. })| (name, last_piece)).collect();
    found.sort();
    found
}

#[test]
fn contiguous_invoices_cost_no_entry() {
    assert_eq!(scattered("1 1 1 2 3 3"), []);
}

#[test]
fn the_last_piece_of_a_scattered_invoice_is_found() {
    assert_eq!(scattered("1 1 2 1 3 1 1 3 4"), [("1".to_owned(), 6), ("3".to_owned(), 8)]);
}
