//! The limit on file descriptors, of which every connection needs one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Limits;

/// The number of descriptors that are reserved for the database, files and the runtime.
const RESERVED: usize = 200;

/// The numbers of connections that the limit on open files allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Connections {
    pub(super) all: usize,
    pub(super) per_address: usize,
}

/// Raises the process's limit on open files as far as its clients need it. Returns the numbers of connections that may
/// be open, which are below the settings if the system allows too few files. Otherwise one address could use up all
/// files before it reached its own limit.
pub(super) fn raise_limit(limits: &Limits) -> Connections {
    let needed = limits.connections + limits.sockets + limits.streams + RESERVED;
    let current = getrlimit(Resource::Nofile);
    let needed_files = u64::try_from(needed).unwrap_or(u64::MAX);
    if current.current.is_some_and(|files| files < needed_files) {
        let raised = current.maximum.map_or(needed_files, |most| most.min(needed_files));
        let raised = Rlimit { current: Some(raised), maximum: current.maximum };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::debug!(%error, "could not raise the limit on open files");
        }
    }
    let files =
        getrlimit(Resource::Nofile).current.map_or(usize::MAX, |files| usize::try_from(files).unwrap_or(usize::MAX));
    let connections = within(files, limits);
    if files < needed {
        let Connections { all, per_address } = connections;
        tracing::warn!(
            files,
            needed,
            connections = all,
            connections_per_address = per_address,
            "the limit on open files is too low for the settings: raise it (LimitNOFILE in systemd, --ulimit nofile in \
             Docker), or lower limits.connections, sockets and streams"
        );
    }
    connections
}

/// Returns the numbers of connections that a number of files allows.
fn within(files: usize, limits: &Limits) -> Connections {
    let free = files.saturating_sub(RESERVED).max(4);
    Connections { all: limits.connections.min(free), per_address: limits.connections_per_address().min(free / 4) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_does_not_use_up_the_files() {
        let limits = Limits::default();
        assert_eq!(within(usize::MAX, &limits), Connections { all: 20_000, per_address: 5_000 });
        assert_eq!(within(20_200, &limits), Connections { all: 20_000, per_address: 5_000 });
        assert_eq!(within(1_024, &limits), Connections { all: 824, per_address: 206 });
        assert_eq!(within(100, &limits), Connections { all: 4, per_address: 1 });
        let small = Limits { connections: 100, connections_per_address: Some(10), ..limits };
        assert_eq!(within(1_024, &small), Connections { all: 100, per_address: 10 });
    }
}
