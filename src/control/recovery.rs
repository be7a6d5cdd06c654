//! The recovery client on kernel sockets: a thread beside the loop that asks request servers for holes and a GLIMPSE
//! server for snapshots, and hands over what they answer.
//!
//! The client itself ([`crate::feed::recovery`]) is a state machine without sockets; this file gives it sockets, time
//! and a thread, writes what it has to say into the log, and keeps [`Health`] up to date. The thread runs on the CPUs of the
//! thread that starts it, which is the control side's and never the loop's.
//!
//! Nothing here waits for a peer: connecting, reading and writing do not block, and every try has a time-out of its
//! own. An error of the network is the end of that try, never of the thread. Memory is bounded: one buffer for
//! datagrams, one for what the snapshot server sends, which is not read further while the loop has no room.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};

use crate::config;
use crate::control::Handles;
use crate::feed::handover::{ClientEnd, Need};
use crate::feed::recovery::{Action, Recovery, RecoveryConfig};
use crate::pipeline::health::{FeedState, Health};

mod connection;
mod episodes;
mod notices;
mod servers;
mod settings;

use connection::{Connection, Inbox};
use episodes::Episodes;
use servers::Server;

/// Longest time between two looks at what the loop needs.
const IDLE: Duration = Duration::from_millis(1);

/// The same while something is wanted: a request that is due leaves soon.
const BUSY: Duration = Duration::from_micros(200);

/// Most datagrams of one server, and most reads of the connection, between two looks.
const AT_ONCE: usize = 64;

/// Longest UDP payload.
const DATAGRAM: usize = 65_507;

/// Time between two refreshes of what is shown, where nothing changes.
const SHOW: Duration = Duration::from_millis(20);

/// How long the last bytes may take to leave when the thread ends.
const FAREWELL: Duration = Duration::from_millis(200);

/// The connection's place in the poll, after those of the request servers.
const CONNECTION: Token = Token(usize::MAX - 1);

/// Recovery threads that run, one for each loop.
#[derive(Debug)]
pub struct RecoveryThread {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl RecoveryThread {
    /// Lets them log out and end; takes a fraction of a second at most. Dropping does the same.
    pub fn stop(self) {}
}

impl Drop for RecoveryThread {
    fn drop(&mut self) {
        // SYNC POINT: relaxed; the flag carries no data with it.
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a recovery thread failed");
            }
        }
    }
}

/// Starts what the configuration asks for; `None` where there is nothing to recover from. Takes the clients' ends of the
/// links out of `handles`, and keeps [`Handles::health`] up to date from then on. Where there are several loops, each has a
/// client of its own with its share of what may be asked; each logs in for snapshots of its own.
///
/// # Errors
/// The operating system gives no poll or no thread.
pub fn start(config: Option<&config::Recovery>, handles: &mut Handles) -> io::Result<Option<RecoveryThread>> {
    let Some(config) = config else { return Ok(None) };
    let ends = std::mem::take(&mut handles.recovery);
    let config = config.share(u32::try_from(ends.len()).unwrap_or(u32::MAX));
    let mut all = RecoveryThread { stop: Arc::new(AtomicBool::new(false)), threads: Vec::new() };
    for (end, health) in ends.into_iter().zip(handles.health.each()) {
        all.add(&config, end, health.clone())?;
    }
    Ok((!all.threads.is_empty()).then_some(all))
}

/// The same for a link that belongs to no worker.
///
/// # Errors
/// The operating system gives no poll or no thread.
pub fn spawn(config: &config::Recovery, end: ClientEnd, health: Health) -> io::Result<RecoveryThread> {
    let mut one = RecoveryThread { stop: Arc::new(AtomicBool::new(false)), threads: Vec::new() };
    one.add(config, end, health)?;
    Ok(one)
}

impl RecoveryThread {
    fn add(&mut self, config: &config::Recovery, end: ClientEnd, health: Health) -> io::Result<()> {
        let mut driver = Driver::new(config, end, health)?;
        let stopped = Arc::clone(&self.stop);
        let name = "recovery".to_owned();
        self.threads.push(thread::Builder::new().name(name).spawn(move || driver.run(&stopped))?);
        Ok(())
    }
}

/// The sockets, as far as the client acts on them.
struct Sockets {
    poll: Poll,
    events: Events,
    servers: Vec<Server>,
    /// `None` where no snapshot server is configured.
    connection: Option<Connection>,
}

impl Sockets {
    fn new(config: &config::Recovery) -> io::Result<Self> {
        let requests = config.requests.iter().flat_map(|requests| &requests.servers);
        let servers =
            requests.enumerate().map(|(at, address)| Server::new(SocketAddr::V4(*address), Token(at)));
        let snapshot = config.snapshot.as_ref();
        Ok(Self {
            poll: Poll::new()?,
            events: Events::with_capacity(16),
            servers: servers.collect(),
            connection: snapshot.map(|snapshot| Connection::new(SocketAddr::V4(snapshot.server), CONNECTION)),
        })
    }

    /// Does what the client wants done.
    fn act(&mut self, action: Action<'_>) {
        let registry = self.poll.registry();
        match (action, &mut self.connection) {
            (Action::Request { server, payload }, _) => {
                if let Some(server) = self.servers.get_mut(server) {
                    server.send(registry, &payload);
                }
            }
            (Action::Connect, Some(connection)) => connection.connect(registry),
            (Action::Send(bytes), Some(connection)) => connection.send(bytes),
            (Action::Disconnect, Some(connection)) => connection.close(registry),
            // A client without a snapshot server does not ask for a connection.
            (Action::Connect | Action::Send(_) | Action::Disconnect, None) => {}
        }
    }

    /// Waits for the sockets, `at_most` so long.
    fn wait(&mut self, at_most: Duration) {
        let mut poll_for = at_most;
        if at_most < IDLE {
            // The poll counts in milliseconds.
            thread::sleep(at_most);
            poll_for = Duration::ZERO;
        }
        if let Err(why) = self.poll.poll(&mut self.events, Some(poll_for)) {
            if why.kind() != io::ErrorKind::Interrupted {
                tracing::warn!("recovery: {why}");
                // Not in a tight loop, whatever it is.
                thread::sleep(IDLE);
            }
            return;
        }
        for event in &self.events {
            let Token(at) = event.token();
            if let Some(server) = self.servers.get_mut(at) {
                server.on_readable();
            } else if let Some(connection) = &mut self.connection {
                connection.on_event(event);
            }
        }
    }
}

/// The client, its link to the loop, and its sockets.
struct Driver {
    client: Recovery,
    config: RecoveryConfig,
    end: ClientEnd,
    sockets: Sockets,
    inbox: Inbox,
    datagram: Box<[u8]>,
    episodes: Episodes,
    health: Health,
    began: Instant,
    shown: Duration,
    log: notices::Log,
    /// The operating system's word on the latest failure: the client knows only that it failed.
    why: Option<String>,
}

impl Driver {
    fn new(config: &config::Recovery, end: ClientEnd, health: Health) -> io::Result<Self> {
        let settings = settings::of(config);
        Ok(Self {
            client: Recovery::new(settings),
            config: settings,
            end,
            sockets: Sockets::new(config)?,
            inbox: Inbox::new(),
            datagram: vec![0; DATAGRAM].into_boxed_slice(),
            episodes: Episodes::new(),
            health,
            began: Instant::now(),
            shown: Duration::ZERO,
            log: notices::Log::default(),
            why: None,
        })
    }

    fn run(&mut self, stop: &AtomicBool) {
        // SYNC POINT: relaxed; the flag carries no data with it.
        while !stop.load(Ordering::Relaxed) {
            let need = self.end.need.read();
            self.round(&need);
            let helped = settings::is_at_work(&self.config, &need, &self.client.status());
            self.report(&need, helped);
            let busy = need.snapshot != 0 || need.open().next().is_some() || self.inbox.is_waiting();
            self.sockets.wait(if busy { BUSY } else { IDLE });
        }
        self.farewell();
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// One turn: what is due by time, what became of the connection, what the peers sent.
    fn round(&mut self, need: &Need) {
        let now = nanos(self.now());
        let Self { client, end, sockets, datagram, inbox, .. } = self;
        client.on_need(now, need, &mut end.giver, &mut |action| sockets.act(action));
        for at in 0..sockets.servers.len() {
            for _ in 0..AT_ONCE {
                let Some(server) = sockets.servers.get_mut(at) else { break };
                let Some(payload) = server.receive(datagram) else { break };
                client.on_answer(now, at, payload, &mut end.giver);
            }
        }
        if sockets.connection.as_mut().is_some_and(Connection::take_opened) {
            client.on_connected(now, &mut |action| sockets.act(action));
        }
        for _ in 0..AT_ONCE {
            let Some(connection) = &mut sockets.connection else { break };
            if inbox.waiting(connection).is_empty() && !inbox.fill(connection) {
                break;
            }
            let bytes = inbox.waiting(connection);
            let offered = bytes.len();
            let taken = client.on_bytes(now, bytes, &mut end.giver, &mut |action| sockets.act(action));
            inbox.taken(taken);
            if taken < offered {
                break;
            }
        }
        self.look_at_failures(now);
    }

    /// Tells the client that its connection is gone, once it has all that came before; remembers why.
    fn look_at_failures(&mut self, now: u64) {
        let Sockets { connection, servers, poll, .. } = &mut self.sockets;
        if let Some(connection) = connection
            && self.inbox.waiting(connection).is_empty()
            && !connection.has_to_read()
            && let Some(why) = connection.take_failure(poll.registry())
        {
            tracing::debug!(server = %connection.server(), "snapshot connection: {why}");
            self.why = Some(format!("{}: {why}", connection.server()));
            self.client.on_disconnected(now, &mut self.end.giver);
        }
        for server in servers {
            if let Some(why) = server.take_failure() {
                tracing::debug!(server = %server.address(), "request: {why}");
                self.why = Some(format!("{}: {why}", server.address()));
            }
        }
    }

    /// Into the log and into what is shown; `helped` where somebody is at work on what is missing.
    fn report(&mut self, need: &Need, helped: bool) {
        let now = self.now();
        let before = self.episodes.state();
        let ended = self.episodes.on_need(now, need, helped);
        for notice in self.client.notices() {
            self.log.notice(now, &notice, self.why.as_deref());
        }
        if let Some(episode) = &ended {
            self.log.ended(now, episode);
            self.why = None;
        }
        if before != FeedState::Stale
            && self.episodes.state() == FeedState::Stale
            && self.config.snapshot.is_none()
        {
            self.log.no_snapshot(now);
        }
        if ended.is_none() && before == self.episodes.state() && now < self.shown + SHOW {
            return;
        }
        self.shown = now;
        let failures = self.sockets.servers.iter().map(Server::failures).sum();
        let rows = self.client.counters().rows().into_iter().chain([("recovery_socket_errors", failures)]);
        self.health.update(|view| {
            self.episodes.show(now, need.snapshot != 0, view);
            view.rows.clear();
            view.rows.extend(rows);
        });
    }

    /// Nothing is wanted any more: a session is logged out of, and what is to be sent for that is.
    fn farewell(&mut self) {
        let until = Instant::now() + FAREWELL;
        self.round(&Need::default());
        while self.sockets.connection.as_ref().is_some_and(Connection::has_to_send) && Instant::now() < until
        {
            self.sockets.wait(BUSY);
            self.round(&Need::default());
        }
        let need = self.end.need.read();
        // From now on nobody is at work on what may be missing.
        self.report(&need, false);
    }
}

/// In ns, as the client counts.
fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
