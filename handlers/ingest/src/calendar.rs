//! Times as the input writes them, such as `2010-12-01 08:26:00`, UTC.

const DAY_MS: i64 = 86_400_000;
const HOUR_MS: i64 = 3_600_000;
const MINUTE_MS: i64 = 60_000;
const SECOND_MS: i64 = 1_000;

/// Days of the months of a common year.
const MONTH_DAYS: [i64; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// Milliseconds since 1970 of a time with or without seconds; a `T` may stand for the space. `None` for anything else,
/// such as the 30th of February.
pub(crate) fn millis(text: &str) -> Option<i64> {
    let text = text.as_bytes();
    let seconds = match text.get(16..)? {
        [] => 0,
        [b':', digits @ ..] if digits.len() == 2 => number(digits)?,
        _ => return None,
    };
    if (text[4], text[7], text[13]) != (b'-', b'-', b':') || !matches!(text[10], b' ' | b'T') {
        return None;
    }
    let (year, month, day) = (number(&text[..4])?, number(&text[5..7])?, number(&text[8..10])?);
    let (hour, minute) = (number(&text[11..13])?, number(&text[14..16])?);
    let lawful = (1..=12).contains(&month)
        && (1..=days_of(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && seconds < 60;
    let time = hour * HOUR_MS + minute * MINUTE_MS + seconds * SECOND_MS;
    lawful.then(|| days_before(year, month, day) * DAY_MS + time)
}

/// Appends a time in the input's form, whole minutes.
pub(crate) fn write(into: &mut String, millis: i64) {
    use std::fmt::Write as _;
    let (days, time) = (millis.div_euclid(DAY_MS), millis.rem_euclid(DAY_MS));
    let (year, month, day) = date_of(days);
    let (hour, minute) = (time / HOUR_MS, time % HOUR_MS / MINUTE_MS);
    write!(into, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:00").expect("a string takes everything");
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |value, digit| digit.is_ascii_digit().then(|| value * 10 + i64::from(digit - b'0')))
}

fn is_leap(year: i64) -> bool {
    (year % 4 == 0 && year % 100 != 0) || year % 400 == 0
}

fn days_of(year: i64, month: i64) -> i64 {
    if month == 2 && is_leap(year) {
        29
    } else {
        MONTH_DAYS[usize::try_from(month - 1).expect("checked by the caller")]
    }
}

/// Days from 1970-01-01 to this date. The year is counted from March, so that the leap day is its last.
fn days_before(year: i64, month: i64, day: i64) -> i64 {
    let year = if month > 2 { year } else { year - 1 };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days_to_1970 = 719_468;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year - days_to_1970
}

/// The date so many days after 1970-01-01, found by going through the years and months; for the generator's few years.
fn date_of(mut days: i64) -> (i64, i64, i64) {
    let (mut year, mut month) = (1970, 1);
    while days >= 365 + i64::from(is_leap(year)) {
        days -= 365 + i64::from(is_leap(year));
        year += 1;
    }
    while days >= days_of(year, month) {
        days -= days_of(year, month);
        month += 1;
    }
    (year, month, days + 1)
}

#[cfg(test)]
mod tests;
