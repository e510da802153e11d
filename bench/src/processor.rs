//! What processes have taken of the processors and of memory, as the kernel counts it in `/proc` (Linux alone has it).

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::param::clock_ticks_per_second;

/// What a process has taken so far, all its threads together.
pub(crate) fn of_process(pid: u32) -> Result<Duration> {
    let stat = read(pid).with_context(|| format!("/proc tells nothing of process {pid}: the bench needs Linux"))?;
    Ok(ticks(stat.own))
}

/// What a process and those that it started have taken so far, those that have ended (and were waited for) included:
/// PostgreSQL's main process and its backends.
pub(crate) fn of_family(pid: u32) -> Result<Duration> {
    let parent = read(pid).with_context(|| format!("/proc tells nothing of process {pid}: the bench needs Linux"))?;
    let processes = fs::read_dir("/proc")?.flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    // One that ends meanwhile is gone, or is still there to be counted.
    let children = pids.filter_map(read).filter(|stat| stat.parent == pid).map(|stat| stat.own);
    Ok(ticks(parent.own + parent.ended_children + children.sum::<u64>()))
}

/// The most memory that a process has had at once, in kibibytes; None where it has ended.
pub(crate) fn most_memory(pid: u32) -> Option<usize> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.trim().parse().ok())
}

/// What `/proc/PID/stat` tells, times in clock ticks.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    parent: u32,
    own: u64,
    ended_children: u64,
}

fn read(pid: u32) -> Option<Stat> {
    parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn parse(stat: &str) -> Option<Stat> {
    // The program's name is in parentheses and may hold any.
    let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some(Stat {
        parent: u32::try_from(number(1)?).ok()?,
        own: number(11)? + number(12)?,
        ended_children: number(13)? + number(14)?,
    })
}

fn ticks(count: u64) -> Duration {
    Duration::from_secs(count) / u32::try_from(clock_ticks_per_second()).unwrap_or(100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_is_read_after_the_name() {
        let stat = "12 (a) (b) S 7 12 12 0 -1 4194560 93 0 0 0 40 2 300 4 20 0 5 0 1 2 3";
        assert_eq!(parse(stat), Some(Stat { parent: 7, own: 42, ended_children: 304 }));
        assert_eq!(parse("12 (short) S 7"), None);
    }

    #[test]
    fn work_is_counted() {
        let pid = std::process::id();
        let before = of_process(pid).unwrap();
        let started = std::time::Instant::now();
        while started.elapsed() < Duration::from_millis(200) {}
        let after = of_process(pid).unwrap();
        assert!(after > before, "{before:?} to {after:?}");
        assert!(of_family(pid).unwrap() >= after);
    }
}
