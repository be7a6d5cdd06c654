//! `docs/porting-to-ef_vi.md` says where things are. They have to be there.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;

/// The texts between back-ticks, in order.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// True where `source` has an item of that name.
fn defines(source: &str, name: &str) -> bool {
    let items = ["fn", "struct", "enum", "trait", "const", "type"];
    items.iter().any(|item| {
        let what = format!("{item} {name}");
        source.match_indices(&what).any(|(at, _)| {
            // Not the beginning of a longer name.
            !source[at + what.len()..].starts_with(|next: char| next.is_alphanumeric() || next == '_')
        })
    })
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).ok()
}

fn document() -> String {
    read("docs/porting-to-ef_vi.md").unwrap()
}

/// In tables, names stand after the file that has them; a name with `(`, ` ` or `rte_` is none of ours.
#[test]
fn every_file_and_function_in_the_tables_exists() {
    let text = document();
    let (mut files, mut names) = (0, 0);
    for row in text.lines().filter(|line| line.starts_with('|')) {
        for cell in row.split('|') {
            let mut file: Option<(&str, String)> = None;
            for token in quoted(cell) {
                if token.starts_with("src/") || token.starts_with("tests/") {
                    let source =
                        read(token).unwrap_or_else(|| panic!("there is no {token}, as said in: {row}"));
                    file = Some((token, source));
                    files += 1;
                } else if let Some((path, source)) = &file {
                    let ours =
                        token.chars().all(|c| c.is_alphanumeric() || c == '_') && !token.starts_with("rte_");
                    if ours {
                        assert!(defines(source, token), "{path} has no `{token}`, as said in: {row}");
                        names += 1;
                    }
                }
            }
        }
    }
    assert!(files > 50 && names > 80, "{files} files and {names} names: are the tables still tables?");
}

/// Outside of tables, paths still have to exist.
#[test]
fn every_path_exists() {
    for token in quoted(&document().replace("```", "")).filter(|token| !token.contains(' ')) {
        let is_path = ["src/", "tests/", "docs/", "efvi-sys/"].iter().any(|room| token.starts_with(room));
        if is_path && !token.contains('$') {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(token);
            assert!(path.exists(), "there is no {token}");
        }
    }
}

/// Every function of ef_vi that is bound has its place in the document.
#[test]
fn every_call_is_in_the_document() {
    let text = document();
    let bind = read("efvi-sys/build/bind.rs").unwrap();
    let list =
        bind.split_once("FUNCTIONS: &[&str] = &[").and_then(|(_, rest)| rest.split_once("];")).unwrap().0;
    let calls: Vec<_> = list.split('"').skip(1).step_by(2).filter(|name| name.starts_with("ef")).collect();
    assert!(calls.len() > 15);
    for name in calls.iter().filter(|name| !name.contains("version")) {
        assert!(text.contains(&format!("`{name}")), "{name} is called and not explained");
    }
}
