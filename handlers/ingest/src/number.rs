//! Whole numbers and prices, read without floats.

/// Thousandths of a pound have three decimals.
const DECIMALS: usize = 3;

/// A whole number with an optional sign; nothing else may stand in the text.
pub(crate) fn integer(text: &str) -> Option<i64> {
    let (is_negative, digits) = sign(text);
    let value = magnitude(digits)?;
    Some(if is_negative { -value } else { value })
}

/// A price such as `2.55` or `-11062.06`, in thousandths. Decimals after the third have to be zero.
pub(crate) fn milli(text: &str) -> Option<i64> {
    let (is_negative, digits) = sign(text);
    let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
    let (kept, finer) = decimals.split_at_checked(DECIMALS).unwrap_or((decimals, ""));
    if (whole.is_empty() && decimals.is_empty()) || finer.bytes().any(|digit| digit != b'0') {
        return None;
    }
    let mut value = if whole.is_empty() { 0 } else { magnitude(whole)? };
    for place in 0..DECIMALS {
        let digit = kept.as_bytes().get(place).copied().unwrap_or(b'0');
        value = push(value, digit)?;
    }
    Some(if is_negative { -value } else { value })
}

fn sign(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

fn magnitude(digits: &str) -> Option<i64> {
    if digits.is_empty() {
        return None;
    }
    digits.bytes().try_fold(0, push)
}

fn push(value: i64, digit: u8) -> Option<i64> {
    if !digit.is_ascii_digit() {
        return None;
    }
    value.checked_mul(10)?.checked_add(i64::from(digit - b'0'))
}

#[cfg(test)]
mod tests;
