//! The circumstances of an event: a job of Okta's, or a web request of a browser.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use uuid::Builder;

use super::Person;
use super::event_types::{EventType, Subject};
use crate::event::{
    AuthenticationContext, Client, DebugData, Entity, GeographicalContext, Geolocation, IpAddress, Request,
    SecurityContext, Transaction, TransactionDetail, UserAgent,
};
use crate::random::{okta_id, one_of, token};

/// The actor, client and transaction of an event.
pub(super) struct Circumstances {
    pub(super) actor: Entity,
    pub(super) client: Client,
    pub(super) authentication_context: AuthenticationContext,
    pub(super) security_context: SecurityContext,
    pub(super) debug_data: Option<DebugData>,
    pub(super) transaction: Transaction,
    pub(super) request: Request,
}

const BROWSERS: [UserAgent; 3] = [
    UserAgent {
        raw_user_agent: "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) \
                         Chrome/142.0.0.0 Safari/537.36",
        os: "Mac OS X",
        browser: "CHROME",
    },
    UserAgent {
        raw_user_agent: "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0",
        os: "Windows 10",
        browser: "FIREFOX",
    },
    UserAgent { raw_user_agent: "python-requests/2.32.5", os: "Unknown", browser: "UNKNOWN" },
];

/// The attributes that a job pushes. Okta documents only the application's name in these notes; the key is made up, and
/// gives events their usual size.
const ATTRIBUTES: &str = "userName,givenName,familyName,displayName,email,title,department,division,costCenter,\
                          organization,employeeNumber,manager,locale,timezone,preferredLanguage";

/// Networks that are reserved for documentation, and their fictional locations.
const NETWORKS: [(&str, GeographicalContext, SecurityContext); 3] = [
    ("192.0.2.", place("Oslo", None, "Norway", Some("0150"), (59.9139, 10.7522)), network(64_496, "fjord net as")),
    ("198.51.100.", place("Lisbon", None, "Portugal", None, (38.7223, -9.1393)), network(64_497, "tagus telecom")),
    (
        "203.0.113.",
        place("Boardman", Some("Oregon"), "United States", Some("97818"), (45.8491, -119.7143)),
        network(64_498, "example cloud inc."),
    ),
];

const fn place(
    city: &'static str,
    state: Option<&'static str>,
    country: &'static str,
    postal_code: Option<&'static str>,
    (lat, lon): (f64, f64),
) -> GeographicalContext {
    GeographicalContext { city, state, country, postal_code, geolocation: Geolocation { lat, lon } }
}

const fn network(number: u32, name: &'static str) -> SecurityContext {
    SecurityContext {
        as_number: Some(number),
        as_org: Some(name),
        isp: Some(name),
        domain: Some("isp.example"),
        is_proxy: Some(false),
    }
}

impl Circumstances {
    /// Creates a job that runs for an admin, for Okta itself (`system`), or for a program.
    pub(super) fn job(
        random: &mut ChaCha8Rng,
        kind: &EventType,
        admin: &Person,
        system: &str,
        application_name: &str,
    ) -> Self {
        let prefix = match kind.subject {
            Subject::AppUser => "puj",
            Subject::Group => "gam",
            Subject::Instance | Subject::Label | Subject::SignIn => "imj",
        };
        let actor = match random.random_range(0..10) {
            0..6 => admin.entity(),
            6..9 => not_a_person(system, "SystemPrincipal", "system@okta.com", "Okta System"),
            _ => not_a_person(&system.replacen("0sp", "0oa", 1), "PublicClientApp", "unknown", "Directory Automation"),
        };
        let debug_data = match random.random_range(0..20) {
            0 => None,
            1 => Some(vec![]),
            2..6 => Some(vec![("AppName", application_name.to_owned())]),
            _ => Some(vec![("appname", application_name.to_owned())]),
        };
        let debug_data = debug_data.map(|mut map| {
            if kind.subject == Subject::AppUser {
                map.push(("pushedAttributes", ATTRIBUTES.to_owned()));
                map.push(("traceId", Builder::from_random_bytes(random.random()).into_uuid().to_string()));
            }
            DebugData(map)
        });
        Self {
            actor,
            client: Client::default(),
            authentication_context: session(random, "trs"),
            security_context: SecurityContext::default(),
            debug_data,
            transaction: transaction("JOB", okta_id(prefix, random.random())),
            request: Request::default(),
        }
    }

    /// Creates a request of a browser.
    pub(super) fn web(random: &mut ChaCha8Rng, actor: &Person, path: &str) -> Self {
        let (prefix, place, network) = one_of(random, &NETWORKS);
        let ip = format!("{prefix}{}", random.random_range(1..255));
        let request_id = format!("aR{}", token(random, 25));
        let debug_data = vec![
            ("requestId", request_id.clone()),
            ("dtHash", format!("{:064x}", random.random::<u128>())),
            ("requestUri", path.to_owned()),
            ("threatSuspected", "false".to_owned()),
            ("url", format!("{path}?")),
        ];
        Self {
            actor: actor.entity(),
            client: Client {
                user_agent: Some(*one_of(random, &BROWSERS)),
                zone: Some("null"),
                device: Some("Computer"),
                id: None,
                ip_address: Some(ip.clone()),
                geographical_context: Some(*place),
            },
            authentication_context: session(random, "102"),
            security_context: *network,
            debug_data: Some(DebugData(debug_data)),
            transaction: transaction("WEB", request_id),
            request: Request {
                ip_chain: vec![IpAddress { ip, geographical_context: *place, version: "V4", source: None }],
            },
        }
    }
}

fn not_a_person(id: &str, kind: &'static str, alternate_id: &str, display_name: &str) -> Entity {
    Entity {
        id: id.to_owned(),
        kind,
        alternate_id: alternate_id.to_owned(),
        display_name: display_name.to_owned(),
        detail_entry: None,
        change_details: None,
    }
}

fn session(random: &mut ChaCha8Rng, prefix: &str) -> AuthenticationContext {
    AuthenticationContext {
        authentication_provider: None,
        credential_provider: None,
        credential_type: None,
        issuer: None,
        interface: None,
        authentication_step: 0,
        external_session_id: format!("{prefix}{}", token(random, 22)),
        root_session_id: format!("{prefix}{}", token(random, 22)),
    }
}

fn transaction(kind: &'static str, id: String) -> Transaction {
    Transaction { kind, id, detail: TransactionDetail {} }
}
