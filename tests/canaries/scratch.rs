//! The copy of the tree, and the judges built from it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use super::list::List;
use super::mutate;

/// A built copy.
pub(crate) struct Scratch {
    /// The copy.
    pub(crate) tree: PathBuf,
    /// The judges' executables, by target.
    executables: BTreeMap<String, PathBuf>,
}

impl Scratch {
    /// Copies what git knows of, with every bug written in, and builds the judges. What a former run left is used again.
    pub(crate) fn build(list: &List) -> Result<Self, String> {
        let mutated = mutate::all(&list.canaries)?;
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("canaries");
        let tree = root.join("tree");
        copy(&tree, &mutated).map_err(|why| format!("{}: {why}", tree.display()))?;
        let executables = compile(&tree, &root.join("build"), list)?;
        Ok(Self { tree, executables })
    }

    /// The executable of a judge.
    pub(crate) fn executable(&self, target: &str) -> &Path {
        // All that the list names were built.
        &self.executables[target]
    }
}

fn copy(tree: &Path, mutated: &BTreeMap<String, String>) -> io::Result<()> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR"));
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(source)
        .output()?;
    if !listed.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&listed.stderr).into_owned()));
    }
    let mut kept = BTreeSet::from([tree.join("src/canary.rs")]);
    put(&tree.join("src/canary.rs"), mutate::MODULE.as_bytes())?;
    let listed = String::from_utf8_lossy(&listed.stdout);
    for file in listed.split_terminator('\0') {
        let from = source.join(file);
        // Git lists what is about to be removed, too.
        if !from.is_file() {
            continue;
        }
        let text = match mutated.get(file) {
            Some(text) => text.clone().into_bytes(),
            None => fs::read(&from)?,
        };
        let text = if file == "src/lib.rs" { with_module(&text) } else { text };
        put(&tree.join(file), &text)?;
        kept.insert(tree.join(file));
    }
    prune(tree, &kept)
}

/// The crate with the choices' module in it. They leave unused parentheses and the like, which nobody needs to hear of.
fn with_module(lib: &[u8]) -> Vec<u8> {
    [b"#![allow(warnings)]\n", lib, b"\nmod canary;\n"].concat()
}

/// Writes a file, unless it is like that already: cargo goes by times.
fn put(path: &Path, text: &[u8]) -> io::Result<()> {
    if fs::read(path).is_ok_and(|there| there == text) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, text)
}

/// Removes files of a former copy.
fn prune(folder: &Path, kept: &BTreeSet<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            prune(&path, kept)?;
        } else if !kept.contains(&path) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Builds the judges, and says where they are.
fn compile(tree: &Path, build: &Path, list: &List) -> Result<BTreeMap<String, PathBuf>, String> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command.args(["test", "--no-default-features", "--no-run", "--message-format=json-render-diagnostics"]);
    let targets: BTreeSet<&str> = list.judges.iter().map(|judge| judge.target.as_str()).collect();
    for target in &targets {
        match *target {
            "lib" => command.arg("--lib"),
            test => command.args(["--test", test]),
        };
    }
    command.current_dir(tree).env("CARGO_TARGET_DIR", build).stderr(Stdio::inherit());
    // One build, never debugged.
    command.env("CARGO_INCREMENTAL", "0");
    command.env("CARGO_PROFILE_DEV_DEBUG", "0").env("CARGO_PROFILE_TEST_DEBUG", "0");
    let output = command.output().map_err(|why| format!("cargo: {why}"))?;
    if !output.status.success() {
        return Err("the copy does not build".to_owned());
    }
    let stdout = String::from_utf8_lossy(&output.stdout);
    let executables: BTreeMap<String, PathBuf> = stdout.lines().filter_map(executable).collect();
    match targets.iter().find(|target| !executables.contains_key(**target)) {
        Some(target) => Err(format!("cargo built no {target}")),
        None => Ok(executables),
    }
}

/// What a message of cargo says of a test's executable.
fn executable(message: &str) -> Option<(String, PathBuf)> {
    let text = |before: &str| {
        let (_, rest) = message.split_once(before)?;
        rest.split_once('"').map(|(text, _)| text)
    };
    if text("\"reason\":\"")? != "compiler-artifact" {
        return None;
    }
    let path = PathBuf::from(text("\"executable\":\"")?);
    let target = match text("\"target\":{\"kind\":[\"")? {
        "lib" => "lib".to_owned(),
        "test" => text("\"crate_types\":[\"bin\"],\"name\":\"")?.to_owned(),
        _ => return None,
    };
    Some((target, path))
}

#[test]
fn cargo_is_understood() {
    let message = r#"{"reason":"compiler-artifact","package_id":"path+file:///x#wirebook@0.1.0","manifest_path":"/x/Cargo.toml","target":{"kind":["test"],"crate_types":["bin"],"name":"splice","src_path":"/x/tests/splice/main.rs"},"profile":{"test":true},"executable":"/x/deps/splice-1","fresh":true}"#;
    assert_eq!(executable(message), Some(("splice".to_owned(), PathBuf::from("/x/deps/splice-1"))));
    let unit = message
        .replace(r#""kind":["test"],"crate_types":["bin"]"#, r#""kind":["lib"],"crate_types":["lib"]"#);
    assert_eq!(executable(&unit), Some(("lib".to_owned(), PathBuf::from("/x/deps/splice-1"))));
    assert_eq!(
        executable(&message.replace(r#""executable":"/x/deps/splice-1""#, r#""executable":null"#)),
        None
    );
}
