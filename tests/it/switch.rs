//! A TCP proxy whose target a test changes, like a host name that leads to another server after a failover.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// A running proxy. Dropping the value ends the proxy and its connections.
pub(crate) struct SwitchableProxy {
    pub(crate) address: SocketAddr,
    target: Arc<watch::Sender<(SocketAddr, u64)>>,
    accepts: AbortHandle,
}

impl SwitchableProxy {
    /// Starts a proxy to a target.
    pub(crate) async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let target = Arc::new(watch::Sender::new((target, 0)));
        let accepting = Arc::clone(&target);
        let accepts = tokio::spawn(async move {
            loop {
                let (incoming, _) = listener.accept().await.unwrap();
                tokio::spawn(pass(incoming, accepting.subscribe()));
            }
        });
        Self { address, target, accepts: accepts.abort_handle() }
    }

    /// Changes the target of new connections; existing connections keep theirs.
    pub(crate) fn set_target(&self, target: SocketAddr) {
        self.target.send_modify(|(address, _)| *address = target);
    }

    /// Closes the existing connections.
    pub(crate) fn close_connections(&self) {
        self.target.send_modify(|(_, cuts)| *cuts += 1);
    }
}

async fn pass(mut incoming: TcpStream, mut target: watch::Receiver<(SocketAddr, u64)>) {
    let (address, cuts) = *target.borrow();
    let Ok(mut outgoing) = TcpStream::connect(address).await else { return };
    tokio::select! {
        _ = copy_bidirectional(&mut incoming, &mut outgoing) => {}
        // The test has cut the connections, or dropped the proxy.
        _ = target.wait_for(|(_, now)| *now != cuts) => {}
    }
}

impl Drop for SwitchableProxy {
    fn drop(&mut self) {
        self.accepts.abort();
    }
}
