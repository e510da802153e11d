//! Okta's wire formats, which this module parses into events, and a client of Okta's APIs. Unknown members are ignored,
//! since Okta adds, drops and changes them at any time.

mod apps;
mod broken_event;
mod card;
mod client;
mod delivery;
mod event_types;
mod instance_url;
mod json;
mod log_event;
mod privacy;
mod records;
mod shape;
mod system_log;
mod unknown_shape;

pub use apps::{APPS_PAGE, ListedInstance, read_apps_page};
pub use broken_event::BrokenEvent;
pub use card::Card;
pub use client::{ClientKey, Credentials, CurrentCredentials, OktaClient, OktaError, OktaPage, Resource};
pub use delivery::{Delivery, MalformedBody, read_delivery};
pub use event_types::{KNOWN_EVENT_TYPES, KnownEventType, OFFERED_TO_HOOKS, family_meant_by};
pub use instance_url::instance_id_in_url;
pub use json::{JsonBody, RawJson};
pub use log_event::{ENTITY_TYPES, OUTCOMES, SEVERITIES, read_event};
pub use privacy::{EventPointer, PointerFault, Privacy, PrivateEvent};
pub use records::{BrokenRecord, Record, Records, read_records};
pub use shape::{Shape, is_event_bridge, read_shapes};
pub use system_log::{HOOK_DELIVERY, LIFECYCLE, LOG_PAGE, LogFilter, read_log_page};
pub use unknown_shape::UnknownShape;
