//! What a service has to be allowed, and the command that allows it.

use std::fmt::{self, Display};

use tidemill_core::code::{Code, Coded};

use crate::settings::Settings;

/// One thing that the cluster has to allow.
pub(crate) enum Access<'a> {
    Read(&'a str),
    Write(&'a str),
    Group(&'a str),
    /// Transactions under this name, and under those of the group's other members.
    Transactions(&'a str),
}

impl Access<'_> {
    /// It is not allowed.
    pub(crate) fn denied(&self, settings: &Settings) -> Coded {
        let user = settings.client.iter().find(|(name, _)| name == "sasl.username").map(|(_, user)| user.as_str());
        let (who, principal) = user.map_or(("this client", "NAME"), |user| (user, user));
        let brokers = &settings.brokers;
        let allow = format!("kafka-acls.sh --bootstrap-server {brokers} --add --allow-principal User:{principal}");
        let message = format!("{who} may not {self}; it is allowed with: {allow} {}", self.options());
        Coded::new(Code::NOT_AUTHORISED, message)
    }

    fn options(&self) -> String {
        match self {
            Self::Read(topic) => format!("--operation Read --topic {topic}"),
            Self::Write(topic) => format!("--operation Write --topic {topic}"),
            Self::Group(group) => format!("--operation Read --group {group}"),
            Self::Transactions(id) => {
                // GROUP.INSTANCE.WORKER, of which the last two differ from member to member.
                let group = id.rsplitn(3, '.').nth(2).unwrap_or(id);
                format!("--operation Write --transactional-id {group}. --resource-pattern-type prefixed")
            }
        }
    }
}

impl Display for Access<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(topic) => write!(f, "read topic {topic}"),
            Self::Write(topic) => write!(f, "write to topic {topic}"),
            Self::Group(group) => write!(f, "join group {group}"),
            Self::Transactions(id) => write!(f, "open transactions as {id}"),
        }
    }
}

#[cfg(test)]
mod tests;
