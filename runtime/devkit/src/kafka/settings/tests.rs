use super::*;

fn text(extra: &[(&str, &str)]) -> String {
    let ports = Ports {
        client: Port::any().expect("a port is free"),
        internal: Port::any().expect("a port is free"),
        controller: Port::any().expect("a port is free"),
    };
    let extra: Vec<(String, String)> =
        extra.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    server_properties(&ports, Path::new("some folder/log"), &extra)
}

#[test]
fn what_a_caller_sets_replaces_ours() {
    let text = text(&[("auto.create.topics.enable", "true"), ("num.io.threads", "3")]);
    assert!(text.contains("auto.create.topics.enable=true\n"), "{text}");
    assert!(!text.contains("auto.create.topics.enable=false"), "{text}");
    assert!(text.contains("num.io.threads=3\n"), "{text}");
    assert!(text.contains("log.dirs=some folder/log\n"), "{text}");
}

#[test]
fn a_value_of_several_lines_stays_one_value() {
    assert_eq!(escaped("a=b\nc\\d: ü"), "a\\=b\\nc\\\\d\\: \\u00fc");
}

#[test]
fn two_ports_that_are_held_at_once_differ() {
    let ports: Vec<Port> = (0..20).map(|_| Port::any().expect("a port is free")).collect();
    let mut numbers: Vec<u16> = ports.iter().map(Port::number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), ports.len());
}
