//! Okta's wire formats: bytes to events. What it does not need it does not judge: Okta may add, drop and change.

mod delivery;
mod instance_url;
mod json;
mod log_event;

pub use delivery::{Delivery, DeliveryError, RawEvent, read_delivery};
pub use instance_url::instance_id_in_url;
pub use log_event::{BrokenEvent, read_event};
