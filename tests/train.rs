//! From a recorded day to a model that is loaded: `wirebook features`, `tools/train.py`, and the predictions of both sides on
//! every row, which have to be the same but for rounding.
//!
//! Needs Python with numpy and pyarrow (`PYTHON` names the interpreter, `python3` otherwise); where they are missing the test
//! says so, loudly, and checks nothing: it is ignored unless asked for.
//!
//! `cargo test --no-default-features --features export --test train -- --ignored --nocapture`

#![expect(clippy::unwrap_used, reason = "a test: what fails here has failed")]

use std::fs::File;
use std::path::Path;
use std::process::Command;

use exchange::files::ItchWriter;
use exchange::market::{Config, Market};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::RowAccessor;
use wirebook::cli::replay::export::{ExportArgs, run};
use wirebook::strategy::features::{FeatureVector, NAMES, WIDTH};
use wirebook::strategy::model::{Model, Path as Lanes};

/// Columns before the features.
const BEFORE: usize = 4;

fn python() -> String {
    std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned())
}

/// A generated day, as an ITCH file.
fn day(path: &Path) {
    let mut writer = ItchWriter::new(File::create(path).unwrap());
    let mut market =
        Market::new(Config { seed: 5, symbols: 8, live_orders: 3_000, ..Config::default() }).unwrap();
    while !market.step_of_day(150_000, &mut |message| writer.write(message).unwrap()).unwrap() {}
    writer.finish().unwrap();
}

fn rows(path: &Path) -> Vec<FeatureVector> {
    let reader = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
    let row = |row: parquet::record::Row| {
        let mut vector = FeatureVector([0.0; WIDTH]);
        for (at, value) in vector.0.iter_mut().take(NAMES.len()).enumerate() {
            *value = row.get_float(BEFORE + at).unwrap();
        }
        vector
    };
    reader.get_row_iter(None).unwrap().map(|each| row(each.unwrap())).collect()
}

#[test]
#[ignore = "needs Python with numpy and pyarrow"]
fn what_python_trains_wirebook_loads_and_computes() {
    let there = Command::new(python()).args(["-c", "import numpy, pyarrow"]).output();
    if !there.is_ok_and(|run| run.status.success()) {
        println!("SKIPPED: {} has no numpy and pyarrow; set PYTHON to one that has", python());
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let at = |name: &str| scratch.path().join(name);
    day(&at("day.itch"));
    let (file, out) = (at("day.itch"), at("day.parquet"));
    let exported = run(&ExportArgs {
        file,
        out,
        every: 1,
        changes: 20,
        ms: 100,
        no_progress: true,
        ..ExportArgs::default()
    })
    .unwrap();
    let rows = rows(&at("day.parquet"));
    assert_eq!(rows.len() as u64, exported.rows);
    for kind in ["linear", "mlp"] {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tools/train.py");
        let run = Command::new(python())
            .arg(script)
            .arg(at("day.parquet"))
            .args(["--kind", kind, "--epochs", "3", "--label", "move_ms"])
            .arg("--out")
            .arg(at("model.safetensors"))
            .arg("--predictions")
            .arg(at("predictions"))
            .output()
            .unwrap();
        println!("{}", String::from_utf8_lossy(&run.stdout));
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        let model = Model::load(&at("model.safetensors")).unwrap();
        assert_eq!(model.kind().name(), kind);
        let raw = std::fs::read(at("predictions")).unwrap();
        let theirs: Vec<f32> =
            raw.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect();
        assert_eq!(theirs.len(), rows.len());
        let reference = model.clone().on_path(Lanes::Portable);
        let size = theirs.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
        assert!(size > 0.0);
        for (row, theirs) in rows.iter().zip(theirs) {
            let ours = model.infer(row).unwrap();
            assert_eq!(reference.infer(row).unwrap().to_bits(), ours.to_bits());
            assert!((ours - theirs).abs() <= 1e-4 * size, "{kind}: {ours}, python has {theirs}");
        }
    }
}
