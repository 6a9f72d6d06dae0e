//! What can be chosen, and what is refused.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use tidemill_core::code::{Code, Coded};
use ureq::http::Uri;

/// How a registry is reached, and what is done there.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where it is; a path in front of the API's own is kept.
    pub url: String,
    /// Who asks, by basic authentication.
    pub login: Option<Login>,
    /// Whether a password may go to another machine over a connection that is not encrypted.
    pub allow_plaintext_password: bool,
    /// Whether schemas that are written and not registered yet are registered.
    pub register: bool,
    /// The folder in which what the registry answered is kept.
    pub cache: Option<PathBuf>,
}

/// A name and its password, which is never shown.
#[derive(Clone)]
pub struct Login {
    /// The name.
    pub user: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Login({})", self.user)
    }
}

impl Settings {
    /// Refuses what cannot work, and what would give a password away.
    pub(super) fn check(&self) -> Result<(), Coded> {
        let bad = |message: String| Err(Coded::new(Code::BAD_VALUE, message));
        let rest = self.url.strip_prefix("https://").or_else(|| self.url.strip_prefix("http://"));
        let authority = rest.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
        if authority.is_some_and(|authority| authority.contains('@')) {
            // The address is not repeated: a password may stand in it.
            return bad(
                "registry.url holds a name or a password; give them as registry.user and registry.password".into()
            );
        }
        let uri = self.url.parse::<Uri>().ok().filter(|uri| uri.query().is_none() && !self.url.contains('#'));
        let Some(host) = uri.as_ref().filter(|_| rest.is_some()).and_then(Uri::host) else {
            return bad(format!("registry.url = {:?} has to be http(s)://HOST[:PORT][/PATH]", self.url));
        };
        let is_plain = self.url.starts_with("http://") && !is_loopback(host);
        if self.login.is_some() && is_plain && !self.allow_plaintext_password {
            return bad(format!(
                "registry.password would go to {host} over a connection that is not encrypted; use https, or set \
                 registry.allow_plaintext_password to true"
            ));
        }
        Ok(())
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}
