//! `serve`: the exchange live on kernel sockets: both lines, request servers, snapshots, and both order gateways.
//!
//! It plays in real time until `--messages` were said, `--for` has passed, or standard input ends (`--control`), then
//! closes the day, serves clients for a while longer, and ends by itself. The crate has no dependencies and no unsafe
//! code, so it catches no signals: SIGINT and SIGTERM end it without a close.

use std::io::{self, BufRead as _, Write as _};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use super::args::Args;
use super::source::market_config;
use super::{Failure, Outcome, create, groups, print, print_rows, publisher_config};
use exchange::host::{self, Bursts, Exchange, Fault, Output};
use exchange::plan;
use exchange::sockets::{self, Lines, Services, SocketError};

/// The longest sleep: how late a client may be heard when there is nothing to say.
const NAP: Duration = Duration::from_micros(500);

/// Shorter waits are not worth a sleep, which takes longer.
const SHORT: u64 = 60_000;

/// Time between two looks at the services while there is much to say, ns.
const SERVICES: u64 = 100_000;

/// Time for the last bytes to leave, ns.
const FAREWELL: u64 = 50_000_000;

/// Faults that wait to be injected; whoever writes them waits.
const FAULTS: usize = 16;

/// Options that only this command has.
pub(super) const OWN: &[&str] = &[
    "interface-ip",
    "services-ip",
    "gateway",
    "requests",
    "glimpse",
    "ouch",
    "burst-factor",
    "burst-every-ms",
    "burst-ms",
    "plan",
    "for",
    "wait-ms",
    "linger-ms",
];

impl From<SocketError> for Failure {
    fn from(error: SocketError) -> Self {
        Self::Input(error.to_string())
    }
}

/// When the day is closed.
struct End {
    messages: u64,
    after: u64,
}

/// The command.
pub(super) fn serve(args: &Args) -> Outcome {
    args.required("interface-ip").map_err(|_| {
        Failure::Usage("--interface-ip is missing: the address of the interface to send from".into())
    })?;
    let interface = args.address("interface-ip", Ipv4Addr::LOCALHOST)?;
    let services = services_config(args, interface)?;
    let [(_, group_a, port), (_, group_b, _)] = groups(args)?;
    let end = End {
        messages: args.number("messages", u64::MAX, 1..=1_000_000_000_000)?,
        after: args.number("for", u64::MAX / 1_000_000_000, 1..=1_000_000)?.saturating_mul(1_000_000_000),
    };
    let control = args.switch("control");
    if !control && !args.has("messages") && !args.has("for") {
        return Err(Failure::Usage("say when it ends: --messages N, --for SECONDS or --control".into()));
    }
    let wait = Duration::from_millis(args.number("wait-ms", 0, 0..=3_600_000)?);
    let linger = args.number("linger-ms", 500u64, 0..=3_600_000)?.saturating_mul(1_000_000);
    let mut exchange = Exchange::new(&host_config(args)?).map_err(|why| Failure::Usage(why.to_string()))?;
    let mut lines = Lines::new(interface, [group_a, group_b].map(|group| SocketAddrV4::new(group, port)))?;
    let mut services = Services::bind(&services)?;
    let faults = control.then(listen).transpose()?;
    thread::sleep(wait);

    let clock = Clock(Instant::now());
    let closed = play(&mut exchange, &mut lines, &mut services, clock, &end, faults.as_ref())?;
    exchange.close(closed, &mut |output| send(&mut services, &mut lines, closed, output));
    let over = closed.saturating_add(linger);
    while clock.now() < over || !exchange.is_over() {
        turn(&mut exchange, &mut lines, &mut services, clock, &mut 0)?;
    }
    let now = clock.now();
    exchange.end_orders(now, &mut |output| send(&mut services, &mut lines, now, output));
    while clock.now() < now.saturating_add(FAREWELL) {
        turn(&mut exchange, &mut lines, &mut services, clock, &mut 0)?;
    }
    report(args, &exchange, &services, closed)
}

/// Plays until the end of the day has come; when that was.
fn play(
    exchange: &mut Exchange,
    lines: &mut Lines,
    services: &mut Services,
    clock: Clock,
    end: &End,
    faults: Option<&Receiver<Fault>>,
) -> Outcome<u64> {
    let mut looked = 0;
    loop {
        let now = clock.now();
        if now >= end.after || exchange.market().counters().messages >= end.messages {
            return Ok(now);
        }
        match faults.map(Receiver::try_recv) {
            Some(Ok(fault)) => exchange.inject(now, fault, &mut |output| send(services, lines, now, output)),
            Some(Err(TryRecvError::Disconnected)) => return Ok(now),
            Some(Err(TryRecvError::Empty)) | None => {}
        }
        turn(exchange, lines, services, clock, &mut looked)?;
    }
}

/// Hears clients, says what is due, and sleeps where nothing is. `looked` is when clients were heard last.
fn turn(
    exchange: &mut Exchange,
    lines: &mut Lines,
    services: &mut Services,
    clock: Clock,
    looked: &mut u64,
) -> Outcome {
    let now = clock.now();
    let mut heard = false;
    if now.saturating_sub(*looked) >= SERVICES {
        *looked = now;
        heard = services.pump(exchange, now, &mut |output| line(lines, &output));
    }
    let more = exchange.tick(now, &mut |output| send(services, lines, now, output));
    lines.check()?;
    let ahead = exchange.next_due().saturating_sub(clock.now());
    if !more && !heard && ahead > SHORT {
        thread::sleep(Duration::from_nanos(ahead - SHORT).min(NAP));
    }
    Ok(())
}

fn send(services: &mut Services, lines: &mut Lines, now: u64, output: Output<'_>) {
    if let Some(rest) = services.deliver(now, output) {
        line(lines, &rest);
    }
}

/// Lines; what is for a service that was not asked for is for nobody.
fn line(lines: &mut Lines, output: &Output<'_>) {
    if let Output::Line(line, payload) = output {
        lines.send(*line, payload);
    }
}

#[derive(Clone, Copy)]
struct Clock(Instant);

impl Clock {
    /// ns since the beginning.
    fn now(self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Reads faults from standard input, a line each; a line that is none is answered on standard error.
fn listen() -> Outcome<Receiver<Fault>> {
    let (faults, taken) = sync_channel(FAULTS);
    thread::Builder::new()
        .name("control".into())
        .spawn(move || {
            for line in
                io::stdin().lock().lines().map_while(Result::ok).filter(|line| !line.trim().is_empty())
            {
                match plan::parse_fault(&line) {
                    Ok(fault) if faults.send(fault).is_err() => return,
                    Ok(_) => {}
                    // Nobody may be left to read it.
                    Err(why) => drop(writeln!(io::stderr(), "exchange: {why}")),
                }
            }
        })
        .map_err(|error| Failure::Io("starting a thread".into(), error))?;
    Ok(taken)
}

fn port(args: &Args, name: &str) -> Outcome<Option<u16>> {
    Ok(if args.has(name) { Some(args.number(name, 0, 1..=u16::MAX)?) } else { None })
}

fn services_config(args: &Args, interface: Ipv4Addr) -> Outcome<sockets::Config> {
    let mut requests = [None; 2];
    if let Some(text) = args.text("requests") {
        let wrong =
            || Failure::Usage(format!("--requests must be a port, or two with a comma, not '{text}'"));
        let ports: Vec<u16> =
            text.split(',').map(str::parse).collect::<Result<_, _>>().map_err(|_| wrong())?;
        if ports.is_empty() || ports.len() > 2 || ports.contains(&0) {
            return Err(wrong());
        }
        requests = [ports.first().copied(), ports.get(1).copied()];
    }
    Ok(sockets::Config {
        gateway: port(args, "gateway")?,
        requests,
        glimpse: port(args, "glimpse")?,
        orders: port(args, "ouch")?,
        ..sockets::Config::none(args.address("services-ip", interface)?)
    })
}

fn host_config(args: &Args) -> Outcome<host::Config> {
    let every = args.number("burst-every-ms", 0u64, 0..=3_600_000)?;
    let length = args.number("burst-ms", 10u64, 1..=3_600_000)?;
    let factor = args.number("burst-factor", 10u32, 1..=1_000)?;
    if every == 0 && ["burst-ms", "burst-factor"].iter().any(|name| args.has(name)) {
        return Err(Failure::Usage("bursts need --burst-every-ms".into()));
    }
    if every != 0 && length >= every {
        return Err(Failure::Usage("--burst-ms must be less than --burst-every-ms".into()));
    }
    let plan = plan::parse(args.text("plan").unwrap_or_default());
    let market = market_config(args)?;
    Ok(host::Config {
        rate: market.rate,
        market,
        publisher: publisher_config(args)?,
        bursts: (every != 0).then_some(Bursts {
            every_ns: every * 1_000_000,
            length_ns: length * 1_000_000,
            factor,
        }),
        plan: plan.map_err(|why| Failure::Usage(format!("--plan: {why}")))?,
        ..host::Config::default()
    })
}

fn report(args: &Args, exchange: &Exchange, services: &Services, closed: u64) -> Outcome {
    let mut text = String::new();
    // What never happened is left out.
    for (name, value) in exchange.rows().into_iter().filter(|(_, value)| *value != 0) {
        text.push_str(&format!("{name:<32} {value:>14}\n"));
    }
    print(&text)?;
    print_rows("sockets", &services.counters().rows())?;
    let messages = exchange.market().counters().messages;
    let rate = u128::from(messages) * 1_000_000_000 / u128::from(closed.max(1));
    print_rows(
        "pace",
        &[("messages", messages), ("ms", closed / 1_000_000), ("messages_per_s", rate as u64)],
    )?;
    let mut text = String::new();
    for (owner, account) in exchange.gateway().clients() {
        text.push_str(&format!("client {owner}: {} open orders\n", account.open_orders().len()));
        for (symbol, position) in account.positions() {
            text.push_str(&format!("  {symbol} {} shares\n", position.shares()));
        }
    }
    print(&text)?;
    if let Some(path) = args.text("dump") {
        let mut file = create(path)?;
        exchange
            .market()
            .dump(&mut file)
            .and_then(|()| file.flush())
            .map_err(|error| Failure::Io(format!("writing {path}"), error))?;
    }
    Ok(())
}
