//! `exchange`: makes feeds into files, sends them to the network, answers orders. `exchange --help` says how.

mod cli;

use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match cli::run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        // Nobody is left to read: not an error (`exchange books … | head`).
        Err(cli::Failure::Io(_, error)) if error.kind() == std::io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(failure) => {
            // If standard error cannot be written to, the exit code still tells.
            let _ = writeln!(std::io::stderr(), "exchange: {failure}");
            ExitCode::from(failure.code())
        }
    }
}
