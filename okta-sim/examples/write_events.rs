//! Writes events of several organisations into a directory, a file each, to train a dictionary on them.

use std::path::PathBuf;
use std::{env, fs};

use anyhow::{Context as _, Result};
use okta_sim::{Organisation, OrganisationOptions};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

/// Time of the first event.
const BEGIN: OffsetDateTime = datetime!(2026-01-01 00:00 UTC);

fn main() -> Result<()> {
    let directory = PathBuf::from(env::args().nth(1).context("give the directory")?);
    for seed in 1000..1020 {
        let options = OrganisationOptions { seed, outsiders: 0.2, ..OrganisationOptions::default() };
        let mut organisation = Organisation::new(options);
        for number in 0..100 {
            let event = organisation.event_at(BEGIN + Duration::minutes(number * 371));
            // Hooks and the System Log order an event's fields in different ways.
            let json = if number % 3 == 0 { event.hook_json() } else { event.log_json() };
            fs::write(directory.join(format!("{seed}-{number}.json")), json)?;
        }
    }
    Ok(())
}
