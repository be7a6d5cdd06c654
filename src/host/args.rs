//! What EAL would understand from its arguments, as far as the checks before it need to know.
//!
//! EAL reads with `getopt_long`: `-l 0-1`, `-l0-1`, `--vdev=x`, `--vdev x`, and any unambiguous beginning of a long
//! name. Options this file does not know are passed over, for EAL to judge.

use super::cpus::{CpuSet, LcoreMap};

/// The arguments that the checks look at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EalArgs {
    /// `-l`, `-c` or `--lcores` as written: option and value. The last one counts.
    pub lcores: Option<(&'static str, String)>,
    /// `--main-lcore` as written.
    pub main_lcore: Option<String>,
    /// `--file-prefix`; EAL's own default is `rte`.
    pub file_prefix: Option<String>,
    /// `--huge-dir`.
    pub huge_dir: Option<String>,
    /// `--proc-type` says `secondary` or `auto`.
    pub maybe_secondary: bool,
    /// `--no-huge`.
    pub no_huge: bool,
    /// `--in-memory`.
    pub in_memory: bool,
    /// `--no-shconf`.
    pub no_shconf: bool,
    /// `--no-pci`.
    pub no_pci: bool,
    /// `-m` in MiB, where it is a number.
    pub memory_mib: Option<u64>,
    /// `--vdev`, each.
    pub vdevs: Vec<String>,
    /// `-a` or `--allow`, each.
    pub allow: Vec<String>,
    /// `-d`, each.
    pub plugins: Vec<String>,
}

/// Long options with a value (EAL 22.11 to 25.11). Those without a value, or with an optional one that must be joined
/// by `=`, never take the next argument.
const LONG_WITH_VALUE: &[&str] = &[
    "allow",
    "base-virtaddr",
    "block",
    "coremask",
    "driver-path",
    "file-prefix",
    "force-max-simd-bitwidth",
    "huge-dir",
    "iova-mode",
    "lcores",
    "log-level",
    "main-lcore",
    "mbuf-pool-ops-name",
    "memory-channels",
    "memory-ranks",
    "memory-size",
    "numa-limit",
    "numa-mem",
    "proc-type",
    "service-corelist",
    "service-coremask",
    "socket-limit",
    "socket-mem",
    "trace",
    "trace-bufsz",
    "trace-dir",
    "trace-mode",
    "vdev",
    "vfio-intr",
    "vfio-vf-token",
];

/// Long options without a value, or with an optional one.
const LONG_ALONE: &[&str] = &[
    "create-uio-dev",
    "help",
    "huge-unlink",
    "huge-worker-stack",
    "in-memory",
    "legacy-mem",
    "log-color",
    "log-timestamp",
    "match-allocations",
    "no-hpet",
    "no-huge",
    "no-pci",
    "no-shconf",
    "no-telemetry",
    "remap-lcore-ids",
    "single-file-segments",
    "syslog",
    "telemetry",
    "version",
    "vmware-tsc-map",
];

const SHORT_WITH_VALUE: &str = "abcdlmnrsS";

impl EalArgs {
    /// Reads arguments, the program's name not among them, up to `--` or the end.
    pub fn parse<S: AsRef<str>>(args: &[S]) -> Self {
        let mut read = Self::default();
        let mut args = args.iter().map(AsRef::as_ref);
        while let Some(arg) = args.next() {
            if arg == "--" {
                break;
            } else if let Some(long) = arg.strip_prefix("--") {
                let (name, joined) = long.split_once('=').map_or((long, None), |(n, v)| (n, Some(v)));
                let Some(name) = complete(name) else { continue };
                let value = match joined {
                    Some(value) => Some(value),
                    None if LONG_WITH_VALUE.contains(&name) => args.next(),
                    None => None,
                };
                read.take(name, value.unwrap_or_default());
            } else if let Some(cluster) = arg.strip_prefix('-') {
                for (at, flag) in cluster.char_indices() {
                    if SHORT_WITH_VALUE.contains(flag) {
                        let rest = &cluster[at + flag.len_utf8()..];
                        let value = if rest.is_empty() { args.next().unwrap_or_default() } else { rest };
                        read.take(short_name(flag), value);
                        break;
                    }
                }
            }
        }
        read
    }

    fn take(&mut self, name: &str, value: &str) {
        let owned = || value.to_owned();
        match name {
            "l" => self.lcores = Some(("-l", owned())),
            "coremask" => self.lcores = Some(("-c", owned())),
            "lcores" => self.lcores = Some(("--lcores", owned())),
            "main-lcore" => self.main_lcore = Some(owned()),
            "file-prefix" => self.file_prefix = Some(owned()),
            "huge-dir" => self.huge_dir = Some(owned()),
            "proc-type" => self.maybe_secondary = value != "primary",
            "no-huge" => self.no_huge = true,
            "in-memory" => self.in_memory = true,
            "no-shconf" => self.no_shconf = true,
            "no-pci" => self.no_pci = true,
            "memory-size" => self.memory_mib = value.parse().ok(),
            "vdev" => self.vdevs.push(owned()),
            "allow" => self.allow.push(owned()),
            "driver-path" => self.plugins.push(owned()),
            _ => {}
        }
    }

    /// The lcores asked for: `None` when nothing was said (EAL then takes every CPU it may use), `Err(())` when it
    /// cannot be read.
    pub(super) fn lcore_map(&self) -> Option<Result<LcoreMap, ()>> {
        let (option, value) = self.lcores.as_ref()?;
        let map = match *option {
            "-c" => CpuSet::parse_mask(value).map(LcoreMap::same),
            // -l takes a plain list; since 25.11 it is the same as --lcores.
            _ => LcoreMap::parse(value),
        };
        Some(map.ok_or(()))
    }
}

fn short_name(flag: char) -> &'static str {
    match flag {
        'a' => "allow",
        'c' => "coremask",
        'd' => "driver-path",
        'l' => "l",
        'm' => "memory-size",
        _ => "",
    }
}

/// The long option that `name` is or unambiguously begins.
fn complete(name: &str) -> Option<&'static str> {
    let all = || LONG_WITH_VALUE.iter().chain(LONG_ALONE).copied();
    if let Some(exact) = all().find(|o| *o == name) {
        return Some(exact);
    }
    let mut begun = all().filter(|o| o.starts_with(name));
    let first = begun.next()?;
    begun.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> EalArgs {
        EalArgs::parse(&line.split_whitespace().collect::<Vec<_>>())
    }

    #[test]
    fn values_joined_or_apart() {
        for line in ["-l 0-1 --vdev net_ring0 -m 64", "-l0-1 --vdev=net_ring0 -m64"] {
            let args = parse(line);
            assert_eq!(args.lcores, Some(("-l", "0-1".into())), "{line}");
            assert_eq!(args.vdevs, ["net_ring0"], "{line}");
            assert_eq!(args.memory_mib, Some(64), "{line}");
        }
    }

    #[test]
    fn a_value_is_not_read_as_an_option() {
        let args = parse("--file-prefix --no-huge -n 4 --log-level lib.eal:debug --in-memory");
        assert_eq!(args.file_prefix.as_deref(), Some("--no-huge"));
        assert!(!args.no_huge);
        assert!(args.in_memory);
    }

    #[test]
    fn beginnings_of_names_as_getopt_takes_them() {
        let args = parse("--no-hu --no-p --vd=net_null0 --no --v=x");
        assert!(args.no_huge && args.no_pci && !args.no_shconf);
        assert_eq!(args.vdevs, ["net_null0"]);
    }

    #[test]
    fn stops_at_the_double_dash() {
        assert_eq!(parse("-l 0 -- --vdev net_ring0").vdevs, Vec::<String>::new());
    }

    #[test]
    fn lcores_in_each_form() {
        let map = |line: &str| parse(line).lcore_map().unwrap().unwrap().cpus.to_string();
        assert_eq!(map("-l 0-1,3"), "0-1,3");
        assert_eq!(map("-c 0xb"), "0-1,3");
        assert_eq!(map("--lcores 0@1,1@3"), "1,3");
        assert!(parse("-l x").lcore_map().unwrap().is_err());
        assert!(parse("-m 1").lcore_map().is_none());
    }
}
