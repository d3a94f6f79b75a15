//! How much memory a scratch server may take: what its container is given, or the machine has.

/// Limit of the container: cgroups 2, and 1.
const LIMITS: [&str; 2] = [
    "/sys/fs/cgroup/memory.max",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
];

/// In bytes; `None` where nobody says.
pub(super) fn memory() -> Option<u64> {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let limits = LIMITS.iter().filter_map(|path| read(path));
    // `max` is none, and so is the largest number.
    let limits = limits.filter_map(|text| text.trim().parse().ok());
    let machine = read("/proc/meminfo").and_then(|text| total(&text));
    limits.chain(machine).min()
}

/// `MemTotal:       16384000 kB`.
fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|l| l.strip_prefix("MemTotal:"))?;
    let kb: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kb.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m22_a_machine_says_how_much_memory_it_has() {
        let text = "MemTotal:       16384000 kB\nMemFree: 5 kB\n";
        assert_eq!(total(text), Some(16_777_216_000));
        assert_eq!(total("MemFree: 5 kB\n"), None);
        assert!(memory().is_some_and(|bytes| bytes > 1 << 20));
    }
}
