//! PostgreSQL's log output during a start, for the error when the start fails.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

/// Largest part of the log's end that an error holds, in lines and in bytes.
const LINES: usize = 20;
const BYTES: usize = 4096;

/// Number of bytes that are read from the end of a file.
const TAIL: u64 = 64 * 1024;

/// Free bytes below which a full file system is the likely cause: PostgreSQL writes its write-ahead log in segments of
/// 16 MiB.
const LITTLE_SPACE: u64 = 32 << 20;

/// Labels before the messages in PostgreSQL's log.
const LABELS: [&str; 7] = ["PANIC:", "FATAL:", "ERROR:", "WARNING:", "LOG:", "DETAIL:", "HINT:"];

/// Labels of lines that show statements, which may hold confidential values.
const PRIVATE_LABELS: [&str; 3] = ["STATEMENT:", "QUERY:", "CONTEXT:"];

/// The log output of one start.
#[derive(Debug)]
pub(super) struct ServerLog {
    /// File with the standard error output until PostgreSQL's log collector takes over.
    start_log: PathBuf,
    /// The directory of the log collector's files.
    directory: PathBuf,
    /// Lengths of the log collector's files before the start.
    ends: HashMap<PathBuf, u64>,
}

impl ServerLog {
    /// Creates the log of a start that is about to begin. The start empties `start_log`.
    pub(super) fn from_now_on(start_log: PathBuf, directory: PathBuf) -> Self {
        let ends = files(&directory).into_iter().collect();
        Self { start_log, directory, ends }
    }

    /// Returns the last lines that PostgreSQL wrote, as one line without statements, or a note that there are none.
    pub(super) fn told(&self) -> String {
        let mut text = tail(&self.start_log, 0);
        for (path, length) in files(&self.directory) {
            let before = self.ends.get(&path).copied().unwrap_or_default();
            if length != before {
                // A file that is shorter now was overwritten from its beginning.
                text.push_str(&tail(&path, if length > before { before } else { 0 }));
            }
        }
        let told = summary(&text);
        if told.is_empty() { "it said nothing".to_owned() } else { told }
    }
}

/// Returns a note if a file system has too little space for PostgreSQL, else an empty text.
pub(super) fn lack_of_space(directory: &Path) -> String {
    let Ok(found) = rustix::fs::statvfs(directory) else { return String::new() };
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    if free < LITTLE_SPACE {
        return format!("; the file system of {} has {} KiB left", directory.display(), free / 1024);
    }
    if found.f_files > 0 && found.f_favail == 0 {
        return format!("; the file system of {} has no inodes left", directory.display());
    }
    String::new()
}

/// Returns the last messages in the output of PostgreSQL or of one of its programs, as one line.
pub(super) fn summary(text: &str) -> String {
    let mut lines: Vec<&str> = Vec::new();
    let mut is_private = false;
    for line in text.lines() {
        let is_continued = line.starts_with('\t');
        is_private = if is_continued { is_private } else { PRIVATE_LABELS.iter().any(|label| line.contains(label)) };
        // Such lines only announce the log collector's file, which is read, too.
        let is_noise =
            line.contains("log output to logging collector") || line.contains("Future log output will appear");
        let line = if is_continued { line } else { without_prefix(line) }.trim();
        if !is_private && !is_noise && !line.is_empty() {
            lines.push(line);
        }
    }
    let told = lines[lines.len().saturating_sub(LINES)..].join("; ");
    let mut start = told.len().saturating_sub(BYTES);
    while !told.is_char_boundary(start) {
        start += 1;
    }
    told[start..].to_owned()
}

/// Returns a line from its label on, without the time and the process id before it.
fn without_prefix(line: &str) -> &str {
    let start = LABELS.iter().filter_map(|label| line.find(label)).min();
    // The prefix is short; a label further on belongs to the message.
    start.filter(|start| *start < 80).map_or(line, |start| &line[start..])
}

/// Returns the log collector's files with their lengths, oldest first.
fn files(directory: &Path) -> Vec<(PathBuf, u64)> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let mut files: Vec<_> = entries
        .flatten()
        .filter_map(|entry| {
            let about = entry.metadata().ok().filter(fs::Metadata::is_file)?;
            Some((about.modified().ok()?, entry.path(), about.len()))
        })
        .collect();
    files.sort();
    files.into_iter().map(|(_, path, length)| (path, length)).collect()
}

/// Returns a file's text from an offset on, at most its last `TAIL` bytes.
fn tail(path: &Path, from: u64) -> String {
    let read = || {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(from.max(length.saturating_sub(TAIL))))?;
        let mut bytes = Vec::new();
        file.take(TAIL).read_to_end(&mut bytes)?;
        std::io::Result::Ok(bytes)
    };
    String::from_utf8_lossy(&read().unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_has_the_last_messages_without_prefixes_and_without_statements() {
        let text = "2026-01-02 03:04:05.678 UTC [9] LOG:  redirecting log output to logging collector process\n\
                    2026-01-02 03:04:05.678 UTC [9] HINT:  Future log output will appear in directory \"log\".\n\
                    2026-01-02 03:04:06.000 UTC [9] ERROR:  relation \"x\" does not exist\n\
                    2026-01-02 03:04:06.000 UTC [9] STATEMENT:  SELECT 'secret'\n\t, 'secret'\n\
                    2026-01-02 03:04:07.000 UTC [9] FATAL:  could not write lock file \"postmaster.pid\":\n\tNo space left\n";
        let told = "ERROR:  relation \"x\" does not exist; FATAL:  could not write lock file \"postmaster.pid\":; No space left";
        assert_eq!(summary(text), told);
        assert_eq!(summary("postgres: could not find the programs\n"), "postgres: could not find the programs");
    }

    #[test]
    fn a_summary_is_bounded() {
        let text = (0..1000).map(|number| format!("LOG:  message {number}")).collect::<Vec<_>>().join("\n");
        let told = summary(&text);
        assert!(told.starts_with("LOG:  message 980;") && told.ends_with("message 999"), "{told}");
        let long = summary(&"ä".repeat(10_000));
        assert!(long.len() <= BYTES && long.chars().all(|letter| letter == 'ä'));
    }

    #[test]
    fn only_what_was_written_since_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let (start_log, logs) = (directory.path().join("start.log"), directory.path().join("log"));
        fs::create_dir(&logs).unwrap();
        fs::write(logs.join("monday"), "LOG:  before\n").unwrap();
        fs::write(logs.join("tuesday"), "LOG:  untouched\n").unwrap();
        let log = ServerLog::from_now_on(start_log.clone(), logs.clone());
        assert_eq!(log.told(), "it said nothing");
        fs::write(start_log, "LOG:  starting\n").unwrap();
        fs::write(logs.join("monday"), "LOG:  before\nFATAL:  because\n").unwrap();
        assert_eq!(log.told(), "LOG:  starting; FATAL:  because");
    }
    #[test]
    fn what_was_written_to_several_files_is_told_in_the_order_of_their_times() {
        let directory = tempfile::tempdir().unwrap();
        let log = ServerLog::from_now_on(directory.path().join("start.log"), directory.path().to_owned());
        for (name, text, seconds) in
            [("b", "LOG:  first\n", 10), ("a", "LOG:  second\n", 20), ("c", "LOG:  last\n", 30)]
        {
            let path = directory.path().join(name);
            fs::write(&path, text).unwrap();
            let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
            File::options().append(true).open(&path).unwrap().set_modified(time).unwrap();
        }
        assert_eq!(log.told(), "LOG:  first; LOG:  second; LOG:  last");
    }
}
