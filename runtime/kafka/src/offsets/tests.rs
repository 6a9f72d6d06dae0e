use super::*;

fn there_and_back(progress: &Progress) -> Option<Progress> {
    let mut list = TopicPartitionList::new();
    add(&mut list, &TopicPartition::new("topic", 3), progress);
    let elements = list.elements();
    assert_eq!((elements[0].topic(), elements[0].partition()), ("topic", 3));
    read(&elements[0])
}

#[test]
fn progress_comes_back_from_an_offset_and_its_text() {
    let mut progress = Progress::starting_at(5);
    assert_eq!(there_and_back(&progress), Some(progress.clone()));
    progress.take(7);
    progress.take_done(9);
    progress.take(1_000_000);
    progress.take_done(1_000_001);
    assert_eq!(there_and_back(&progress), Some(progress));
}

#[test]
fn a_list_that_is_too_long_is_left_out() {
    let mut progress = Progress::default();
    for offset in 0..5_000 {
        progress.take(offset * 1_000);
    }
    assert_eq!(there_and_back(&progress), Some(Progress::starting_at(0)));
}

#[test]
fn what_others_wrote_beside_an_offset_tells_nothing() {
    for text in ["", "x", "some text of another client", "05", "zz"] {
        let mut list = TopicPartitionList::new();
        let mut element = list.add_partition("topic", 0);
        element.set_offset(offset(12)).unwrap();
        element.set_metadata(text);
        assert_eq!(read(&list.elements()[0]), Some(Progress::starting_at(12)), "{text:?}");
    }
}

#[test]
fn no_offset_is_no_progress() {
    let mut list = TopicPartitionList::new();
    list.add_partition("topic", 0);
    assert_eq!(read(&list.elements()[0]), None);
}
