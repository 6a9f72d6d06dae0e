//! A Kafka that ends with the program that started it, however that ends: prints its process id, its address and its folder,
//! each on a line, and waits until its own standard input ends.

use std::io::{self, Read, Write};

use devkit::kafka::{Error, Kafka, Options};

fn main() -> Result<(), Error> {
    let mut kafka = Kafka::start(&Options::default())?;
    let process = kafka.process_id().expect("it has just started");
    // A reader that went away has seen enough.
    let _ = writeln!(io::stdout(), "{process}\n{}\n{}", kafka.address(), kafka.folder().display());
    let _ = io::stdin().read_to_end(&mut Vec::new());
    kafka.stop()
}
