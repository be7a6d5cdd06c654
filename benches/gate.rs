//! Instructions per message of decoding, books, features, models, risk and orders, against committed figures: fails where one got worse by 3 %.
//!
//! `make gate` compares, `make gate-update` writes `benches/gate.toml` anew. The program runs itself under callgrind,
//! which counts what happens inside of one function and writes the number down each time that it ends. So the figures are
//! exact: the same on every machine and in every run, as long as the compiler is the same. They are those of one code path,
//! chosen here and not by what the processor has; callgrind knows no AVX-512. They say nothing of cache misses and
//! mispredicted branches.
//!
//! The profile `gate` of Cargo.toml builds it, whose settings do not depend on those for releases.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it prints what it finds")]

#[path = "gate/cases.rs"]
mod cases;
#[path = "gate/count.rs"]
mod count;
#[path = "gate/decide.rs"]
mod decide;
#[path = "gate/figures.rs"]
mod figures;
#[path = "gate/itch.rs"]
mod itch;

use std::error::Error;
use std::path::Path;
use std::process::{Command, ExitCode};

use figures::{Committed, Figures, judge};

/// Where the figures stand.
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/gate.toml");

/// Which instructions functions of the C library use must not depend on the processor.
const PLAIN_LIBC: &str = "glibc.cpu.hwcaps=-AVX2,-AVX512F,-AVX512VL,-ERMS,-FSRM,-AVX_Fast_Unaligned_Load";

const USAGE: &str = "gate check | update | count";

/// Runs this program under callgrind.
fn counted() -> Result<Figures, Box<dyn Error>> {
    let scratch = tempfile::tempdir()?;
    let out = scratch.path().join("out");
    let run = Command::new("valgrind")
        .args(["--tool=callgrind", "--quiet", &format!("--callgrind-out-file={}", out.display())])
        .args([format!("--zero-before={}", count::PATTERN), format!("--dump-after={}", count::PATTERN)])
        .arg(std::env::current_exe()?)
        .arg("count")
        .env("GLIBC_TUNABLES", PLAIN_LIBC)
        .output()
        .map_err(|why| format!("valgrind: {why}; tools/setup.sh gate installs it"))?;
    let said = String::from_utf8_lossy(&run.stdout);
    if !run.status.success() {
        return Err(
            format!("valgrind: {}\n{said}{}", run.status, String::from_utf8_lossy(&run.stderr)).into()
        );
    }
    let mut figures = Figures::new();
    for (part, line) in (1..).zip(said.lines()) {
        let (name, messages) = line.split_once(' ').ok_or("no name and number")?;
        let instructions = totals(&out.with_extension(part.to_string()))?;
        figures.insert(name.to_owned(), instructions / messages.parse::<f64>()?);
    }
    Ok(figures)
}

/// The sum that one part of callgrind's output ends with.
fn totals(part: &Path) -> Result<f64, Box<dyn Error>> {
    let text = std::fs::read_to_string(part).map_err(|why| format!("{}: {why}", part.display()))?;
    let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
    Ok(total.ok_or("callgrind wrote no total")?.trim().parse()?)
}

/// The version of the compiler in use here, which built this.
fn rustc() -> Result<String, Box<dyn Error>> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let run = Command::new(rustc).arg("--version").output()?;
    let said = String::from_utf8(run.stdout)?;
    Ok(said.split_whitespace().nth(1).ok_or("rustc names no version")?.to_owned())
}

fn run(word: &str) -> Result<ExitCode, Box<dyn Error>> {
    match word {
        "count" => count::all(),
        "check" => {
            let text = std::fs::read_to_string(FILE).map_err(|why| format!("{FILE}: {why}"))?;
            let committed = Committed::parse(&text).map_err(|why| format!("{FILE}: {why}"))?;
            let judgement = judge(&committed, &rustc()?, &counted()?);
            print!("{}", judgement.text);
            if !judgement.passes {
                return Ok(ExitCode::FAILURE);
            }
        }
        "update" => {
            let now = Committed { rustc: rustc()?, figures: counted()? };
            std::fs::write(FILE, now.text())?;
            println!("gate: {} figures written to {FILE}", now.figures.len());
        }
        _ => return Err(USAGE.into()),
    }
    Ok(ExitCode::SUCCESS)
}

fn main() -> ExitCode {
    // cargo adds --bench.
    let args: Vec<_> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let [word] = &args[..] else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    run(word).unwrap_or_else(|why| {
        eprintln!("gate: {why}");
        ExitCode::from(2)
    })
}
