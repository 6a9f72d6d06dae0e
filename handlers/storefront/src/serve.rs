//! A storefront that runs: its host, its listener, and how both end.

use std::future::IntoFuture;
use std::pin::pin;

use axum::Router;
use axum::serve::ListenerExt;
use futures_util::future::{Either, FutureExt, select};
use tidemill::code::{Code, Coded, Exit};
use tidemill::config::Configuration;
use tidemill::event::Event;
use tidemill::host::{Host, Running, Signals};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::http::router;
use crate::options::Run;
use crate::store::Store;
use crate::{NAME, OrderRequested, service};

/// Takes orders until the process is told to end, or a part of it fails.
pub(crate) async fn run(run: Run) -> Result<Exit, Coded> {
    let configuration = Configuration::load(&run.common)?;
    let mut host = Host::open_existing(configuration, NAME)?;
    declare(&mut host)?;
    let store = Store::open(&host).await?;
    let listener = TcpListener::bind(&run.listen).await.map_err(|error| cannot_listen(&run.listen, &error))?;
    let running = host.start().await?;
    serve(listener, router(store), &host, running).await
}

/// What runs here and what is written to: where orders are kept in a database, what became of them is kept there too.
pub(crate) fn declare(host: &mut Host) -> Result<(), Coded> {
    host.writes(OrderRequested::TOPIC);
    if host.database().is_some() { host.add(service()) } else { Ok(()) }
}

fn cannot_listen(address: &str, error: &std::io::Error) -> Coded {
    Coded::new(Code::BAD_VALUE, format!("--listen {address} cannot be listened on: {error}"))
}

/// Answers on this listener until the process is told to end, or a part of what runs fails: then it takes no more connections, answers
/// what is under way, has the relay stop, and ends with the error, if there is one. A second signal ends the process at once, which loses
/// nothing that was answered.
pub async fn serve(listener: TcpListener, router: Router, host: &Host, mut running: Running) -> Result<Exit, Coded> {
    let mut signals = Signals::listen()?;
    let address = listener.local_addr().map_err(|error| cannot_listen("", &error))?;
    let (stop, stopped) = oneshot::channel::<()>();
    let listener = listener.tap_io(|connection| {
        // Where it fails, answers are slower and otherwise the same.
        drop(connection.set_nodelay(true));
    });
    let server = axum::serve(listener, router).with_graceful_shutdown(async { drop(stopped.await) });
    let mut server = pin!(server.into_future().map(drop));
    tracing::info!(%address, "listening");
    let is_over = match select(&mut server, select(pin!(signals.next()), pin!(running.failed()))).await {
        Either::Left(_) => true,
        Either::Right((Either::Left((told, _)), _)) => {
            tracing::info!(
                signal = told.name(),
                "answering what is under way; a second signal ends the process at once"
            );
            false
        }
        Either::Right((Either::Right(_), _)) => {
            tracing::info!("answering what is under way");
            false
        }
    };
    drop(stop);
    let ended = async {
        if !is_over {
            // A client that keeps a request open for longer is not waited for.
            select(&mut server, host.clock().sleep(host.configuration().drain())).await;
        }
        running.stop().await
    };
    match select(pin!(ended), pin!(signals.next())).await {
        Either::Left((ended, _)) => ended?,
        Either::Right((told, _)) => told.end_process(),
    };
    tracing::info!("stopped");
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests;
