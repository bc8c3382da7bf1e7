//! The watch of a deployment: its tables remember, and its topic notifies people.

use pushwatch::arn::Arn;
use pushwatch::clock::SystemClock;
use pushwatch::notify::SnsNotifier;
use pushwatch::policy::Policy;
use pushwatch::render::{HttpsFormat, RenderContext};
use pushwatch::store::{DynamoStore, MOST_PER_MINUTE};
use pushwatch::watch::Watch;

use super::ReplayArgs;
use crate::deployment::{DeploymentError, Session};
use crate::error::CommandError;

/// The watch of the deployment that is named, and what its commands name. A stack has
/// settings; of tables that are named by themselves none are known.
///
/// # Errors
/// When the options name none, or it can't be reached.
pub async fn watch(
    args: &ReplayArgs,
) -> Result<(Watch<DynamoStore, SnsNotifier, SystemClock>, RenderContext), CommandError> {
    let tables = &args.tables;
    if args.save.is_some() || args.policy.known.is_some() {
        return Err(DeploymentError::TwoStores.into());
    }
    tables.check()?;
    let session = Session::open(tables.region.as_deref(), args.quiet).await?;
    let (names, settings) = session.names_and_settings(tables, &args.policy).await?;
    let topic = args.topic.as_ref().or(names.topic_arn.as_ref());
    let (Some(_), Some(topic)) = (&names.findings, topic) else {
        return Err(DeploymentError::Incomplete.into());
    };
    let settings = settings.map(|settings| settings.announce(args.quiet));
    let (set, https_format, findings_per_minute) = match settings {
        None => (Policy::default(), HttpsFormat::default(), MOST_PER_MINUTE),
        Some(set) => (set.policy, set.https_format, set.findings_per_minute),
    };
    let policy = args.policy.before(set)?;
    let context = RenderContext {
        stack: tables.stack.clone(),
        account: Arn::parse(topic).map(|arn| arn.account.to_owned()),
        ..session.render_context(&names, policy.absence_days)
    };
    let watch = Watch {
        store: session.store(&names),
        notifier: session.notifier(topic.clone(), context.clone(), https_format),
        clock: SystemClock,
        policy,
        findings_per_minute: Some(findings_per_minute),
    };
    Ok((watch, context))
}
