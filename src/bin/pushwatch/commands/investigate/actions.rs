//! What to do now: the commands of the finding, with what was found filled in.

use std::collections::BTreeSet;

use compact_str::CompactString;
use pushwatch::arn::Arn;
use pushwatch::finding::Finding;
use pushwatch::render::RenderContext;
use pushwatch::render::response::{self, Response};
use pushwatch::render::safe;

use super::answer::{Action, Image, Workload, WorkloadKind};
use super::call::Call;
use super::session::is_long_lived;

/// What was found.
pub struct Found<'a> {
    pub finding: &'a Finding,
    /// The push, the call that got its token, and those that gave their credentials out.
    pub chain: &'a [&'a Call],
    /// The other calls of the session.
    pub session: &'a [&'a Call],
    pub image: &'a Image,
    pub digests: &'a [CompactString],
    pub workloads: &'a [Workload],
    /// The deployment, if one is known.
    pub context: Option<&'a RenderContext>,
}

/// What to do, in the order in which to do it.
pub fn actions(found: &Found<'_>) -> Vec<Action> {
    let delegation = response::of_delegation(found.finding);
    let mut actions = keys(found);
    actions.extend(sessions(found));
    if actions.is_empty() {
        actions.extend(response::of_credentials(found.finding).into_iter().map(of));
    }
    actions.extend(delegation.map(of));
    let mut add = |why: String, command: Option<String>| {
        if command.is_some() {
            actions.push(Action { why, command });
        }
    };
    if !found.finding.push.failed() {
        for workload in found.workloads {
            let (region, cluster) = (workload.region.as_deref(), workload.cluster.as_deref());
            let stop = region.zip(cluster).and_then(|(region, cluster)| {
                let is_task = workload.kind == WorkloadKind::EcsTask;
                is_task.then(|| response::stop_task(region, cluster, &workload.name))?
            });
            add(
                "Stop the task that runs the image; a service starts it again until its task \
                 definition names another one"
                    .to_owned(),
                stop,
            );
        }
        add(
            "Find the pods that run it, in each EKS cluster".to_owned(),
            response::find_pods(found.digests.iter().map(CompactString::as_str)),
        );
        add(
            "Delete what was pushed, when nothing runs it and you need no copy".to_owned(),
            response::delete_command(found.finding),
        );
        let good = found.image.last_good_digest.as_deref();
        add(
            "Put the tag back to the last digest that was not pushed in this session".to_owned(),
            good.and_then(|digest| response::put_tag_back(found.finding, digest)),
        );
    }
    let revoke = found.context;
    add(
        "Have every later push of this uploader told as critical, with your reason for 'why'"
            .to_owned(),
        revoke.and_then(|context| response::revoke_uploader(found.finding, context)),
    );
    actions
}

fn of(response: Response) -> Action {
    Action {
        why: response.why,
        command: response.command,
    }
}

/// Users' own keys that were used, or made in the session.
fn keys(found: &Found<'_>) -> Vec<Action> {
    let mut seen = BTreeSet::new();
    let mut actions = Vec::new();
    let mut disable = |user: Option<&str>, key: Option<&str>, why: &str, account: Option<&str>| {
        let key = key.filter(|key| is_long_lived(Some(key)));
        let Some((user, key)) = user.zip(key) else {
            return;
        };
        if !seen.insert(key.to_owned()) {
            return;
        }
        if let Some(command) = response::disable_key(user, key) {
            let account = account.map(|id| format!(" (account {})", safe(id, 40)));
            actions.push(Action {
                why: format!("{why}{}", account.unwrap_or_default()),
                command: Some(command),
            });
        }
    };
    for call in found.chain {
        let identity = &call.identity;
        disable(
            identity.user_name.as_deref(),
            call.session.access_key.as_deref(),
            "Disable the user's own access key, from which the credentials came",
            identity.account_id.as_deref(),
        );
    }
    let made = found
        .session
        .iter()
        .filter(|call| call.name == "CreateAccessKey");
    for call in made {
        let own = call.identity.user_name.as_deref();
        disable(
            call.request.user_name.as_deref().or(own),
            call.issued_key.as_deref(),
            "Disable the access key that was made in the session",
            call.account.as_deref(),
        );
    }
    actions
}

/// Sessions of the roles on the way.
fn sessions(found: &Found<'_>) -> Vec<Action> {
    let mut seen = BTreeSet::new();
    let mut actions = Vec::new();
    let roles = found.chain.iter().filter_map(|call| {
        let identity = &call.identity;
        let of_a_role = identity.issuer_kind.as_deref() == Some("Role");
        identity.issuer_arn.as_deref().filter(|_| of_a_role)
    });
    for role in roles {
        let Some(arn) = Arn::parse(role) else {
            continue;
        };
        // AWS's own roles can't be changed.
        let is_of_aws = arn.resource.starts_with("role/aws-reserved/")
            || arn.resource.starts_with("role/aws-service-role/");
        if is_of_aws || !seen.insert(role) {
            continue;
        }
        if let Some(command) = response::revoke_sessions(arn.name()) {
            actions.push(Action {
                why: format!(
                    "Revoke the sessions that the role {} has until now (account {}); whoever \
                     may assume it can do so again: look at its trust policy",
                    safe(arn.name(), 64),
                    safe(arn.account, 40)
                ),
                command: Some(command),
            });
        }
    }
    let last = found.chain.first();
    let is_sso = last.is_some_and(|call| {
        let role = call.identity.issuer_arn.as_deref();
        role.is_some_and(|role| role.contains(":role/aws-reserved/sso.amazonaws.com/"))
    });
    // The commands above do not end those.
    if is_sso && !actions.is_empty() {
        actions.extend(response::of_credentials(found.finding).into_iter().map(of));
    }
    actions
}
