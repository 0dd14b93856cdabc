//! Turns SMTP off and on again.
//!
//! Takes: a bound socket. Gives: a listener with its sessions, ended as a crash would end them, and started again on
//! the same port. Does not: touch mails, rules or the page.

use crate::{
    error::StartError,
    server::Server,
    socket::{bind, listen},
};
use parking_lot::{Mutex, MutexGuard};
use std::{net::SocketAddr, sync::Arc};
use tokio::{net::TcpSocket, runtime, task};
use tokio_util::sync::CancellationToken;

#[derive(Debug)]
pub(crate) struct Switch {
    runtime: runtime::Handle,
    server: Arc<Server>,
    address: SocketAddr,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    On(CancellationToken, task::JoinHandle<()>),
    /// Bound but not listening: clients are refused and nobody else can take the port.
    Off(TcpSocket),
    /// The port could not be kept when SMTP was turned off.
    Lost,
}

impl Switch {
    /// Takes `socket`, bound to `address`, and turns SMTP on.
    pub(crate) fn new(
        runtime: runtime::Handle,
        server: Arc<Server>,
        address: SocketAddr,
        socket: TcpSocket,
    ) -> Result<Self, StartError> {
        let switch = Self { runtime, server, address, state: Mutex::new(State::Off(socket)) };
        switch.turn_on()?;
        Ok(switch)
    }

    /// Does nothing when SMTP is on.
    pub(crate) fn turn_on(&self) -> Result<(), StartError> {
        let mut state = self.lock();
        let socket = match std::mem::replace(&mut *state, State::Lost) {
            State::Off(socket) => socket,
            State::Lost => bind(self.address, "SMTP")?.0,
            on @ State::On(..) => {
                *state = on;
                return Ok(());
            }
        };
        let _entered = self.runtime.enter();
        let (listener, cancelled) = (listen(socket, "SMTP")?, CancellationToken::new());
        let serve = Arc::clone(&self.server).serve(listener, cancelled.clone());
        *state = State::On(cancelled, self.runtime.spawn(serve));
        Ok(())
    }

    /// Returns when all connections are cut.
    pub(crate) fn turn_off(&self) {
        let mut state = self.lock();
        let (cancelled, listener) = match std::mem::replace(&mut *state, State::Lost) {
            State::On(cancelled, listener) => (cancelled, listener),
            off => return *state = off,
        };
        cancelled.cancel();
        wait_for_end(&self.runtime, listener);
        *state = bind(self.address, "SMTP").map_or(State::Lost, |(socket, _)| State::Off(socket));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

/// Blocks; not `block_on`, which would panic on a thread that runs the caller's own runtime.
fn wait_for_end(runtime: &runtime::Handle, task: task::JoinHandle<()>) {
    let (done, wait) = std::sync::mpsc::channel::<()>();
    runtime.spawn(async move {
        let _ = task.await;
        drop(done);
    });
    // Ends with an error, because nothing is ever sent: the dropped sender is the signal.
    let _ = wait.recv();
}
