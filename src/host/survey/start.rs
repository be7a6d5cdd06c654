//! What stops the start: the looks before EAL, and what else loses data.

use std::fs;

use super::Subject;
use crate::host::args::EalArgs;
use crate::host::preflight::{self, Look, memory};
use crate::host::{Finding, Fix, Host, os};

pub(super) fn findings(host: &Host, subject: &Subject) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(why) = &subject.lcores {
        findings.push(Finding::bad("lcores", why, "one lcore to control, and one a loop"));
    }
    if let Some(args) = &subject.eal {
        let looks = host.looks(args);
        findings.extend(looks.iter().flat_map(of_look));
        findings.extend(open_files(host, args));
        findings.extend(left_files(host, args));
    }
    if subject.own_driver {
        let looks = subject.ports.iter().map(|port| preflight::look_at(host, port));
        findings.extend(looks.flat_map(|look| of_look(&look)));
    }
    if !subject.ports.is_empty() {
        findings.push(without_iommu(host));
    }
    findings.push(quota(host));
    findings
}

/// Each check of a look, up to the one that failed; those behind it could not be made.
fn of_look(look: &Look) -> Vec<Finding> {
    let failed = look.outcome.as_ref().err();
    let at = failed.and_then(|refusal| look.ids.iter().position(|id| *id == refusal.id()));
    look.ids
        .iter()
        .enumerate()
        .map(|(place, id)| match (failed, at) {
            (Some(refusal), Some(at)) if place == at => {
                let finding = Finding::bad(id, refusal.to_string(), "");
                match refusal.command() {
                    Some(command) => finding.fix(Fix::Now(command)),
                    None => finding,
                }
            }
            (Some(refusal), Some(at)) if place > at => {
                Finding::unknown(id, format!("{}: not looked at, because of {}", look.about, refusal.id()))
            }
            _ => Finding::good(id, &look.about),
        })
        .collect()
}

/// Files that EAL may hold open besides those of hugepages.
const OTHER_FILES: u64 = 256;

/// EAL raises the soft limit to the hard one, so the hard one counts.
fn open_files(host: &Host, args: &EalArgs) -> Option<Finding> {
    if args.no_huge {
        return None;
    }
    let limits = match host.text("proc/self/limits") {
        Ok(limits) => limits,
        Err(why) => return Some(Finding::unread("nofile", &why)),
    };
    let hard = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let hard = hard.and_then(|rest| rest.split_whitespace().nth(1));
    let wanted = memory::wanted_mib(args).div_ceil(2).saturating_add(OTHER_FILES);
    Some(match (hard, hard.map(str::parse::<u64>)) {
        (Some("unlimited"), _) => Finding::good("nofile", "unlimited"),
        (_, Some(Ok(hard))) if hard >= wanted => Finding::good("nofile", hard.to_string()),
        (_, Some(Ok(hard))) => Finding::bad("nofile", hard.to_string(), format!("{wanted} or more")).fix(Fix::Words(
            format!("`ulimit -Hn {wanted}` as root, limits.conf (nofile), or LimitNOFILE={wanted} in the systemd unit"),
        )),
        _ => Finding::unknown("nofile", "/proc/self/limits has no limit for open files"),
    })
}

/// Files of other prefixes stay until a program with their prefix starts.
fn left_files(host: &Host, args: &EalArgs) -> Option<Finding> {
    if args.no_huge || args.in_memory || args.maybe_secondary {
        return None;
    }
    let directory = memory::mount(host, args).ok()?;
    let entries = fs::read_dir(&directory).into_iter().flatten().flatten();
    let left = |path: &std::path::Path| fs::File::open(path).is_ok_and(|file| !os::is_flocked(&file));
    let mut names: Vec<_> = entries
        .filter(|entry| entry.file_name().to_string_lossy().contains("map_"))
        .filter(|entry| left(&entry.path()))
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    if names.is_empty() {
        return Some(Finding::good("hugefiles.stale", "none"));
    }
    names.sort();
    let seen = format!("{} files without an owner, such as {}", names.len(), names[0]);
    Some(Finding::bad("hugefiles.stale", seen, "none").fix(Fix::Words(format!(
        "start a program with their prefix once, or remove them from {} when none runs",
        directory.display()
    ))))
}

fn without_iommu(host: &Host) -> Finding {
    let path = "sys/module/vfio/parameters/enable_unsafe_noiommu_mode";
    match host.text(path) {
        Ok(on) if on == "Y" || on == "1" => Finding::bad("iommu.unsafe", "on", "off")
            .fix(Fix::Now(format!("echo N > /{path}")))
            .fix(Fix::Firmware("switch VT-d or AMD-Vi on".into())),
        Ok(off) => Finding::good("iommu.unsafe", off),
        // Without vfio, or with one that has no such mode.
        Err(_) if !host.exists(path) => Finding::good("iommu.unsafe", "no such mode"),
        Err(why) => Finding::unread("iommu.unsafe", &why),
    }
}

/// The own cgroup and all above it, in either version's files.
fn quota(host: &Host) -> Finding {
    let groups = match host.text("proc/self/cgroup") {
        Ok(groups) => groups,
        Err(why) => return Finding::unread("cgroup.quota", &why),
    };
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        let (base, file) = match controllers {
            "" => ("sys/fs/cgroup", "cpu.max"),
            list if list.split(',').any(|name| name == "cpu") => ("sys/fs/cgroup/cpu", "cpu.cfs_quota_us"),
            _ => continue,
        };
        let mut path = path.trim_matches('/');
        loop {
            let directory = if path.is_empty() { base.to_owned() } else { format!("{base}/{path}") };
            let file = format!("{directory}/{file}");
            if let Ok(text) = host.text(&file) {
                // `max 100000` or `200000 100000`; the older file has -1 for none.
                if text.split_whitespace().next().is_some_and(|quota| quota != "max" && quota != "-1") {
                    let none = if controllers.is_empty() { "max" } else { "-1" };
                    return Finding::bad("cgroup.quota", format!("/{file} says {text}"), none).fix(Fix::Now(
                        format!("echo {none} > {}", crate::host::script::quoted(&format!("/{file}"))),
                    ));
                }
            }
            match path.rsplit_once('/') {
                Some((above, _)) => path = above,
                None if path.is_empty() => break,
                None => path = "",
            }
        }
    }
    // The root of the second version has no such file, nor has a machine without the controller.
    Finding::good("cgroup.quota", "none")
}

/// The PCI addresses that EAL is given, and those among `names`, in full, each once.
#[must_use]
pub fn port_addresses<'n>(args: Option<&EalArgs>, names: impl Iterator<Item = &'n str>) -> Vec<String> {
    let given = args.map(preflight::allowed).unwrap_or_default();
    let named = names.filter_map(preflight::pci_address);
    let mut ports = Vec::new();
    for address in given.into_iter().chain(named) {
        if !ports.contains(&address) {
            ports.push(address);
        }
    }
    ports
}
