//! Venue, network and handler, and how time goes on between them.

use std::net::SocketAddrV4;

use exchange::host::{self, Exchange, Output, Service};
use exchange::lines::Line;
use exchange::rng::Rng;
use exchange::soup::ConnId;

use crate::client::Connection;
use crate::draw::{Draw, MS};
use crate::faults::{Fault, Kind, Trouble};
use crate::handler::{Decision, Handler};
use crate::net::{Net, Parcel, US};
use crate::truth::{Log, Truth};

/// Our address at the order gateway, and that at the request servers.
const ORDERS: SocketAddrV4 = SocketAddrV4::new(US, 31_000);
const ASKER: SocketAddrV4 = SocketAddrV4::new(US, 40_000);

/// What the venue handed out, kept until the venue is done.
enum Out {
    Line(Line, Vec<u8>),
    Answer(usize, Vec<u8>),
    Reply(Vec<u8>),
    Tcp(ConnId, Vec<u8>),
    Close(ConnId),
}

impl From<Output<'_>> for Out {
    fn from(output: Output<'_>) -> Self {
        match output {
            Output::Line(line, payload) => Self::Line(line, payload.to_vec()),
            Output::Answer { server, payload, .. } => Self::Answer(server, payload.to_vec()),
            Output::Reply { payload, .. } => Self::Reply(payload.to_vec()),
            Output::Tcp { conn, bytes } => Self::Tcp(conn, bytes.to_vec()),
            Output::Close { conn } => Self::Close(conn),
        }
    }
}

pub(crate) struct World {
    pub(crate) draw: Draw,
    pub(crate) now: u64,
    pub(crate) exchange: Exchange,
    /// What was said, session by session.
    pub(crate) logs: Vec<Log>,
    pub(crate) net: Net,
    pub(crate) handler: Handler,
    pub(crate) truth: Option<Truth>,
    pub(crate) rng: Rng,
    /// Orders that left the strategy and were not seen on the wire yet, with their symbols.
    pub(crate) decided: std::collections::VecDeque<(Decision, [u8; 8])>,
    pub(crate) checks: crate::storm::Checks,
    active: Vec<Fault>,
    next_fault: usize,
    /// The loop's clock is so far ahead.
    clock_ahead: u64,
    pub(crate) connection: Connection,
    next_tick: u64,
    next_round: u64,
    /// Longest pace of loop and client: slower when nothing happens.
    pub(crate) pace: u64,
    pub(crate) story: bool,
}

impl World {
    pub(crate) fn new(draw: Draw, story: bool) -> Self {
        let exchange = Exchange::new(&draw.exchange).unwrap();
        let mut world = Self {
            now: 0,
            logs: vec![Log::new(exchange.publisher().session())],
            exchange,
            net: Net::new(draw.seed, draw.delay, draw.ring),
            handler: Handler::new(&draw),
            truth: None,
            rng: Rng::stream(draw.seed, 3),
            decided: std::collections::VecDeque::new(),
            checks: crate::storm::Checks::default(),
            active: Vec::new(),
            next_fault: 0,
            clock_ahead: 1,
            connection: Connection::default(),
            next_tick: 0,
            next_round: 0,
            pace: 0,
            story,
            draw,
        };
        world.storm_on();
        world
    }

    /// The market is as busy as the storm is to be, until it is over.
    fn storm_on(&mut self) {
        let left = self.draw.storm.saturating_sub(self.now);
        if left > 0 {
            self.inject(host::Fault::Burst { factor: self.draw.factor, length: left });
        }
    }

    pub(crate) fn tell(&self, what: impl FnOnce() -> String) {
        if self.story {
            println!("{:>12.6} {}", self.now as f64 / 1e9, what());
        }
    }

    /// Lets the venue do something, notes what it said, and sends what it handed out on its way.
    pub(crate) fn venue<R>(&mut self, act: impl FnOnce(&mut Exchange, &mut dyn FnMut(Output<'_>)) -> R) -> R {
        let mut outs = Vec::new();
        let result = act(&mut self.exchange, &mut |output| outs.push(Out::from(output)));
        let archive = self.exchange.archive();
        if self.logs.last().is_none_or(|log| log.session != archive.session()) {
            self.logs.push(Log::new(archive.session()));
        }
        let log = self.logs.last_mut().unwrap();
        while log.next() < archive.next() {
            log.push(archive.get(log.next()).expect("the archive kept what was said just now"));
        }
        let now = self.now;
        for out in outs {
            match out {
                Out::Line(..) if now < self.draw.join => {}
                Out::Line(line, payload) => self.net.line(now, line, &payload),
                Out::Answer(server, payload) => self.net.datagram(now, Parcel::Answer(server, payload)),
                Out::Reply(payload) => {
                    self.tell_rejections(&payload);
                    self.net.reply(now, &payload);
                }
                Out::Tcp(conn, bytes) => self.net.down_bytes(now, conn, &bytes),
                Out::Close(conn) => self.net.down(now, Parcel::Closed(conn)),
            }
        }
        result
    }

    fn tell_rejections(&self, payload: &[u8]) {
        let packet = exchange::mold::Packet::parse(payload).filter(|_| self.story);
        for message in packet.iter().flat_map(exchange::mold::Packet::messages) {
            if let [b'J', _, _, _, _, _, _, _, _, a, b, c, d, high, low, ..] = *message {
                let (order, reason) = (u32::from_be_bytes([a, b, c, d]), u16::from_be_bytes([high, low]));
                self.tell(|| format!("order {order} rejected for reason {reason}"));
            }
        }
    }

    pub(crate) fn inject(&mut self, fault: host::Fault) {
        let now = self.now;
        self.venue(|exchange, mut out| exchange.inject(now, fault, &mut out));
    }

    /// Lets time go on until `until`, or until `done` says so after a round of the loop.
    pub(crate) fn run(&mut self, until: u64, done: impl Fn(&mut Self) -> bool) -> Result<bool, String> {
        loop {
            let fault = self.next_change();
            let due = self.exchange.next_due().min(self.net.next_due()).min(fault);
            let due = due.min(self.next_tick).min(self.next_round).max(self.now);
            if due > until {
                self.now = until;
                return Ok(false);
            }
            self.now = due;
            self.step()?;
            if self.next_tick <= due {
                self.next_tick = due + self.draw.tick.max(self.pace);
                self.round_of_loop()?;
                if done(self) {
                    return Ok(true);
                }
            }
        }
    }

    fn step(&mut self) -> Result<(), String> {
        let now = self.now;
        while self.next_change() <= now {
            self.change();
        }
        if self.exchange.next_due() <= now {
            while self.venue(|exchange, mut out| exchange.tick(now, &mut out)) {}
        }
        while let Some(parcel) = self.net.take(now) {
            self.deliver(parcel);
        }
        self.serve()?;
        if self.next_round <= now {
            self.next_round = now + self.draw.round.max(self.pace);
            if !self.net.trouble.client_asleep {
                self.round_of_client();
            }
        }
        Ok(())
    }

    /// The loop takes what lies in its rings, a frame at a time.
    fn serve(&mut self) -> Result<(), String> {
        if self.net.trouble.slow_loop {
            return Ok(());
        }
        loop {
            let (frame, reply) = match self.net.ring.pop_front() {
                Some(frame) => (frame, false),
                None => match self.net.reply_ring.pop_front() {
                    Some(frame) => (frame, true),
                    None => return Ok(()),
                },
            };
            self.handler.poll(self.now + self.clock_ahead, &frame, reply);
            self.after_poll(self.rng.clone().chance(1, 64))?;
            self.rng.next();
            self.send_orders()?;
        }
    }

    fn round_of_loop(&mut self) -> Result<(), String> {
        if !self.net.trouble.slow_loop {
            self.handler.tick(self.now + self.clock_ahead);
            self.after_poll(false)?;
            self.send_orders()?;
            self.note_states()?;
        }
        Ok(())
    }

    fn send_orders(&mut self) -> Result<(), String> {
        if self.net.trouble.transmit_full {
            return Ok(());
        }
        let mut frames = Vec::new();
        self.handler.take_orders(|frame| frames.push(frame.to_vec()));
        for frame in frames {
            let datagram =
                exchange::frames::parse(&frame).map_err(|bad| format!("an order frame is {bad:?}"))?;
            self.check_order(datagram.payload)?;
            self.net.order(self.now, datagram.payload);
        }
        Ok(())
    }

    fn deliver(&mut self, parcel: Parcel) {
        let now = self.now;
        match parcel {
            Parcel::Frame(frame) => self.net.receive(frame),
            Parcel::Reply(frame) => self.net.reply_ring.push_back(frame),
            Parcel::Order(payload) => {
                self.venue(|exchange, mut out| exchange.on_order(now, ORDERS, &payload, &mut out));
            }
            Parcel::Request(server, payload) => {
                self.venue(|exchange, mut out| {
                    exchange.on_request(now, server, ASKER, &payload, &mut out);
                });
            }
            Parcel::Answer(server, payload) => {
                if !self.net.trouble.client_asleep {
                    let Handler { client, end, .. } = &mut self.handler;
                    client.on_answer(now, server, &payload, &mut end.giver);
                }
            }
            Parcel::Connect(conn) => self.exchange.on_connect(now, Service::Glimpse, conn),
            Parcel::Up(conn, bytes) => {
                self.venue(|exchange, mut out| exchange.on_bytes(now, conn, &bytes, &mut out));
            }
            Parcel::Leave(conn) => self.exchange.on_disconnect(now, conn),
            Parcel::Connected(conn) if self.connection.conn == Some(conn) => {
                let mut acts = Vec::new();
                self.handler.client.on_connected(now, &mut |action| acts.push(action.into()));
                self.carry_out(acts);
            }
            Parcel::Down(conn, bytes) if self.connection.conn == Some(conn) => {
                self.connection.inbox.extend_from_slice(&bytes);
                if !self.net.trouble.client_asleep {
                    self.offer();
                }
            }
            Parcel::Closed(conn) if self.connection.conn == Some(conn) => {
                self.connection.gone = true;
                self.offer();
            }
            Parcel::Connected(_) | Parcel::Down(..) | Parcel::Closed(_) => {}
        }
    }

    /// When a fault begins or ends next.
    fn next_change(&self) -> u64 {
        let begins = self.draw.faults.get(self.next_fault).map_or(u64::MAX, |fault| fault.at);
        self.active.iter().map(|fault| fault.end).fold(begins, u64::min)
    }

    /// The faults that are due begin and end.
    fn change(&mut self) {
        let now = self.now;
        let burst = self.active.iter().any(|fault| fault.kind == Kind::Burst && fault.end <= now);
        self.active.retain(|fault| fault.end > now);
        if burst {
            self.storm_on();
        }
        while let Some(fault) = self.draw.faults.get(self.next_fault).copied().filter(|one| one.at <= now) {
            self.next_fault += 1;
            self.tell(|| format!("fault {fault:?}"));
            self.begin(fault);
            if fault.end > now {
                self.active.push(fault);
            }
        }
        let trouble = Trouble::of(&self.active);
        if trouble.requests != self.net.trouble.requests {
            self.inject(host::Fault::Requests { server: None, fault: None });
            if let Some((server, fault)) = trouble.requests {
                self.inject(host::Fault::Requests { server, fault: Some(fault) });
            }
        }
        if trouble.glimpse != self.net.trouble.glimpse {
            self.inject(host::Fault::Glimpse(trouble.glimpse));
        }
        self.net.trouble = trouble;
    }

    /// What a fault does once.
    fn begin(&mut self, fault: Fault) {
        let Fault { kind, at, end, size } = fault;
        match kind {
            Kind::LossBothShort => self.inject(host::Fault::LoseOnBoth { messages: size as u32 }),
            Kind::LossBothLong => self.inject(host::Fault::LoseOnBoth { messages: 20 * size as u32 }),
            Kind::Burst => {
                let factor = self.draw.factor * 10;
                self.inject(host::Fault::Burst { factor, length: end - at });
            }
            Kind::LinkFlap => self.inject(host::Fault::LinkFlap { length: end - at }),
            Kind::SessionRoll => self.inject(host::Fault::SessionRoll),
            Kind::GatewayDrop => self.inject(host::Fault::DropOrders),
            Kind::ClockStep => self.clock_ahead += size * 50 * MS,
            Kind::TcpReset => {
                if let Some(conn) = self.connection.conn {
                    self.exchange.on_disconnect(self.now, conn);
                    self.connection.gone = true;
                    self.connection.inbox.clear();
                    self.offer();
                }
            }
            _ => {}
        }
    }
}
