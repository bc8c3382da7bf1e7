//! What the event history is asked, and in which order: what answers most first.

use aws_sdk_cloudtrail::types::LookupAttributeKey;
use compact_str::CompactString;
use jiff::{SignedDuration, Timestamp};
use pushwatch::arn::{Arn, partition_of};
use pushwatch::text::clean_cut;
use pushwatch::time::moved;

use crate::commands::investigate::answer::Question;
use crate::commands::investigate::call::Call;
use crate::commands::investigate::origin::TOKEN;
use crate::input::event_history::Lookup;

/// How long before a push most people and machines log in to the registry.
const JUST_BEFORE: SignedDuration = SignedDuration::from_mins(15);
/// What CloudTrail's clocks may differ by, and its seconds are cut.
const SLACK: SignedDuration = SignedDuration::from_mins(5);

/// What is looked for, and the question that it answers.
#[derive(Clone)]
pub struct Step {
    pub question: Question,
    /// `calls by the access key AKIA…`
    pub what: String,
    pub lookup: Lookup,
    /// If it shows all calls of a push's principal in its time: the push.
    pub of_principal_of: Option<CompactString>,
}

/// What is asked about a call.
pub struct Plan<'a> {
    call: &'a Call,
    key: Option<&'a CompactString>,
    user: Option<CompactString>,
    from: Timestamp,
}

impl<'a> Plan<'a> {
    pub fn of(call: &'a Call) -> Self {
        let start = call.session.start.unwrap_or(call.time);
        Self {
            call,
            key: call.session.access_key.as_ref(),
            user: user_name(call),
            from: moved(start.min(moved(call.time, -TOKEN)), -SLACK),
        }
    }

    fn step(
        question: Question,
        what: String,
        key: LookupAttributeKey,
        value: &str,
        from: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Step {
        Step {
            question,
            what,
            lookup: Lookup {
                key,
                value: value.to_owned(),
                from,
                until,
            },
            of_principal_of: None,
        }
    }

    /// In the push's region, in this order.
    pub fn here(&self) -> Vec<Step> {
        let time = self.call.time;
        let of_principal = |question, from, until| {
            let step = self.by_user(question, Some(from), until)?;
            Some(Step {
                of_principal_of: Some(self.call.event_id.clone()),
                ..step
            })
        };
        let just_before = of_principal(Question::From, moved(time, -JUST_BEFORE), Some(time));
        let rest = [
            of_principal(Question::From, self.from, Some(time)),
            of_principal(Question::Calls, time, None),
        ];
        let steps = just_before.into_iter().chain(self.issuing());
        let steps = steps.chain(self.by_key()).chain(self.pushes());
        steps.chain(rest.into_iter().flatten()).collect()
    }

    /// In the region of global services.
    pub fn global(&self) -> Vec<Step> {
        let steps = self.issuing().into_iter().chain(self.by_key());
        steps.chain(self.sign_in()).collect()
    }

    /// What gave the credentials out lists their access key among its resources.
    pub fn issuing(&self) -> Option<Step> {
        let key = self.key?;
        Some(Self::issuing_key(key, self.call.time))
    }

    fn issuing_key(key: &str, until: Timestamp) -> Step {
        let what = format!("calls that gave out the access key {}", clean_cut(key, 40));
        let name = LookupAttributeKey::ResourceName;
        Self::step(Question::IssuedBy, what, name, key, None, Some(until))
    }

    fn by_key(&self) -> Option<Step> {
        Some(self.by_this_key(self.key?))
    }

    fn by_this_key(&self, key: &str) -> Step {
        let what = format!("calls by the access key {}", clean_cut(key, 40));
        let name = LookupAttributeKey::AccessKeyId;
        Self::step(Question::Calls, what, name, key, Some(self.from), None)
    }

    /// Of another key of the same session.
    pub fn of_key(&self, key: &str) -> [Step; 2] {
        [
            Self::issuing_key(key, self.call.time),
            self.by_this_key(key),
        ]
    }

    fn by_user(
        &self,
        question: Question,
        from: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Option<Step> {
        let user = self.user.as_deref()?;
        let what = format!("calls by {}", clean_cut(user, 80));
        let name = LookupAttributeKey::Username;
        Some(Self::step(question, what, name, user, from, until))
    }

    /// Where people sign in to the console, and federated sessions are minted.
    pub fn sign_in(&self) -> Option<Step> {
        // An identity provider has no calls in CloudTrail.
        if matches!(
            self.call.identity.kind.as_deref(),
            Some("WebIdentityUser" | "SAMLUser")
        ) {
            return None;
        }
        self.by_user(Question::IssuedBy, Some(self.from), Some(self.call.time))
    }

    /// All pushes of the region, before this one and after it. By the repository, its pulls
    /// would come too, which are far more.
    fn pushes(&self) -> [Step; 2] {
        let time = self.call.time;
        let of = |what: &str, from, until| {
            let name = LookupAttributeKey::EventName;
            Self::step(
                Question::Image,
                what.to_owned(),
                name,
                "PutImage",
                from,
                until,
            )
        };
        [
            of("pushes before this one", None, Some(time)),
            of("pushes after this one", Some(time), None),
        ]
    }
}

/// The region in whose CloudTrail the calls of STS's global endpoint, of sign-in and of IAM
/// are.
pub fn global_region(region: &str) -> &'static str {
    match partition_of(region) {
        "aws-cn" => "cn-north-1",
        "aws-us-gov" => "us-gov-west-1",
        "aws-iso" => "us-iso-east-1",
        "aws-iso-b" => "us-isob-east-1",
        "aws-iso-e" => "eu-isoe-west-1",
        "aws-iso-f" => "us-isof-south-1",
        "aws-eusc" => "eusc-de-east-1",
        _ => "us-east-1",
    }
}

/// What `Username` is of a call: a user's name, or the name of a role's session.
fn user_name(call: &Call) -> Option<CompactString> {
    let identity = &call.identity;
    if let Some(name) = &identity.user_name {
        return Some(name.clone());
    }
    if identity.kind.as_deref() == Some("Root") {
        return Some("root".into());
    }
    let arn = identity.arn.as_deref().and_then(Arn::parse)?;
    let name = match arn.assumed_role() {
        Some((_, session)) => session?,
        None => arn.name(),
    };
    (!name.is_empty()).then(|| name.into())
}
