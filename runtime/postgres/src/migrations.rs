//! Tables and their versions: the runtime's own, and those of programs, made by `database migrate`.

use tidemill_core::code::{Code, Coded};
use tokio_postgres::Client;

use crate::connection::connect;
use crate::failure::coded;
use crate::settings::Settings;

/// What makes each version out of the one before. What is released is never changed.
const STEPS: &[&str] =
    &[include_str!("migrations/0001.sql"), include_str!("migrations/0002.sql"), include_str!("migrations/0003.sql")];

/// Keeps two that migrate at the same time apart: any number that nobody else takes.
const LOCK: i64 = 0x7469_6465_6d69_6c6c;

/// Versions of the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    /// The one that is there; 0 if none is.
    pub found: usize,
    /// The one that this program works with.
    pub wanted: usize,
}

/// Tables in a schema of their own, in versions. Programs keep theirs as the runtime keeps its own.
#[derive(Debug, Clone, Copy)]
pub struct Tables<'a> {
    /// The schema that the tables lie in, and that nothing else lies in.
    pub schema: &'a str,
    /// SQL that makes each version out of the one before; `{schema}` stands for the schema in it. What is released is never changed.
    pub steps: &'a [&'a str],
}

/// Which version is there.
async fn version(client: &Client, tables: &Tables<'_>) -> Result<Version, Coded> {
    let table = format!("{}.migration", tables.schema);
    let is_there = client.query_one("select to_regclass($1) is not null", &[&table]).await;
    let is_there: bool = is_there.map_err(|error| coded(&error, "the tables cannot be looked for"))?.get(0);
    let mut found = 0;
    if is_there {
        let row = client.query_one(&format!("select coalesce(max(number), 0) from {table}"), &[]).await;
        let number: i32 = row.map_err(|error| coded(&error, "the tables' version cannot be read"))?.get(0);
        found = usize::try_from(number).unwrap_or(usize::MAX);
    }
    Ok(Version { found, wanted: tables.steps.len() })
}

/// Whether the runtime's tables are those that this program works with, and the database takes writes. Else an error says what is to be
/// done.
pub async fn check(settings: &Settings) -> Result<Version, Coded> {
    Tables::of_runtime(settings).check(settings).await
}

/// Makes the runtime's tables, or brings them to the version of this program, in one transaction. Answers what was there before.
pub async fn migrate(settings: &Settings) -> Result<Version, Coded> {
    Tables::of_runtime(settings).migrate(settings).await
}

impl<'a> Tables<'a> {
    fn of_runtime(settings: &'a Settings) -> Self {
        Self { schema: &settings.schema, steps: STEPS }
    }

    /// Whether the tables are those that this program works with, and the database takes writes. Else an error says what is to be
    /// done (TM-0803, TM-0804, TM-0805).
    pub async fn check(&self, settings: &Settings) -> Result<Version, Coded> {
        let (client, _) = connect(settings, "tidemill check").await?;
        let version = version(&client, self).await?;
        let Version { found, wanted } = version;
        let place = format!("schema {} of {}", self.schema, settings.address());
        if found > wanted {
            let message = format!("{place} has version {found}, and this program works with {wanted}: it is too old");
            return Err(Coded::new(Code::DATABASE_NEWER, message));
        }
        if found < wanted {
            let has = if found == 0 { "no tables of ours".to_owned() } else { format!("version {found}") };
            let message =
                format!("{place} has {has}, and this program works with version {wanted}; run `database migrate`");
            return Err(Coded::new(Code::DATABASE_OUTDATED, message));
        }
        let row = client.query_one("select current_setting('transaction_read_only') = 'on'", &[]).await;
        let is_read_only: bool = row.map_err(|error| coded(&error, "the database cannot be asked"))?.get(0);
        if is_read_only {
            let message = format!("{} takes no writes: it is a replica, or set to read only", settings.address());
            return Err(Coded::new(Code::DATABASE_READ_ONLY, message));
        }
        Ok(version)
    }

    /// Makes the tables, or brings them to the version of this program, in one transaction. Answers what was there before.
    pub async fn migrate(&self, settings: &Settings) -> Result<Version, Coded> {
        let (mut client, _) = connect(settings, "tidemill migrate").await?;
        let failed = |error: tokio_postgres::Error| coded(&error, "the tables cannot be made");
        client.execute("select pg_advisory_lock($1)", &[&LOCK]).await.map_err(failed)?;
        let before = version(&client, self).await?;
        if before.found > before.wanted {
            let Version { found, wanted } = before;
            let message = format!(
                "the tables of schema {} have version {found}, and this program knows {wanted}: it is too old",
                self.schema
            );
            return Err(Coded::new(Code::DATABASE_NEWER, message));
        }
        let schema = self.schema;
        let transaction = client.transaction().await.map_err(failed)?;
        let begin = format!(
            "create schema if not exists {schema}; create table if not exists {schema}.migration \
             (number integer primary key, at timestamptz not null default now())"
        );
        transaction.batch_execute(&begin).await.map_err(failed)?;
        for (number, step) in (1_i32..).zip(self.steps).skip(before.found) {
            transaction.batch_execute(&step.replace("{schema}", schema)).await.map_err(failed)?;
            let note = format!("insert into {schema}.migration (number) values ($1)");
            transaction.execute(&note, &[&number]).await.map_err(failed)?;
        }
        transaction.commit().await.map_err(failed)?;
        Ok(before)
    }
}
