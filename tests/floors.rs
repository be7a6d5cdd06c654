//! A module uses what stands on its floor or below, and no two of them use each other, by whatever way around.
//!
//! `src/lib.rs` says what stands where. Tests inside modules may look up, and so may the links of documentation.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Each module with its floor, as the comments of `lib.rs` divide them.
fn floors(lib: &str) -> BTreeMap<String, u32> {
    let mut floor = None;
    let mut floors = BTreeMap::new();
    for line in lib.lines() {
        if let Some(rest) = line.strip_prefix("// Floor ") {
            floor = rest.split(':').next().unwrap().parse().ok();
        } else if let Some(name) = line.strip_prefix("pub mod ") {
            floors.insert(name.trim_end_matches(';').to_owned(), floor.unwrap());
        }
    }
    floors
}

/// What a source names behind `crate::`, comments and its tests at the end apart.
fn used(source: &str) -> BTreeSet<String> {
    let code = source.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let code: String = code.lines().map(|line| line.split("//").next().unwrap()).collect();
    let mut names = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        match rest.strip_prefix('{') {
            None => _ = names.insert(first_word(rest)),
            // A list of paths: the first word of each that does not stand in braces of its own.
            Some(list) => {
                let mut depth = 0;
                let mut begins = true;
                for (at, character) in list.char_indices() {
                    match character {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => begins = true,
                        ' ' => {}
                        _ if begins && depth == 0 => {
                            names.insert(first_word(&list[at..]));
                            begins = false;
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    names
}

fn first_word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// Every Rust file below `folder` but those of tests.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.file_stem().unwrap() == "tests" {
            continue;
        }
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The first way from a module back to itself.
fn circle(uses: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    fn walk(
        at: &str,
        uses: &BTreeMap<String, BTreeSet<String>>,
        way: &mut Vec<String>,
        done: &mut BTreeSet<String>,
    ) -> bool {
        if let Some(from) = way.iter().position(|name| name == at) {
            way.drain(..from);
            return true;
        }
        if done.contains(at) {
            return false;
        }
        way.push(at.to_owned());
        if uses.get(at).is_some_and(|names| names.iter().any(|name| walk(name, uses, way, done))) {
            return true;
        }
        way.pop();
        done.insert(at.to_owned());
        false
    }
    let mut done = BTreeSet::new();
    uses.keys().find_map(|name| {
        let mut way = Vec::new();
        walk(name, uses, &mut way, &mut done).then_some(way)
    })
}

#[test]
fn no_module_uses_what_stands_above_it_and_none_go_in_circles() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let floors = floors(&fs::read_to_string(root.join("lib.rs")).unwrap());
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in &files {
        let inside = file.strip_prefix(&root).unwrap();
        let module = Path::new(inside.iter().next().unwrap()).file_stem().unwrap().to_str().unwrap();
        let Some(floor) = floors.get(module) else { continue };
        for name in used(&fs::read_to_string(file).unwrap()) {
            let Some(its) = floors.get(&name).filter(|_| name != module) else { continue };
            assert!(its <= floor, "{}: floor {floor} uses {name}, which is on floor {its}", inside.display());
            uses.entry(module.to_owned()).or_default().insert(name);
        }
    }
    assert!(
        files.len() > 200 && uses.len() > 15,
        "{} files, {} modules: is it all there?",
        files.len(),
        uses.len()
    );
    if let Some(way) = circle(&uses) {
        panic!("modules go in a circle: {}", way.join(" → "));
    }
}

#[test]
fn what_is_not_allowed_is_found() {
    let source = "use crate::risk::Risk;\nuse crate::{\n    book::{Books, Limits},\n    nic::MAX,\n};\n\
                  // crate::cli in a comment\n/// [`crate::venue`]\nfn f() { crate::tsc::now() }\n\
                  #[cfg(test)]\nmod tests {\n    use crate::control;\n}\n";
    assert!(used(source).iter().map(String::as_str).eq(["book", "nic", "risk", "tsc"]));
    let graph = |edges: &[(&str, &str)]| {
        let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (from, to) in edges {
            uses.entry((*from).to_owned()).or_default().insert((*to).to_owned());
        }
        uses
    };
    assert_eq!(circle(&graph(&[("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")])), None);
    let found = circle(&graph(&[("a", "b"), ("b", "c"), ("c", "d"), ("d", "b")])).unwrap();
    assert_eq!(found, ["b", "c", "d"]);
    let lib = "// Floor 0: touch\npub mod nic;\n// Floor 1: speak\n#[cfg(x)]\npub mod wire;\n";
    assert!(floors(lib).into_iter().eq([("nic".to_owned(), 0), ("wire".to_owned(), 1)]));
}
