//! The recovery client's side of the world: its rounds, its datagrams, its connection.

use exchange::soup::ConnId;
use wirebook::feed::recovery::Action;

use crate::handler::Handler;
use crate::net::Parcel;
use crate::world::World;

/// What the client wants done, kept until the client is done.
pub(crate) enum Act {
    Request(usize, [u8; 20]),
    Connect,
    Send(Vec<u8>),
    Disconnect,
}

impl From<Action<'_>> for Act {
    fn from(action: Action<'_>) -> Self {
        match action {
            Action::Request { server, payload } => Self::Request(server, payload),
            Action::Connect => Self::Connect,
            Action::Send(bytes) => Self::Send(bytes.to_vec()),
            Action::Disconnect => Self::Disconnect,
        }
    }
}

/// The client's end of its connection.
#[derive(Default)]
pub(crate) struct Connection {
    pub(crate) conn: Option<ConnId>,
    pub(crate) made: u64,
    pub(crate) inbox: Vec<u8>,
    /// The other end is gone.
    pub(crate) gone: bool,
}

impl World {
    /// Offers the client what lies in the inbox, and at last the end of the connection.
    pub(crate) fn offer(&mut self) {
        let Handler { client, end, .. } = &mut self.handler;
        let mut acts = Vec::new();
        let act = &mut |action: Action<'_>| acts.push(Act::from(action));
        let taken = client.on_bytes(self.now, &self.connection.inbox, &mut end.giver, act);
        self.connection.inbox.drain(..taken);
        self.carry_out(acts);
        if self.connection.gone && self.connection.inbox.is_empty() && self.connection.conn.take().is_some() {
            let Handler { client, end, .. } = &mut self.handler;
            client.on_disconnected(self.now, &mut end.giver);
        }
    }

    pub(crate) fn round_of_client(&mut self) {
        let Handler { client, end, .. } = &mut self.handler;
        let need = end.need.read();
        let mut acts = Vec::new();
        client.on_need(self.now, &need, &mut end.giver, &mut |action| acts.push(Act::from(action)));
        self.carry_out(acts);
        if !self.connection.inbox.is_empty() || self.connection.gone {
            self.offer();
        }
        let notices: Vec<_> = self.handler.client.notices().collect();
        for notice in notices {
            self.tell(|| format!("client: {notice}"));
        }
    }

    pub(crate) fn carry_out(&mut self, acts: Vec<Act>) {
        for act in acts {
            match act {
                Act::Request(server, payload) => {
                    self.net.datagram(self.now, Parcel::Request(server, payload));
                }
                Act::Connect => {
                    let made = self.connection.made + 1;
                    let conn = ConnId(made);
                    self.connection = Connection { conn: Some(conn), made, ..Connection::default() };
                    self.net.up(self.now, Parcel::Connect(conn));
                    self.net.down(self.now + 2 * self.draw.delay, Parcel::Connected(conn));
                }
                Act::Send(bytes) => {
                    if let Some(conn) = self.connection.conn {
                        self.net.up(self.now, Parcel::Up(conn, bytes));
                    }
                }
                Act::Disconnect => {
                    if let Some(conn) = self.connection.conn.take() {
                        self.net.up(self.now, Parcel::Leave(conn));
                    }
                    self.connection.inbox.clear();
                    self.connection.gone = false;
                }
            }
        }
    }
}
