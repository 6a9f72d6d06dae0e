//! SIGTERM and ctrl-c.

use std::future::poll_fn;
use std::task::Poll;

use tidemill_core::code::{Code, Coded};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What the process was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// ctrl-c.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

impl Told {
    /// How the signal is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
        }
    }

    /// Ends the process at once, with the exit code that a shell shows for this signal. What is committed stays; the rest
    /// runs again.
    #[expect(clippy::disallowed_methods, reason = "who asks twice does not want the drain")]
    pub fn end_process(self) -> ! {
        std::process::exit(match self {
            Self::Interrupt => 130,
            Self::Terminate => 143,
        })
    }
}

/// The signals that ask a process to end.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Takes them from now on: they end the process no more.
    pub fn listen() -> Result<Self, Coded> {
        let listen = |kind| {
            signal(kind).map_err(|error| {
                Coded::new(Code::BACKEND_FAILED, format!("the system lets this process take no signals: {error}"))
            })
        };
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    /// The next one.
    pub async fn next(&mut self) -> Told {
        poll_fn(|cx| {
            if self.interrupt.poll_recv(cx).is_ready() {
                return Poll::Ready(Told::Interrupt);
            }
            self.terminate.poll_recv(cx).map(|_| Told::Terminate)
        })
        .await
    }
}
