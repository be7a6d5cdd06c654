//! Where a command's messages come from.

use std::fs::File;
use std::io::{BufReader, Write};

use super::args::Args;
use super::{Failure, MARKET, Outcome, create, open, print_rows};
use exchange::files::{ItchReader, itch_time};
use exchange::market::{self, Market};

/// Where messages come from: a market that is played, or a file.
pub(super) enum Source {
    Market { market: Box<Market>, messages: u64, dump: Option<String> },
    File { path: String, reader: ItchReader<BufReader<File>> },
}

impl Source {
    /// As the options say: `--from FILE`, or `--messages N` and the market's options.
    pub(super) fn from_args(args: &Args) -> Outcome<Self> {
        match (args.text("from"), args.has("messages")) {
            (Some(path), false) => {
                let foreign = MARKET.iter().find(|name| **name != "rate" && args.has(name));
                if let Some(name) = foreign {
                    return Err(Failure::Usage(format!("--{name} does not go with --from")));
                }
                Ok(Self::File { path: path.into(), reader: open(path)? })
            }
            (None, true) => {
                let messages = args.number("messages", 0, 1..=1_000_000_000_000)?;
                let config = market_config(args)?;
                let market = Market::new(config).map_err(|error| Failure::Usage(error.to_string()))?;
                // Said now, not after files were created.
                let least = market.shortest_day();
                if messages < least {
                    let symbols = config.symbols;
                    let what = format!("--messages must be at least {least} with {symbols} symbols");
                    return Err(Failure::Usage(what));
                }
                let dump = args.text("dump").map(String::from);
                Ok(Self::Market { market: Box::new(market), messages, dump })
            }
            (Some(_), true) => Err(Failure::Usage("--from and --messages exclude each other".into())),
            (None, false) => Err(Failure::Usage("say --messages N or --from FILE.itch".into())),
        }
    }

    /// Hands some messages on, each with its own time. False at the end.
    pub(super) fn step(&mut self, out: &mut impl FnMut(u64, &[u8])) -> Outcome<bool> {
        // A message without a time (foreign files) leaves at the time of the one before.
        let mut each = |message: &[u8]| out(itch_time(message).unwrap_or(0), message);
        match self {
            Self::Market { market, messages, .. } => {
                let over = market.step_of_day(*messages, &mut each);
                over.map(|over| !over).map_err(|error| Failure::Usage(error.to_string()))
            }
            Self::File { path, reader } => match reader.next() {
                Ok(Some(message)) => {
                    each(message);
                    Ok(true)
                }
                Ok(None) => Ok(false),
                Err(error) => Err(Failure::Io(format!("reading {path}"), error)),
            },
        }
    }

    /// Says what there was, and writes the market's books if asked to.
    pub(super) fn report(&self) -> Outcome {
        let Self::Market { market, dump, .. } = self else { return Ok(()) };
        print_rows("market", &market.counters().rows())?;
        if let Some(path) = dump {
            let mut file = create(path)?;
            market
                .dump(&mut file)
                .and_then(|()| file.flush())
                .map_err(|error| Failure::Io(format!("writing {path}"), error))?;
        }
        Ok(())
    }
}

pub(super) fn market_config(args: &Args) -> Outcome<market::Config> {
    let default = market::Config::default();
    Ok(market::Config {
        symbols: args.number("symbols", default.symbols, 1..=u16::MAX)?,
        seed: args.number("seed", default.seed, 0..=u64::MAX)?,
        rate: args.number("rate", default.rate, 1..=100_000_000)?,
        live_orders: args.number("live-orders", default.live_orders, 1..=default.max_orders)?,
        halt_every: args.number("halt-every", default.halt_every, 0..=u32::MAX)?,
        ..default
    })
}
