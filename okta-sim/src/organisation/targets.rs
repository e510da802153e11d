//! The targets of events.

use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use uuid::Uuid;

use super::event_types::Subject;
use super::people::Group;
use super::{Instance, Person};
use crate::event::{ChangeDetails, DetailEntry, Entity};
use crate::random::{okta_id, one_of};

/// Generates the targets of an event, in Okta's usual order; some are left out, as Okta does.
pub(super) fn targets(
    random: &mut ChaCha8Rng,
    subject: Subject,
    instance: &Instance,
    user: &Person,
    groups: &[Group],
    change: Option<ChangeDetails>,
) -> Option<Vec<Entity>> {
    let mut targets = match subject {
        Subject::AppUser => vec![app_user(instance, user), app_instance(instance, None), user.entity()],
        Subject::Group => vec![app_instance(instance, None), user_group(one_of(random, groups))],
        Subject::Instance | Subject::Label => vec![app_instance(instance, change)],
        Subject::SignIn => return None,
    };
    match random.random_range(0..100) {
        0 => return None,
        1..3 => _ = targets.pop(),
        3..5 => _ = targets.remove(0),
        5..15 => targets.shuffle(random),
        _ => {}
    }
    Some(targets)
}

fn app_instance(instance: &Instance, change_details: Option<ChangeDetails>) -> Entity {
    Entity {
        id: instance.id.clone(),
        kind: "AppInstance",
        alternate_id: instance.label.clone(),
        display_name: instance.application.display_name.clone(),
        detail_entry: Some(DetailEntry { sign_on_mode_type: instance.application.sign_on_mode }),
        change_details,
    }
}

/// Returns a person's account in an application instance, which is always the same.
fn app_user(instance: &Instance, user: &Person) -> Entity {
    let account = Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{}/{}", instance.id, user.id).as_bytes()).as_u128();
    let alternate_id = match account % 20 {
        0 => "unknown".to_owned(),
        1..4 => user.login.split('@').next().unwrap_or_default().to_owned(),
        _ => user.login.clone(),
    };
    Entity {
        id: okta_id("0ua", account),
        kind: "AppUser",
        alternate_id,
        display_name: user.name(),
        detail_entry: None,
        change_details: None,
    }
}

fn user_group(group: &Group) -> Entity {
    Entity {
        id: group.id.clone(),
        kind: "UserGroup",
        alternate_id: "unknown".to_owned(),
        display_name: group.name.to_owned(),
        detail_entry: None,
        change_details: None,
    }
}
