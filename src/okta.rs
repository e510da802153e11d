//! Okta's wire formats: bytes to events. What it does not need it does not judge: Okta may add, drop and change.

mod card;
mod delivery;
mod instance_url;
mod json;
mod log_event;
mod records;

pub use card::{Card, cards_in, read_card};
pub use delivery::{Delivery, DeliveryError, RawEvent, delivery_in, read_delivery};
pub use instance_url::instance_id_in_url;
pub use log_event::{BrokenEvent, read_event};
pub use records::{BrokenRecord, Record, Records};
