//! The commands of a finding, with what an investigation found filled in.
//!
//! As in `remediation`, a value gets into a command only if it has the shape that AWS gives
//! it.

pub use super::remediation::delete_command;

use super::RenderContext;
use super::defang::shell_word;
use super::remediation::{
    Step, against_the_credentials, against_the_delegation, image, is_account, is_digest, is_region,
    name_of, uploaders_command,
};
use crate::arn::Arn;
use crate::finding::Finding;

/// Something to do: why, and the command if there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Why, or what to do by hand.
    pub why: String,
    /// What to paste.
    pub command: Option<String>,
}

/// How the credentials of the push lose their power, as its finding says it.
#[must_use]
pub fn of_credentials(finding: &Finding) -> Vec<Response> {
    let mut responses = Vec::new();
    for step in against_the_credentials(finding) {
        match (step, responses.last_mut()) {
            (Step::Words(why), _) => responses.push(Response { why, command: None }),
            (Step::Whole(line), Some(last)) => last.command = Some(line),
            (Step::Whole(_), None) => {}
        }
    }
    responses
}

/// How access that was delegated ends, if the push came by a delegation.
#[must_use]
pub fn of_delegation(finding: &Finding) -> Option<Response> {
    match against_the_delegation(finding)? {
        Step::Words(why) | Step::Whole(why) => Some(Response { why, command: None }),
    }
}

/// Disables a user's own access key.
#[must_use]
pub fn disable_key(user: &str, key: &str) -> Option<String> {
    let user = shell_word(name_of(user)?)?;
    let is_key = (16..=128).contains(&key.len())
        && key.starts_with("AKIA")
        && key
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    is_key.then(|| {
        format!(
            "aws iam update-access-key --user-name {user} --access-key-id {key} --status Inactive"
        )
    })
}

/// Takes all power from the sessions that a role has until now, as the console's "Revoke
/// sessions" does.
#[must_use]
pub fn revoke_sessions(role: &str) -> Option<String> {
    let role = shell_word(name_of(role)?)?;
    let policy = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"DateLessThan":{"aws:TokenIssueTime":"'"$(date -u +%Y-%m-%dT%H:%M:%SZ)"'"}}}]}"#;
    Some(format!(
        "aws iam put-role-policy --role-name {role} --policy-name AWSRevokeOlderSessions \
         --policy-document '{policy}'"
    ))
}

/// Stops a task of ECS.
#[must_use]
pub fn stop_task(region: &str, cluster: &str, task: &str) -> Option<String> {
    let of_ecs = |text: &str, kind: &str| {
        let arn = Arn::parse(text)?;
        let path = arn.resource.strip_prefix(kind)?;
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"/_-".contains(&byte);
        let is_sound = arn.service == "ecs" && !path.is_empty() && path.bytes().all(allowed);
        let rest_is_sound = is_account(arn.account) && is_region(arn.region);
        (is_sound && rest_is_sound && arn.partition.starts_with("aws")).then_some(())?;
        shell_word(text)
    };
    let cluster = of_ecs(cluster, "cluster/")?;
    let task = of_ecs(task, "task/")?;
    is_region(region).then(|| {
        format!(
            "aws ecs stop-task --region {region} --cluster {cluster} --task {task} --reason \
             'its image is under investigation'"
        )
    })
}

/// Finds what runs one of these digests in a cluster of Kubernetes.
#[must_use]
pub fn find_pods<'a>(digests: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let digests = digests.into_iter().filter(|digest| is_digest(digest));
    let digests: Vec<_> = digests.map(|digest| format!(" -e {digest}")).collect();
    (!digests.is_empty()).then(|| {
        format!(
            "kubectl get pods --all-namespaces -o jsonpath='{{range .items[*]}}\
             {{.metadata.namespace}}{{\"/\"}}{{.metadata.name}}{{\" \"}}\
             {{.status.initContainerStatuses[*].imageID}}{{\" \"}}\
             {{.status.containerStatuses[*].imageID}}{{\"\\n\"}}{{end}}' | grep -F{}",
            digests.concat()
        )
    })
}

/// Has every later push of the uploader told as critical.
#[must_use]
pub fn revoke_uploader(finding: &Finding, context: &RenderContext) -> Option<String> {
    uploaders_command(finding, "revoke", context)
}

/// Gives the tag of the push to another digest.
#[must_use]
pub fn put_tag_back(finding: &Finding, digest: &str) -> Option<String> {
    let (region, registry, repository, _) = image(finding)?;
    let service = finding.push.event_source.as_deref()?;
    let tag = finding.push.tag.as_deref().filter(|tag| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        (1..=128).contains(&tag.len()) && !tag.starts_with(['-', '.']) && tag.bytes().all(allowed)
    })?;
    // ECR Public gives no manifest out.
    if service != "ecr.amazonaws.com" || !is_digest(digest) {
        return None;
    }
    let of = format!(
        "--region {region} --registry-id {registry} --repository-name {}",
        shell_word(repository)?
    );
    Some(format!(
        "MANIFEST=\"$(aws ecr batch-get-image {of} --image-ids imageDigest={digest} --query \
         'images[0].imageManifest' --output text)\" && aws ecr put-image {of} --image-tag {} \
         --image-manifest \"$MANIFEST\" --image-digest {digest}",
        shell_word(tag)?
    ))
}

#[cfg(test)]
mod tests {
    use super::{disable_key, find_pods, revoke_sessions, stop_task};

    const CLUSTER: &str = "arn:aws:ecs:eu-central-1:111122223333:cluster/web";
    const TASK: &str = "arn:aws:ecs:eu-central-1:111122223333:task/web/0cc43cdb3bee4407";

    #[test]
    fn only_what_has_the_shape_of_aws_gets_into_a_command() {
        assert!(disable_key("mary", "AKIAIOSFODNN7EXAMPLE").is_some());
        assert!(stop_task("eu-central-1", CLUSTER, TASK).is_some());
        for hostile in ["", "$(id)", "a;b", "-x", "a\nb", "`id`", "a'b", "x y"] {
            assert_eq!(disable_key(hostile, "AKIAIOSFODNN7EXAMPLE"), None);
            assert_eq!(disable_key("mary", hostile), None);
            assert_eq!(revoke_sessions(hostile), None);
            assert_eq!(stop_task(hostile, CLUSTER, TASK), None);
            assert_eq!(
                stop_task("eu-central-1", CLUSTER, &format!("{TASK}{hostile} ")),
                None
            );
            assert_eq!(find_pods([hostile]), None);
        }
    }

    #[test]
    fn a_shell_sees_the_policy_as_json_but_for_the_time() {
        let command = revoke_sessions("deploy").unwrap();
        let words = shlex::split(&command).unwrap();
        let policy = words.last().unwrap();
        let policy: serde_json::Value = serde_json::from_str(policy).unwrap();
        assert_eq!(
            policy["Statement"][0]["Condition"]["DateLessThan"]["aws:TokenIssueTime"],
            "$(date -u +%Y-%m-%dT%H:%M:%SZ)"
        );
    }
}
