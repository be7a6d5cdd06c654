//! Writes every valid message that we have to `corpus/TARGET/`, for the fuzzers to begin with.

use std::{fs, io, path::Path};

fn main() -> io::Result<()> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for (i, (target, bytes)) in wirebook_fuzz::seeds().into_iter().enumerate() {
        let directory = corpus.join(target);
        fs::create_dir_all(&directory)?;
        fs::write(directory.join(format!("seed-{i:03}")), bytes)?;
    }
    Ok(())
}
