//! `hugepages.sh`.

use std::fs;
use std::os::unix::fs::symlink;

use crate::machine::{Machine, Shell};

const SMALL: &str = "sys/kernel/mm/hugepages/hugepages-2048kB";
const ON_NODE_1: &str = "sys/devices/system/node/node1/hugepages/hugepages-2048kB";

fn machine(shell: Shell) -> Machine {
    let machine = Machine::new(shell);
    for directory in [
        SMALL,
        ON_NODE_1,
        "sys/devices/system/node/node0/hugepages/hugepages-2048kB",
        "sys/kernel/mm/hugepages/hugepages-1048576kB",
    ] {
        machine.put(&format!("{directory}/nr_hugepages"), "0\n");
        machine.put(&format!("{directory}/free_hugepages"), "0\n");
    }
    machine.put("proc/meminfo", "MemTotal: 4096000 kB\nMemAvailable: 8388608 kB\nHugepagesize: 2048 kB\n");
    machine.put("proc/mounts", "proc /proc proc rw 0 0\n");
    machine
}

fn hugepages(machine: &Machine, code: i32, arguments: &str) -> String {
    let arguments: Vec<_> = arguments.split_whitespace().collect();
    machine.expect_of("hugepages.sh", code, &arguments)
}

pub(crate) fn reserves_and_mounts(shell: Shell) {
    let machine = machine(shell);
    let mount = machine.path("huge");
    let at = mount.display();

    let before = machine.snapshot();
    let text = hugepages(&machine, 0, &format!("--dry-run --mount {at} 512M"));
    assert!(text.contains("would write '256' to") && text.contains("would mount hugetlbfs at"), "{text}");
    assert_eq!(machine.snapshot(), before);

    let text = hugepages(&machine, 0, &format!("--mount={at} 512M"));
    assert_eq!(
        text,
        format!(
            "this machine: 256 pages of 2048 kB reserved, 512 MiB (before: 0)\nhugetlbfs mounted at {at}\n"
        )
    );
    assert_eq!(machine.text(&format!("{SMALL}/nr_hugepages")), "256");
    assert!(
        machine
            .text("proc/mounts")
            .ends_with(&format!("hugetlbfs {at} hugetlbfs rw,relatime,pagesize=2M 0 0"))
    );

    // Mounted already: by itself, and by name.
    for arguments in ["300".to_owned(), format!("--mount {at}/ 300")] {
        let text = hugepages(&machine, 0, &arguments);
        assert!(text.starts_with("this machine: 300 pages") && !text.contains("mounted"), "{text}");
    }
    hugepages(&machine, 0, "--node 1 20");
    assert_eq!(machine.text(&format!("{ON_NODE_1}/nr_hugepages")), "20");
    assert_eq!(machine.text(&format!("{SMALL}/nr_hugepages")), "300");

    // Pages of another size want a mount of their own.
    let large = machine.path("large");
    let text = hugepages(&machine, 0, &format!("--page 1G --mount {} 2G", large.display()));
    assert!(text.contains("2 pages of 1048576 kB reserved, 2048 MiB"), "{text}");
    assert!(machine.text("proc/mounts").ends_with("pagesize=1024M 0 0"));
    let text = hugepages(&machine, 0, "--page 1G 1");
    assert!(!text.contains("mounted"), "{text}");

    // Nothing reserved, nothing to mount.
    machine.put("proc/mounts", "");
    let text = hugepages(&machine, 0, "0");
    assert_eq!(text, "this machine: 0 pages of 2048 kB reserved, 0 MiB (before: 300)\n");
    let text = hugepages(&machine, 0, &format!("--mount {at}"));
    assert_eq!(text, format!("hugetlbfs mounted at {at}\n"));
}

pub(crate) fn says_what_was_not_granted(shell: Shell) {
    let machine = machine(shell);
    let file = machine.path(&format!("{SMALL}/nr_hugepages"));
    fs::remove_file(&file).unwrap();
    // A kernel that takes the number and has no page to give.
    symlink("/dev/null", &file).unwrap();
    let text = hugepages(&machine, 1, "512");
    assert!(text.contains("0 of 512 pages were granted"), "{text}");
    assert!(text.contains("8192 MiB are available in pieces"), "{text}");
    assert!(text.contains("hugepagesz=2M hugepages=512 on the kernel command line"), "{text}");
    assert!(!text.contains("mounted"), "{text}");

    // More than the machine can spare: an eighth of 8 GiB must stay.
    let text = hugepages(&machine, 1, "7200M");
    assert!(text.contains("refused: 3600 pages are 7200 MiB, and 8192 MiB are available"), "{text}");

    fs::remove_file(&file).unwrap();
    symlink("/nowhere/at/all", &file).unwrap();
    assert!(hugepages(&machine, 1, "512").contains("cannot be written ('512')"));
}

pub(crate) fn shows_what_there_is(shell: Shell) {
    let machine = machine(shell);
    machine.put(&format!("{ON_NODE_1}/nr_hugepages"), "512\n");
    machine.put(&format!("{ON_NODE_1}/free_hugepages"), "500\n");
    let text = hugepages(&machine, 0, "");
    let rows: Vec<Vec<_>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["NODE", "PAGE", "PAGES", "FREE", "MEMORY"]);
    assert_eq!(rows[1], ["0", "2048", "kB", "0", "0", "0", "MiB"]);
    assert_eq!(rows[2], ["1", "2048", "kB", "512", "500", "1024", "MiB"]);
    assert!(text.ends_with("hugetlbfs: not mounted (needed without --in-memory)\n"), "{text}");
    machine.put(
        "proc/mounts",
        "none /dev/hugepages hugetlbfs rw,relatime 0 0\nnone /mnt/huge hugetlbfs rw,pagesize=1024M 0 0\n",
    );
    let text = hugepages(&machine, 0, "");
    assert!(
        text.ends_with("hugetlbfs: /dev/hugepages (2048 kB)\nhugetlbfs: /mnt/huge (1048576 kB)\n"),
        "{text}"
    );
    // The other script leads here.
    assert_eq!(machine.expect(0, &["hugepages"]), text);
}

pub(crate) fn refuses_what_it_cannot_read(shell: Shell) {
    let machine = machine(shell);
    for arguments in [
        "12K",
        "-5",
        "1 2",
        "--node x 5",
        "--page 3M 5",
        "--mount here 5",
        "--node",
        "0012",
        "12345678",
        "1.5G",
    ] {
        hugepages(&machine, 2, arguments);
    }
    let text = hugepages(&machine, 1, "--node 7 5");
    assert!(text.contains("node 7: has no hugepages of 2048 kB"), "{text}");
    assert!(hugepages(&machine, 0, "--help").contains("--mount"));
}
