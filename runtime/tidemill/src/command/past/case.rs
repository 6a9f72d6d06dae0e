//! `capture`, `debug` and `testcase`: one unit in a file of its own, and what can be done with it.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use tidemill_core::code::{Code, Coded, Exit};
use tidemill_core::service::ServiceBuilder;

use super::fact::is_meant;
use super::{Selected, Within, watched};
use crate::command::site::Site;
use crate::command::{Options, Output, print, print_json};
use crate::config::Configuration;
use crate::files::not_written;
use crate::replay::{About, Case, Replay, Shown};
use crate::telemetry;

/// Options of `capture`.
#[derive(Debug, Args)]
pub struct Capture {
    #[command(flatten)]
    within: Within,
    #[command(flatten)]
    selected: Selected,
    /// The file to write. It holds data of one key, as it is.
    #[arg(long, value_name = "FILE")]
    into: PathBuf,
    #[arg(long = "output", value_enum, default_value_t, id = "form")]
    output: Output,
}

#[derive(Serialize)]
struct Captured<'c> {
    service: &'c str,
    #[serde(flatten)]
    about: &'c About,
    into: &'c Path,
}

impl Capture {
    /// Captures the first unit that is meant. More than one service that has such a unit is an error (TM-0102): one has to be named.
    pub(super) async fn carry_out(mut self, services: Vec<ServiceBuilder>) -> Result<Exit, Coded> {
        let state = self.within.takes_state();
        let site = Site::open(&self.within.place, services)?;
        let mut found: Option<Case> = None;
        for name in &site.names {
            let replay = self.within.of(Replay::of(&site.host, name)?, state).select(self.selected.selection());
            let filter = self.selected.which.filter.as_ref();
            let work = replay.capture(|told| is_meant(filter, name, told));
            match (watched(&**site.host.clock(), &replay, work).await?, &found) {
                (Some(case), Some(other)) => {
                    let (one, other) = (other.service(), case.service());
                    let message = format!("{one} and {other} both have such a unit; say which by --service NAME");
                    return Err(Coded::new(Code::BAD_VALUE, message));
                }
                (Some(case), None) => found = Some(case),
                (None, _) => {}
            }
        }
        let Some(case) = found else {
            return Err(Coded::new(Code::NOTHING_MATCHES, "no unit is in the range of which that holds"));
        };
        write(&self.into, &case.to_text())?;
        let (about, into) = (case.about(), &self.into);
        let captured = Captured { service: case.service(), about, into };
        match self.output {
            Output::Json => print_json(&captured)?,
            Output::Table => {
                let About { position, handler, event, then, .. } = about;
                print(format!("{position}  {handler}: {event}  {then}, written to {}", into.display()))?;
            }
        }
        Ok(Exit::Done)
    }
}

/// A file that cannot be written is an error (TM-0203).
fn write(path: &Path, text: &str) -> Result<(), Coded> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let made = folder.map_or(Ok(()), fs::create_dir_all);
    made.and_then(|()| fs::write(path, text)).map_err(|error| not_written(path, &error))
}

/// Options of `debug`.
#[derive(Debug, Args)]
pub struct Debug {
    /// The file that `capture` wrote.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Let handlers call outside where no answer was kept.
    #[arg(long)]
    allow_calls: bool,
    #[arg(long = "output", value_enum, default_value_t, id = "form")]
    output: Output,
    #[command(flatten)]
    options: Options,
}

impl Debug {
    /// Runs the unit. Problems where it fails.
    pub(super) async fn carry_out(self, services: Vec<ServiceBuilder>) -> Result<Exit, Coded> {
        let case = Case::open(&self.file)?;
        let shown = run(&case, Configuration::load(&self.options)?, services, self.allow_calls).await?;
        match self.output {
            Output::Json => print_json(&shown)?,
            Output::Table => print(shown.lines().join("\n"))?,
        }
        Ok(if shown.failure.is_some() { Exit::Problems } else { Exit::Done })
    }
}

async fn run(
    case: &Case,
    configuration: Configuration,
    services: Vec<ServiceBuilder>,
    allow_calls: bool,
) -> Result<Shown, Coded> {
    let known: Vec<String> = services.iter().map(|service| service.name().to_string()).collect();
    let service = services.into_iter().find(|service| **service.name() == *case.service()).ok_or_else(|| {
        let message = format!("it is a case of service {}; here there is {}", case.service(), known.join(", "));
        Coded::new(Code::UNUSABLE_CASE, message)
    })?;
    let host = case.host(configuration, service)?;
    let _capture = telemetry::capture();
    let (told, took) = case.run_on(&host, allow_calls).await?;
    Ok(Shown::of(&host.services()[0], &told, telemetry::captured(), took))
}

/// Options of `testcase`.
#[derive(Debug, Args)]
pub struct Testcase {
    /// The file that `capture` wrote.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The folder of a package's integration tests. The test goes there, and the case into `cases` within.
    #[arg(long, value_name = "DIR", default_value = "tests")]
    into: PathBuf,
    /// What makes the service in that package; `NAME::service()`, unless this says otherwise.
    #[arg(long, value_name = "EXPRESSION")]
    make: Option<String>,
    /// Write over a test of the same name.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    options: Options,
}

impl Testcase {
    /// Writes a test that asks for what the unit emits now, or, where it fails now, that it does not.
    pub(super) async fn carry_out(self, services: Vec<ServiceBuilder>) -> Result<Exit, Coded> {
        let case = Case::open(&self.file)?;
        let shown = run(&case, Configuration::load(&self.options)?, services, false).await?;
        let name = identifier(&format!("{} {} {}", case.service(), shown.handler, shown.position));
        let (test, copy) = (self.into.join(format!("{name}.rs")), self.into.join("cases").join(format!("{name}.json")));
        if let Some(there) = [&test, &copy].into_iter().find(|path| path.exists() && !self.force) {
            let message = format!("{} is there already; --force writes over it", there.display());
            return Err(Coded::new(Code::REPORT_NOT_WRITTEN, message));
        }
        let make = self.make.unwrap_or_else(|| format!("{}::service()", identifier(case.service())));
        write(&copy, &case.to_text())?;
        write(&test, &source(&name, &make, &shown))?;
        print(format!("{}\n{}", test.display(), copy.display()))?;
        Ok(Exit::Done)
    }
}

/// What remains of a name where it is one in a program.
fn identifier(name: &str) -> String {
    name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '_' }).collect()
}

/// The source of a test.
fn source(name: &str, make: &str, shown: &Shown) -> String {
    // What stands in a comment ends it nowhere.
    let line = |text: &str| text.replace(|letter: char| letter.is_control(), " ");
    let Shown { service, position, handler, event, then, failure, .. } = shown;
    let [service, position, handler, event, then] = [service, position, handler, event, then].map(|text| line(text));
    let mut text = format!(
        "//! The unit of {event} at {position} that {handler} of {service} handled: {then} then.\n\n\
         use tidemill::replay::Case;\n\n\
         #[test]\nfn {name}() {{\n    \
         let case = concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/tests/cases/{name}.json\");\n    \
         let unit = Case::open(case).and_then(|case| case.run({make})).expect(\"the case fits the service\");\n    \
         assert_eq!(unit.failure, None);\n"
    );
    if failure.is_none() {
        text.push_str("    let emitted: [&str; ");
        let events = shown.events();
        let _ = write!(text, "{}] = [", events.len());
        for event in &events {
            let _ = write!(text, "\n        {},", raw(event));
        }
        text.push_str(if events.is_empty() { "];\n" } else { "\n    ];\n" });
        text.push_str("    assert_eq!(unit.events(), emitted);\n");
    }
    text.push_str("}\n");
    text
}

/// Text as a literal that is read as it is.
fn raw(text: &str) -> String {
    let mut fence = String::from("#");
    while text.contains(&format!("\"{fence}")) {
        fence.push('#');
    }
    format!("r{fence}\"{text}\"{fence}")
}
