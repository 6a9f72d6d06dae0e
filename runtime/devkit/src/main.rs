//! Starts and stops real parts for development, without a container engine.

use std::fmt::Display;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use devkit::kafka::Options;
use devkit::kafka::background::{self, Running};
use devkit::{Error, postgres, registry};

/// Starts and stops real parts for development, without a container engine.
#[derive(Debug, Parser)]
enum Command {
    /// Kafka: one node, from Maven's jars.
    #[command(subcommand)]
    Kafka(Kafka),
    /// Postgres, from the programs that are installed.
    #[command(subcommand)]
    Postgres(Postgres),
    /// A schema registry with the API of Confluent's: Apicurio Registry, from Maven.
    #[command(subcommand)]
    Registry(Registry),
}

#[derive(Debug, Subcommand)]
enum Kafka {
    /// Start it in the background, wait until it answers, and print its address.
    Start {
        /// The port for clients; 0 chooses a free one.
        #[arg(long, default_value_t = 9092)]
        port: u16,
        /// Set any key of the broker's own configuration. May be repeated.
        #[arg(long, value_name = "KEY=VALUE", value_parser = key_and_value)]
        set: Vec<(String, String)>,
        #[command(flatten)]
        place: Place,
    },
    /// Stop it; its data stays.
    Stop(Place),
    /// Print its address if it runs; exit code 5 if it does not.
    Status(Place),
    /// Run one of Kafka's own tools against it: `topics`, `consumer-groups`, `acls` and so on, or a Java class.
    Tool {
        #[command(flatten)]
        place: Place,
        /// The tool; its arguments follow.
        name: String,
        /// Passed on as they are; `--bootstrap-server` is added where it is missing.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

#[derive(Debug, Subcommand)]
enum Postgres {
    /// Start it in the background, wait until it answers, and print its URL.
    Start {
        /// The port; 0 chooses a free one.
        #[arg(long, default_value_t = 5432)]
        port: u16,
        /// Set any key of the server's own configuration. May be repeated.
        #[arg(long, value_name = "KEY=VALUE", value_parser = key_and_value)]
        set: Vec<(String, String)>,
        #[command(flatten)]
        place: PostgresPlace,
    },
    /// Stop it; its data stays.
    Stop(PostgresPlace),
    /// Print its URL if it runs; exit code 5 if it does not.
    Status(PostgresPlace),
}

#[derive(Debug, clap::Args)]
struct PostgresPlace {
    /// The folder with its data and log.
    #[arg(long, value_name = "DIR", default_value = "target/devkit/postgres")]
    data: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Registry {
    /// Start it in the background, wait until it answers, and print its URL.
    Start {
        /// The port; 0 chooses a free one.
        #[arg(long, default_value_t = 8081)]
        port: u16,
        #[command(flatten)]
        place: RegistryPlace,
    },
    /// Stop it; its data stays.
    Stop(RegistryPlace),
    /// Print its URL if it runs; exit code 5 if it does not.
    Status(RegistryPlace),
}

#[derive(Debug, clap::Args)]
struct RegistryPlace {
    /// The folder with its data and log.
    #[arg(long, value_name = "DIR", default_value = "target/devkit/registry")]
    data: PathBuf,
}

#[derive(Debug, clap::Args)]
struct Place {
    /// The folder with its data, settings and log.
    #[arg(long, value_name = "DIR", default_value = "target/devkit/kafka")]
    data: PathBuf,
}

fn key_and_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("it has to be KEY=VALUE")?;
    Ok((key.trim().to_owned(), value.to_owned()))
}

fn main() -> ExitCode {
    let ended = match Command::parse() {
        Command::Kafka(command) => run(command),
        Command::Postgres(command) => run_postgres(command),
        Command::Registry(command) => run_registry(command),
    };
    ended.unwrap_or_else(|error| {
        say(&mut io::stderr(), format!("error: {error}"));
        ExitCode::from(error.exit())
    })
}

fn run(command: Kafka) -> Result<ExitCode, Error> {
    match command {
        Kafka::Start { port, set, place: Place { data } } => {
            let options = Options { port, properties: set, ..Options::default() };
            let Running { process, address, .. } = background::start(&options, &data)?;
            say(&mut io::stdout(), address);
            say(&mut io::stderr(), format!("process {process}; its log is {}", data.join("kafka.log").display()));
            Ok(ExitCode::SUCCESS)
        }
        Kafka::Stop(Place { data }) => {
            if !background::stop(&data)? {
                say(&mut io::stderr(), format!("no Kafka ran in {}", data.display()));
            }
            Ok(ExitCode::SUCCESS)
        }
        Kafka::Status(Place { data }) => {
            say(&mut io::stdout(), background::find(&data)?.address);
            Ok(ExitCode::SUCCESS)
        }
        Kafka::Tool { place: Place { data }, name, arguments } => {
            let code = background::tool(&data, &name, &arguments)?.code();
            // A tool that was killed has no code of its own.
            Ok(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1).into())
        }
    }
}

fn run_postgres(command: Postgres) -> Result<ExitCode, Error> {
    match command {
        Postgres::Start { port, set, place: PostgresPlace { data } } => {
            let options = postgres::Options { port, settings: set, data: None };
            let postgres::Running { process, url } = postgres::start(&options, &data)?;
            say(&mut io::stdout(), url);
            say(&mut io::stderr(), format!("process {process}; its log is {}", data.join("postgres.log").display()));
        }
        Postgres::Stop(PostgresPlace { data }) => {
            if !postgres::stop(&data)? {
                say(&mut io::stderr(), format!("no Postgres ran in {}", data.display()));
            }
        }
        Postgres::Status(PostgresPlace { data }) => say(&mut io::stdout(), postgres::find(&data)?.url),
    }
    Ok(ExitCode::SUCCESS)
}

fn run_registry(command: Registry) -> Result<ExitCode, Error> {
    match command {
        Registry::Start { port, place: RegistryPlace { data } } => {
            let registry::Running { process, url } = registry::start(port, &data)?;
            say(&mut io::stdout(), url);
            say(&mut io::stderr(), format!("process {process}; its log is {}", data.join("registry.log").display()));
        }
        Registry::Stop(RegistryPlace { data }) => {
            if !registry::stop(&data)? {
                say(&mut io::stderr(), format!("no registry ran in {}", data.display()));
            }
        }
        Registry::Status(RegistryPlace { data }) => say(&mut io::stdout(), registry::find(&data)?.url),
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes a line. Where nobody listens any more, the exit code has to do.
fn say(to: &mut impl Write, line: impl Display) {
    let _ = writeln!(to, "{line}");
}
