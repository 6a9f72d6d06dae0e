use crate::replay::range::*;

fn edge(text: &str) -> Edge {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn ends_of_ranges_are_read_in_all_their_forms() {
    assert_eq!(edge("17"), Edge::Offset(17));
    assert_eq!(edge("my-orders-3@17"), Edge::Position(TopicPartition::new("my-orders", 3).at(17)));
    let at = Edge::Time(Timestamp::parse("2026-11-01T10:00:00Z").expect("a time"));
    for text in ["@2026-11-01T10:00", "@2026-11-01T10:00:00", "@2026-11-01T10:00:00Z", "@2026-11-01T11:00:00+01:00"] {
        assert_eq!(edge(text), at, "{text}");
    }
    assert_eq!(edge("@2026-11-01"), Edge::Time(Timestamp::parse("2026-11-01T00:00:00Z").expect("a time")));
    assert_eq!(edge("@+15m"), Edge::After(Duration::from_mins(15)));
}

#[test]
fn other_words_are_refused() {
    for text in ["", "x", "-1", "@", "@yesterday", "@+", "@+3", "orders@4", "orders-@4", "orders-0@x"] {
        assert!(text.parse::<Edge>().is_err(), "{text}");
    }
}
