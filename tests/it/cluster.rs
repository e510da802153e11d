//! Several gateways as processes of their own, over one Postgres and one NATS, each of which can be killed.

use std::fs::Permissions;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;

use rustix::process::{Pid, Signal, kill_process};
use sluice::postgres::private::{DataDirLock, PrivatePostgres};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tempfile::TempDir;

use crate::nats_server::NatsServer;
use crate::process::GatewayProcess;

/// Gateways and what they run on. Everything is gone when this is dropped, the gateways first.
pub(crate) struct Cluster {
    pub(crate) gateways: Vec<GatewayProcess>,
    pub(crate) nats: NatsServer,
    pub(crate) pool: PgPool,
    postgres: PrivatePostgres,
    _directory: TempDir,
}

impl Cluster {
    /// Starts as many gateways as wanted.
    pub(crate) async fn start(size: usize) -> Self {
        let nats = NatsServer::start();
        // Postgres, which does not run as root, must get there.
        let mut directory = tempfile::Builder::new();
        let directory = directory.prefix("sluice-cluster-").permissions(Permissions::from_mode(0o755)).tempdir();
        let directory = directory.unwrap();
        let data_dir = directory.path().join("data");
        let start = move || PrivatePostgres::start(DataDirLock::take(&data_dir).unwrap(), true).unwrap();
        let postgres = tokio::task::spawn_blocking(start).await.unwrap();
        let prepare = || GatewayProcess::prepare_over(postgres.url(), &nats.url());
        let mut gateways: Vec<_> = std::iter::repeat_with(prepare).take(size).collect();
        for gateway in &mut gateways {
            gateway.start_again().await;
        }
        let pool = PgPoolOptions::new().max_connections(2).connect_lazy(postgres.url()).unwrap();
        Self { gateways, nats, pool, postgres, _directory: directory }
    }

    /// Where the gateways are.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.gateways.iter().map(|gateway| gateway.address).collect()
    }

    /// Ends Postgres as a crash does; it is started again. Gives whether it ran.
    pub(crate) fn kill_postgres(&self) -> bool {
        let process = self.postgres.process_id().and_then(|process| Pid::from_raw(process.try_into().unwrap()));
        process.is_some_and(|process| kill_process(process, Signal::KILL).is_ok())
    }

    /// Ends every connection of the gateways with Postgres, where that runs. Gives how many.
    pub(crate) async fn break_connections(&self) -> usize {
        let backends =
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'sluice'";
        let broken: sqlx::Result<i64> = sqlx::query_scalar(backends).fetch_one(&self.pool).await;
        broken.map_or(0, |broken| usize::try_from(broken).unwrap())
    }
}
