//! The levels and targets of log lines that `RUST_LOG` selects.

use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;

/// The level of each target's log lines.
#[derive(Clone, Debug, PartialEq)]
pub struct LogTargets(Targets);

// Every module of sluice, each of which is a target of log lines: `["sluice", "sluice::app", …]`.
include!(concat!(env!("OUT_DIR"), "/modules.rs"));

/// The libraries that write log lines. They are targets too, with all their modules.
const LIBRARIES: [&str; 16] = [
    "async_graphql",
    "async_nats",
    "axum",
    "axum_core",
    "h2",
    "hyper",
    "hyper_util",
    "mio",
    "reqwest",
    "rustls",
    "sqlx",
    "sqlx_core",
    "sqlx_postgres",
    "tokio_util",
    "tower",
    "tungstenite",
];

/// Libraries whose lines repeat sluice's own, and the level up to which they are logged unless `RUST_LOG` names them.
const TALKATIVE: [(&str, Level); 2] = [("async_nats", Level::ERROR), ("sqlx", Level::ERROR)];

/// The target of the access log.
const ACCESS_LOG: &str = crate::access_log::TARGET;

const LEVELS: &str = "off, error, warn, info, debug or trace";

impl Default for LogTargets {
    fn default() -> Self {
        Self::new(Targets::new().with_default(Level::INFO))
    }
}

impl LogTargets {
    /// Limits the talkative libraries that are not named.
    fn new(named: Targets) -> Self {
        let is_quiet = |library: &str| !named.iter().any(|(target, _)| target.starts_with(library));
        let quiet: Vec<_> = TALKATIVE.into_iter().filter(|(library, _)| is_quiet(library)).collect();
        let is_access_off = is_quiet(ACCESS_LOG);
        let most = named.default_level().unwrap_or(LevelFilter::OFF);
        let quiet = quiet.into_iter().map(|(library, level)| (library, LevelFilter::from(level).min(most)));
        // The access log has names and addresses of people, so it is written only if it is asked for.
        let access = Some((ACCESS_LOG, LevelFilter::OFF)).filter(|_| is_access_off);
        Self(named.with_targets(quiet.chain(access)))
    }

    /// Parses levels, each alone or for a target: `info,sluice::log=debug`. An empty text selects the defaults.
    ///
    /// # Errors
    /// Each part that names neither a level nor a target.
    pub fn parse(text: &str) -> Result<Self, Vec<String>> {
        let mut targets = Targets::new();
        let mut faults = Vec::new();
        let parts: Vec<_> = text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
        if parts.is_empty() {
            return Ok(Self::default());
        }
        for part in parts {
            match parse_part(part) {
                Ok((None, level)) => targets = targets.with_default(level),
                Ok((Some(target), level)) => targets = targets.with_target(target, level),
                Err(fault) => faults.push(format!("RUST_LOG: {fault}")),
            }
        }
        if faults.is_empty() { Ok(Self::new(targets)) } else { Err(faults) }
    }

    /// Leaves out the lines of a target, unless it or a part of it is named.
    #[must_use]
    pub fn without(self, target: &'static str) -> Self {
        let is_named = self.0.iter().any(|(named, _)| named.starts_with(target));
        if is_named { self } else { Self(self.0.with_target(target, LevelFilter::OFF)) }
    }

    /// Returns the filter for log lines.
    pub fn filter(&self) -> Targets {
        self.0.clone()
    }
}

/// Parses a level, a target, or both.
fn parse_part(part: &str) -> Result<(Option<&str>, LevelFilter), String> {
    if part.contains(['[', '{', '/']) {
        return Err(format!("{part:?}: spans, fields and patterns are not supported: write TARGET=LEVEL"));
    }
    let (target, level) = part.split_once('=').map_or((part, None), |(target, level)| (target.trim(), Some(level)));
    let Some(level) = level else {
        // A target alone selects all its lines.
        return match (level_of(part), is_target(part)) {
            (Some(level), _) => Ok((None, level)),
            (None, true) => Ok((Some(part), LevelFilter::TRACE)),
            (None, false) => Err(format!("{part:?} is neither a level ({LEVELS}) nor a target (such as sluice::log)")),
        };
    };
    let level = level_of(level.trim()).ok_or_else(|| format!("{part:?}: the level is none of {LEVELS}"))?;
    if is_target(target) {
        return Ok((Some(target), level));
    }
    Err(format!(
        "{target:?} is no target: it is neither a module of sluice, such as sluice::log, nor a library that logs"
    ))
}

fn level_of(text: &str) -> Option<LevelFilter> {
    let is_word = text.starts_with(|first: char| first.is_ascii_alphabetic());
    text.parse().ok().filter(|_| is_word)
}

fn is_target(text: &str) -> bool {
    MODULES.contains(&text) || text.split("::").next().is_some_and(|library| LIBRARIES.contains(&library))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(targets: &LogTargets, target: &str, level: Level) -> bool {
        targets.0.would_enable(target, &level)
    }

    #[test]
    fn levels_and_targets_choose_what_is_logged() {
        for (text, target, most) in [
            ("", "sluice::log", Level::INFO),
            (" , ", "hyper", Level::INFO),
            ("debug", "sluice::serve::listen", Level::DEBUG),
            (" info, sluice::log=debug,", "sluice::log::writer", Level::DEBUG),
            ("WARN,hyper::proto=trace", "hyper::proto::h1", Level::TRACE),
            ("error,sluice", "sluice::app", Level::TRACE),
            // Lines of sqlx repeat sluice's own, so they are left out unless the setting names sqlx.
            ("debug", "sqlx_core", Level::ERROR),
            ("info,sqlx=debug", "sqlx_core", Level::DEBUG),
            ("info,sluice::access_log=info", "sluice::access_log", Level::INFO),
            ("info,sqlx_postgres=warn", "sqlx_postgres::options", Level::WARN),
        ] {
            let parsed = LogTargets::parse(text).unwrap();
            assert!(level(&parsed, target, most), "{text}: {target}");
            let beyond = [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE];
            assert!(
                !beyond.into_iter().any(|beyond| beyond > most && level(&parsed, target, beyond)),
                "{text}: {target}"
            );
        }
        assert!(!level(&LogTargets::parse("off").unwrap(), "sqlx_core", Level::ERROR));
        for text in ["", "trace", "sluice=debug"] {
            assert!(!level(&LogTargets::parse(text).unwrap(), "sluice::access_log", Level::ERROR), "{text}");
        }
    }

    #[test]
    fn an_unknown_level_or_target_is_a_fault() {
        for (text, says) in [
            ("inof", "\"inof\" is neither a level"),
            ("sluice=loudly", "the level is none of off, error"),
            ("info,sluice::lgo=debug", "\"sluice::lgo\" is no target"),
            ("slucie=debug", "\"slucie\" is no target"),
            ("5", "neither a level"),
            ("sluice[request]=debug", "spans, fields and patterns"),
            ("=info", "\"\" is no target"),
        ] {
            let faults = LogTargets::parse(text).unwrap_err();
            assert!(
                matches!(&faults[..], [fault] if fault.starts_with("RUST_LOG: ") && fault.contains(says)),
                "{faults:?}"
            );
        }
        assert_eq!(LogTargets::parse("inof,dbug").unwrap_err().len(), 2);
    }
}
