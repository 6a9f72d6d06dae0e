//! What the database's errors mean here.

use std::error::Error as _;

use tidemill_core::code::{Code, Coded};
use tidemill_core::ports::Answer;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Error};

/// How [`refuse`](crate::migrations) ends a statement.
const REFUSED: &str = "TM001";
/// Why: the shard has another owner, whose ownership in the log is a later one.
pub(crate) const FENCED: &str = "fenced";
/// Why: the shard was taken by an ownership that is not later. It has to be taken back.
pub(crate) const MOVED: &str = "moved";

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nobody answers, or not now.
    Away,
    /// We may not do this.
    Denied,
    /// The server takes no writes.
    ReadOnly,
    /// Other transactions were in the way. Again, it may go through.
    Conflict,
    /// It took too long, most often because somebody else holds what it needs.
    Busy,
    /// What was prepared does not fit the tables any more.
    Stale,
    /// The transaction cannot go on, since a statement before had failed.
    Aborted,
    /// A statement of the runtime's said no.
    Refused,
    /// What was sent does not fit, and never will.
    Unfit,
    /// Anything else: the server's own matter.
    Other,
}

pub(crate) fn kind(error: &Error) -> Kind {
    let Some(state) = error.code() else {
        // Not the server: the connection, or what was to be sent.
        return if error.is_closed() || is_io(error) { Kind::Away } else { Kind::Unfit };
    };
    match state.code() {
        REFUSED => Kind::Refused,
        "40001" | "40P01" => Kind::Conflict,
        "55P03" | "57014" => Kind::Busy,
        "0A000" | "26000" => Kind::Stale,
        "25P02" => Kind::Aborted,
        "25006" => Kind::ReadOnly,
        "28000" | "28P01" | "3D000" | "42501" => Kind::Denied,
        // Shutting down, starting up, too many connections, ended by an operator or for standing still.
        code if code.starts_with("08") || code.starts_with("57P") || code.starts_with("53") => Kind::Away,
        "25P03" => Kind::Away,
        code if is_unfit(code) => Kind::Unfit,
        _ => Kind::Other,
    }
}

/// Whether a code says that what was asked for is wrong: a value that does not fit, a broken constraint, a mistake in the statement, or
/// more than the server can do at once.
fn is_unfit(code: &str) -> bool {
    ["21", "22", "23", "42", "44", "54"].iter().any(|class| code.starts_with(class))
}

fn is_io(error: &Error) -> bool {
    let mut cause = error.source();
    while let Some(source) = cause {
        if source.is::<std::io::Error>() {
            return true;
        }
        cause = source.source();
    }
    false
}

/// The error in words: what the server said, and nothing of what was sent.
pub(crate) fn words(error: &Error) -> String {
    match error.as_db_error() {
        // The server quotes the value.
        Some(said) if said.code().code().starts_with("22") => format!("a value does not fit ({})", said.code().code()),
        Some(said) => format!("{} ({})", said.message(), said.code().code()),
        None => error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}")),
    }
}

/// The error of something that was done with the database: TM-0801 where that does not answer, or not now. `what` begins the sentence.
pub fn coded(error: &Error, what: &str) -> Coded {
    let code = match kind(error) {
        Kind::Away => Code::DATABASE_UNREACHABLE,
        Kind::Denied => Code::DATABASE_REFUSES,
        Kind::ReadOnly => Code::DATABASE_READ_ONLY,
        Kind::Refused if error.as_db_error().is_some_and(|said| said.message() == FENCED) => Code::FENCED,
        // Tables that are not there.
        Kind::Unfit if matches!(error.code(), Some(&SqlState::UNDEFINED_TABLE | &SqlState::INVALID_SCHEMA_NAME)) => {
            Code::DATABASE_OUTDATED
        }
        Kind::Conflict | Kind::Busy | Kind::Stale | Kind::Aborted | Kind::Refused | Kind::Unfit | Kind::Other => {
            Code::BACKEND_FAILED
        }
    };
    Coded::new(code, format!("{what}: {}", words(error)))
}

/// Which tables these are: others after the database was made again, or was restored to a time before, or was followed by a copy. The
/// timeline is that of what is written now; the last checkpoint may still be of the one before.
pub(crate) async fn identity(client: &Client, schema: &str) -> Result<String, Coded> {
    const IDENTITY: &str = "select system_identifier::text || '.' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) || \
                            '.' || (select oid::text from pg_database where datname = current_database()) || '.' || $1 \
                            from pg_control_system()";
    let row = client.query_one(IDENTITY, &[&schema]).await;
    Ok(row.map_err(|error| coded(&error, "the database does not say which it is"))?.get(0))
}

/// What became of a commit whose last statement, or whose end, was answered with this.
pub(crate) fn answer(error: &Error) -> Answer {
    let cause = coded(error, "the database did not commit");
    match kind(error) {
        Kind::Away => Answer::Unknown(cause),
        Kind::Conflict | Kind::Busy | Kind::Stale | Kind::Denied | Kind::ReadOnly | Kind::Other => {
            Answer::NotCommitted(cause)
        }
        Kind::Refused => match error.as_db_error().map(tokio_postgres::error::DbError::message) {
            Some(FENCED) => Answer::Fenced(cause),
            Some(MOVED) => Answer::Unknown(cause),
            _ => Answer::NotCommitted(cause),
        },
        Kind::Aborted | Kind::Unfit => Answer::Refused(Coded::new(Code::EFFECTS_REFUSED, cause.message)),
    }
}
