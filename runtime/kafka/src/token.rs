//! Tokens for SASL OAUTHBEARER, from a file that somebody else keeps fresh.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rdkafka::client::OAuthToken;

/// For how long the client takes a token for good; when four fifths of it are over, the file is read again. How long it really is good,
/// the broker decides, which closes the connection then.
const TAKEN_FOR_GOOD: Duration = Duration::from_mins(1);
/// The client wants a name beside the token, and sends it nowhere.
const NAME: &str = "tidemill";

/// Where tokens come from.
#[derive(Debug, Clone)]
pub(crate) struct Token(Option<Arc<Path>>);

impl Token {
    pub(crate) fn new(file: Option<&Path>) -> Self {
        Self(file.map(Arc::from))
    }

    /// The token that is in the file at this moment.
    #[expect(clippy::disallowed_methods, reason = "librdkafka compares it with the machine's time")]
    pub(crate) fn read(&self) -> Result<OAuthToken, Box<dyn Error>> {
        let file = self.0.as_ref().ok_or("kafka.token_file names no file with a token")?;
        let token = fs::read_to_string(file).map_err(|error| format!("{} cannot be read: {error}", file.display()))?;
        let until = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)? + TAKEN_FOR_GOOD;
        let lifetime_ms = i64::try_from(until.as_millis())?;
        Ok(OAuthToken { token: token.trim().to_owned(), principal_name: NAME.to_owned(), lifetime_ms })
    }
}
