//! `config/feed.toml` is the manual of the configuration: it must say what the program does, key by key.
#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect; its helper functions too")]

use std::collections::BTreeMap;
use std::path::Path;

use wirebook::config::Config;

/// One key of the file: where it stands and the comment above it.
struct Key {
    path: String,
    line: usize,
    comment: String,
    commented_out: bool,
}

fn file() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("config/feed.toml")).unwrap()
}

/// The file with the strategy off, so that a key can be changed without contradicting it.
fn quiet_file() -> String {
    let text = file().replace("kind = \"imbalance\"", "kind = \"none\"");
    assert!(Config::parse(&text, "feed.toml").is_ok());
    text
}

/// Keys stand as `key = …` or, left out, as `#key = …`; prose has a blank after its `#`.
fn keys(text: &str) -> Vec<Key> {
    let (mut section, mut comment, mut keys) = (String::new(), String::new(), Vec::new());
    for (line, content) in text.lines().enumerate() {
        if let Some(name) = content.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name.to_owned();
            comment.clear();
        } else if let Some(prose) = content.strip_prefix("# ") {
            comment.push_str(prose);
            comment.push(' ');
        } else if let Some((key, _)) = content.split_once(" = ") {
            keys.push(Key {
                path: format!("{section}.{}", key.trim_start_matches('#')),
                line,
                comment: std::mem::take(&mut comment),
                commented_out: key.starts_with('#'),
            });
        } else {
            comment.clear();
        }
    }
    keys
}

/// `text` with the line of `key` replaced; `None` removes it.
fn with(text: &str, key: &Key, value: Option<&str>) -> String {
    let name = key.path.rsplit('.').next().unwrap();
    let replaced = text.lines().enumerate().filter_map(|(line, content)| match value {
        _ if line != key.line => Some(content.to_owned()),
        Some(value) => Some(format!("{name} = {value}")),
        None => None,
    });
    replaced.collect::<Vec<_>>().join("\n")
}

/// The text between `Default ` or `Default: ` and the full stop after it.
fn stated_default(key: &Key) -> Option<&str> {
    let rest = key.comment.split_once("Default")?.1.trim_start_matches([':', ' ']);
    Some(rest.split_once(". ").map_or(rest, |(default, _)| default).trim_end_matches(['.', ' ']))
}

#[test]
fn the_file_is_accepted() {
    let config = Config::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("config/feed.toml")).unwrap();
    assert_eq!(config.feed.line_a.group.to_string(), "239.1.1.1");
    assert_eq!(config.feed.line_b.unwrap().port, 26_400);
    assert_eq!(config.gateway.unwrap().mac, Some([2, 0, 0, 0, 0, 1]));
    assert!(!config.risk.armed, "the file that is shipped must not arm");
}

#[test]
fn every_key_stands_in_the_file_and_nothing_else() {
    let mut in_file: Vec<String> = keys(&file()).into_iter().map(|key| key.path).collect();
    let mut in_code: Vec<String> = Config::keys().into_iter().map(str::to_owned).collect();
    in_file.sort();
    in_code.sort();
    assert_eq!(in_file, in_code);
}

#[test]
fn every_key_has_a_comment_that_says_its_default() {
    for key in keys(&file()) {
        let by_line_a = key.path.starts_with("feed.line.b.") && key.comment == "As for line A. ";
        assert!(
            by_line_a || key.comment.to_lowercase().contains("default"),
            "{}: {:?}",
            key.path,
            key.comment
        );
    }
}

#[test]
fn stated_defaults_are_the_defaults() {
    let text = quiet_file();
    let mut checked = 0;
    for key in keys(&text) {
        let Some(default) = stated_default(&key) else { continue };
        let is_literal =
            default.starts_with('"') || default.parse::<u64>().is_ok() || default.parse::<bool>().is_ok();
        if !is_literal {
            continue;
        }
        let stated = Config::parse(&with(&text, &key, Some(default)), "stated").unwrap();
        let left_out = Config::parse(&with(&text, &key, None), "left out").unwrap();
        assert_eq!(stated, left_out, "{} is said to default to {default}", key.path);
        checked += 1;
    }
    assert!(checked > 30, "only {checked} defaults were found in the comments");
}

#[test]
fn keys_said_to_have_no_default_are_needed() {
    let text = quiet_file();
    let mut checked = 0;
    for key in keys(&text).iter().filter(|key| key.comment.contains("No default")) {
        let errors = Config::parse(&with(&text, key, None), "f").unwrap_err();
        assert_eq!(errors.problems().len(), 1, "{errors}");
        assert_eq!(errors.problems()[0].what, format!("{} is missing", key.path));
        checked += 1;
    }
    assert!(checked >= 8);
}

#[test]
fn stated_ranges_are_the_ranges() {
    let text = quiet_file();
    let mut ranges = BTreeMap::new();
    for key in keys(&text) {
        if key.path.starts_with("feed.line.b.") {
            continue;
        }
        let Err(errors) = Config::parse(&with(&text, &key, Some("99999999999999")), "f") else {
            panic!("{} takes any number", key.path)
        };
        let Some(range) = errors.problems()[0].what.split_once("outside ") else { continue };
        let range = range.1.trim_end_matches(" dollars").to_owned();
        let (low, high) = range.split_once(" to ").unwrap();
        let words: Vec<&str> = key.comment.split([' ', ',', ';', ':', '(', ')']).collect();
        let stated = |bound: &str| words.iter().any(|word| word.trim_end_matches('.') == bound);
        assert!(stated(high), "{}: {range} is not what {:?} says", key.path, key.comment);
        assert!(stated(low), "{}: {range} is not what {:?} says", key.path, key.comment);
        ranges.insert(key.path, range);
    }
    assert!(ranges.len() > 25, "{ranges:?}");
}

#[test]
fn the_keys_that_are_left_out_can_be_put_in() {
    let text = file();
    let mut full = text.clone();
    // These contradict what stands in the file, or each other.
    let apart =
        ["instruments.symbols", "lcores.worker", "recovery.snapshot.password_env", "gateway.password_env"];
    for key in keys(&text).iter().filter(|key| key.commented_out && !apart.contains(&key.path.as_str())) {
        let line = text.lines().nth(key.line).unwrap();
        full = full.replacen(&format!("\n{line}\n"), &format!("\n{}\n", line.trim_start_matches('#')), 1);
    }
    // What is resolved is not given.
    full = full.replace("\nmac = \"02:00:00:00:00:01\"\n", "\n");
    full = full.replace("#symbols =", "symbols =").replace("all = true", "all = false");
    let config = Config::parse(&full, "full").unwrap();
    assert_eq!(config.feed.line_a.vlan, Some(101));
    assert_eq!(config.feed.line_b.unwrap().vlan, Some(102));
    assert_eq!(config.gateway.unwrap().vlan, Some(200));
    assert_eq!(config.lcores.workers, [1, 2]);
    assert_ne!(config.port.line_b, config.port.feed);
    assert_ne!(config.port.orders, config.port.feed);
    assert_eq!(config.recovery.unwrap().snapshot.unwrap().password.expose(), "secret");
}

#[test]
fn the_mistakes_in_the_readme_are_reported_as_it_says() {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let text = file()
        .replace("rx_descriptors =", "rx_descriptor =")
        .replace("max_spread = \"0.05\"", "max_spread = 0.05");
    let errors = Config::parse(&text, "feed.toml").unwrap_err();
    assert_eq!(errors.problems().len(), 2);
    for problem in errors.problems() {
        assert!(readme.contains(&format!(": {} — {}\n", problem.what, problem.remedy)), "{problem:?}");
    }
}
