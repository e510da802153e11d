//! The applications of an organisation, and their instances.

use std::sync::Arc;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::random::{Weights, okta_id};

/// An application of Okta's catalogue, or a custom one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Application {
    /// The name, such as `office365`: the Apps API's `name`.
    pub name: String,
    /// The display name in the catalogue.
    pub display_name: String,
    /// The sign-on mode.
    pub sign_on_mode: &'static str,
}

/// An application instance of the organisation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// The id, `0oa…`.
    pub id: String,
    /// The label, which may change.
    pub label: String,
    /// The application of the instance.
    pub application: Arc<Application>,
}

const CATALOGUE: [(&str, &str, &str); 20] = [
    ("office365", "Microsoft Office 365", "WS_FEDERATION"),
    ("salesforce", "Salesforce.com", "SAML_2_0"),
    ("google", "Google Workspace", "SAML_2_0"),
    ("slack", "Slack", "SAML_2_0"),
    ("amazon_aws_sso", "AWS IAM Identity Center", "SAML_2_0"),
    ("zoomus", "Zoom", "SAML_2_0"),
    ("servicenow_ud", "ServiceNow UD", "SAML_2_0"),
    ("scim2headerauth", "SCIM 2.0 Test App (Header Auth)", "AUTO_LOGIN"),
    ("workday", "Workday", "SAML_2_0"),
    ("boxnet", "Box", "SAML_2_0"),
    ("oidc_client", "OpenID Connect Client", "OPENID_CONNECT"),
    ("active_directory", "Active Directory", "AUTO_LOGIN"),
    ("zendesk", "Zendesk", "SAML_2_0"),
    ("okta_org2org", "Okta Org2Org", "SAML_2_0"),
    ("netsuite", "NetSuite", "SAML_2_0"),
    ("docusign", "DocuSign", "SAML_2_0"),
    ("snowflake", "Snowflake", "SAML_2_0"),
    ("tableau_online", "Tableau Online", "SAML_2_0"),
    ("pagerduty", "PagerDuty", "SAML_2_0"),
    ("figma", "Figma", "SAML_2_0"),
];

/// The purposes of an application's second and further instances.
const PURPOSES: [&str; 8] =
    ["Sandbox", "EMEA", "Contractors", "Americas", "Staging", "APAC", "Finance", "Migration 2026"];

/// Returns applications, first those of the catalogue, then custom ones.
pub(super) fn applications(count: u32) -> Vec<Arc<Application>> {
    let of_catalogue = CATALOGUE.iter().map(|(name, display_name, sign_on_mode)| Application {
        name: (*name).to_owned(),
        display_name: (*display_name).to_owned(),
        sign_on_mode,
    });
    let own = (1..).map(|number: u32| Application {
        name: format!("acme_internaltool_{number}"),
        display_name: format!("Internal Tool {number}"),
        sign_on_mode: "SAML_2_0",
    });
    (0..count).zip(of_catalogue.chain(own)).map(|(_, application)| Arc::new(application)).collect()
}

/// Generates instances, the most used first: one of each application, then more of the first applications.
pub(super) fn instances(random: &mut ChaCha8Rng, applications: &[Arc<Application>], count: u32) -> Vec<Instance> {
    let favour = Weights::zipf(u32::try_from(applications.len()).unwrap_or(u32::MAX));
    let mut instances_of = vec![0; applications.len()];
    let mut one_each = 0..applications.len();
    (0..count)
        .map(|_| {
            let at = one_each.next().unwrap_or_else(|| favour.pick(random));
            let application = Arc::clone(&applications[at]);
            let label = label(&application, instances_of[at]);
            instances_of[at] += 1;
            Instance { id: okta_id("0oa", random.random()), label, application }
        })
        .collect()
}

/// Returns the label of an application's n-th instance.
fn label(application: &Application, number: usize) -> String {
    match number.checked_sub(1) {
        None => application.display_name.clone(),
        Some(further) => match PURPOSES.get(further) {
            Some(purpose) => format!("{} - {purpose}", application.display_name),
            None => format!("{} - Team {}", application.display_name, further - PURPOSES.len() + 1),
        },
    }
}
