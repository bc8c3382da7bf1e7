//! What runs an image: what Inspector saw, tasks of ECS, and functions of Lambda.

use aws_sdk_ecs::types::Container;
use aws_sdk_inspector2::types::{
    ClusterDetails, ClusterForImageFilterCriteria, ClusterInformation, ClusterMetadata,
};
use aws_sdk_lambda::types::{FunctionVersion, PackageType};
use compact_str::CompactString;
use pushwatch::aws::AwsError;
use pushwatch::render::safe;

use super::answer::{Workload, WorkloadKind};
use super::registry::Registry;
use super::sdk::{timestamp, why};
use crate::deployment::Session;
use crate::ui::{Spinner, counted};

/// Its rights begin with `inspector2`.
const INSPECTOR: &str = "Inspector2 GetClustersForImage";
const LIST_CLUSTERS: &str = "ECS ListClusters";
const LIST_TASKS: &str = "ECS ListTasks";
const DESCRIBE_TASKS: &str = "ECS DescribeTasks";
const LIST_FUNCTIONS: &str = "Lambda ListFunctions";
const GET_FUNCTION: &str = "Lambda GetFunction";
/// As many as ECS lists and describes in a call.
const TASKS_AT_ONCE: i32 = 100;
/// As many as Lambda lists in a call.
const FUNCTIONS_AT_ONCE: i32 = 50;
const MOST_TASKS: usize = 5_000;
/// Each is a call.
const MOST_FUNCTIONS: usize = 500;

/// What runs one of some digests, as far as it was found.
pub struct Workloads<'a> {
    session: &'a Session,
    region: &'a str,
    digests: &'a [CompactString],
    thorough: bool,
    pub found: Vec<Workload>,
    pub unknown: Vec<String>,
    /// What was looked at, in words.
    looked_at: Vec<String>,
    /// Whether Inspector answered.
    inspector_knows: bool,
    /// How a container's image of the repository ends its name.
    image_path: Option<String>,
}

impl<'a> Workloads<'a> {
    pub fn of(
        session: &'a Session,
        region: &'a str,
        digests: &'a [CompactString],
        thorough: bool,
    ) -> Self {
        Self {
            session,
            region,
            digests,
            thorough,
            found: Vec::new(),
            unknown: Vec::new(),
            looked_at: Vec::new(),
            inspector_knows: false,
            image_path: None,
        }
    }

    /// Asks Inspector, where it scans the registry: it knows task definitions of ECS and
    /// workloads of EKS.
    pub async fn ask_inspector(&mut self, registry: &Registry) {
        self.image_path = Some(registry.image_path());
        let _waiting = Spinner::on("asking Inspector where the image runs", false);
        match registry.has_enhanced_scanning().await {
            Ok(true) => {}
            Ok(false) => return,
            Err(fault) => {
                let why = why(&fault);
                self.unknown.push(format!(
                    "whether Inspector knows where the image runs: {why}"
                ));
                return;
            }
        }
        self.inspector_knows = true;
        for digest in self.digests {
            let Some(id) = registry.inspector_id(digest) else {
                continue;
            };
            if let Err(fault) = self.clusters_of(digest, &id).await {
                self.inspector_knows = false;
                self.unknown.push(format!(
                    "what Inspector knows of where the image runs: {}",
                    why(&fault)
                ));
                return;
            }
        }
    }

    async fn clusters_of(&mut self, digest: &CompactString, id: &str) -> Result<(), AwsError> {
        let filter = ClusterForImageFilterCriteria::builder()
            .resource_id(id)
            .build();
        let request = self
            .session
            .inspector(self.region)
            .get_clusters_for_image()
            .set_filter(filter.ok());
        let mut pages = request.into_paginator().send();
        while let Some(page) = pages.next().await {
            let page =
                page.map_err(|error| AwsError::new(INSPECTOR, format!("image {id}"), error))?;
            for cluster in page.cluster() {
                self.found
                    .extend(workloads_of(cluster, self.region, digest));
            }
        }
        Ok(())
    }

    /// Asks ECS for its running tasks, by the digest of their containers.
    pub async fn ask_ecs(&mut self) {
        let _waiting = Spinner::on("asking ECS for running tasks", false);
        let client = self.session.ecs(self.region);
        let clusters = match clusters(&client).await {
            Ok(clusters) => clusters,
            Err(fault) => {
                self.unknown.push(format!("tasks of ECS: {}", why(&fault)));
                return;
            }
        };
        let mut seen = 0;
        // A right may be missing for some clusters only.
        let mut faults: Vec<(String, usize)> = Vec::new();
        let mut without_digest = 0;
        for cluster in &clusters {
            if seen >= MOST_TASKS && !self.thorough {
                self.unknown.push(format!(
                    "tasks of ECS: {seen} were looked at, those of the clusters from {} on were \
                     not; --thorough looks at all",
                    safe(cluster, 200)
                ));
                break;
            }
            match self.tasks(&client, cluster, &mut seen).await {
                Ok(count) => without_digest += count,
                Err(fault) => {
                    let why = why(&fault);
                    match faults.iter_mut().find(|(said, _)| *said == why) {
                        Some((_, count)) => *count += 1,
                        None => faults.push((why, 1)),
                    }
                }
            }
        }
        self.looked_at
            .push(format!("{} of ECS", counted(seen, "running task")));
        for (why, count) in faults {
            let clusters = counted(count, "cluster");
            self.unknown
                .push(format!("tasks of ECS in {clusters}: {why}"));
        }
        if without_digest > 0 {
            self.unknown.push(format!(
                "{} of ECS run an image of this repository, and do not say which digest",
                counted(without_digest, "container")
            ));
        }
    }

    /// Looks at the running tasks of a cluster; how many containers may run the image, and
    /// do not say which digest.
    async fn tasks(
        &mut self,
        client: &aws_sdk_ecs::Client,
        cluster: &str,
        seen: &mut usize,
    ) -> Result<usize, AwsError> {
        let target = || format!("cluster {}", safe(cluster, 200));
        let mut without_digest = 0;
        let request = client.list_tasks().cluster(cluster);
        let mut pages = request.max_results(TASKS_AT_ONCE).into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| AwsError::new(LIST_TASKS, target(), error))?;
            let arns = page.task_arns.unwrap_or_default();
            if arns.is_empty() {
                continue;
            }
            *seen += arns.len();
            let described = client.describe_tasks().cluster(cluster);
            let described = described.set_tasks(Some(arns)).send().await;
            let described =
                described.map_err(|error| AwsError::new(DESCRIBE_TASKS, target(), error))?;
            for task in described.tasks() {
                for container in task.containers() {
                    match digest_of(container) {
                        Some(digest) if self.digests.iter().any(|own| own == digest) => {
                            self.found.push(Workload {
                                kind: WorkloadKind::EcsTask,
                                name: task.task_arn().unwrap_or_default().into(),
                                cluster: Some(cluster.into()),
                                region: Some(self.region.into()),
                                digest: Some(digest.into()),
                                running: None,
                                last_in_use: None,
                                proof: DESCRIBE_TASKS,
                            });
                        }
                        None if self.is_of_repository(container) => without_digest += 1,
                        Some(_) | None => {}
                    }
                }
            }
        }
        Ok(without_digest)
    }

    fn is_of_repository(&self, container: &Container) -> bool {
        let (Some(image), Some(path)) = (container.image(), &self.image_path) else {
            return false;
        };
        let (host, rest) = image.split_once('/').unwrap_or(("", image));
        let name = rest.split([':', '@']).next().unwrap_or_default();
        host.contains(".dkr.ecr") && path.strip_prefix('/') == Some(name)
    }

    /// Asks Lambda for its functions that are images. Of what it answers, variables among
    /// it, nothing is kept but the image.
    pub async fn ask_lambda(&mut self) {
        let _waiting = Spinner::on("asking Lambda for functions that are images", false);
        if let Err(fault) = self.functions().await {
            self.unknown
                .push(format!("functions of Lambda: {}", why(&fault)));
        }
    }

    async fn functions(&mut self) -> Result<(), AwsError> {
        let client = self.session.lambda_in(self.region);
        let request = client
            .list_functions()
            .function_version(FunctionVersion::All)
            .max_items(FUNCTIONS_AT_ONCE);
        let target = format!("region {}", self.region);
        let mut pages = request.into_paginator().send();
        let mut seen = 0;
        while let Some(page) = pages.next().await {
            let page =
                page.map_err(|error| AwsError::new(LIST_FUNCTIONS, target.as_str(), error))?;
            let functions = page.functions.unwrap_or_default().into_iter();
            let images =
                functions.filter(|function| function.package_type == Some(PackageType::Image));
            for arn in images.filter_map(|function| function.function_arn) {
                if seen >= MOST_FUNCTIONS && !self.thorough {
                    self.looked_at
                        .push(format!("{} of Lambda", counted(seen, "function")));
                    self.unknown.push(format!(
                        "functions of Lambda: {seen} that are images were looked at, and there \
                         are more; --thorough looks at all"
                    ));
                    return Ok(());
                }
                seen += 1;
                let asked = client.get_function().function_name(&arn).send().await;
                let function = match asked {
                    Ok(function) => function,
                    Err(error) => {
                        let target = format!("function {}", safe(&arn, 200));
                        let fault = AwsError::new(GET_FUNCTION, target, error);
                        match fault.code.as_deref() {
                            // It was deleted meanwhile.
                            Some("ResourceNotFoundException") => continue,
                            _ => return Err(fault),
                        }
                    }
                };
                let code = function.code.as_ref();
                let uri = code.and_then(|code| code.resolved_image_uri().or(code.image_uri()));
                let digest = uri.and_then(|uri| Some(uri.split_once('@')?.1));
                if let Some(digest) = digest
                    && self.digests.iter().any(|own| own == digest)
                {
                    self.found.push(Workload {
                        kind: WorkloadKind::LambdaFunction,
                        name: arn.as_str().into(),
                        cluster: None,
                        region: Some(self.region.into()),
                        digest: Some(digest.into()),
                        running: None,
                        last_in_use: None,
                        proof: GET_FUNCTION,
                    });
                }
            }
        }
        self.looked_at
            .push(format!("{} of Lambda", counted(seen, "function")));
        Ok(())
    }

    /// What was not asked, so that nothing found is not taken for "runs nowhere".
    pub fn say_what_was_not_asked(&mut self, lambda: bool) {
        if !self.inspector_knows {
            self.unknown.push(
                "EKS was not asked: the kubectl command among what to do finds it there".to_owned(),
            );
        }
        if !lambda {
            self.unknown.push(
                "functions of Lambda were not asked: --lambda does, and sees their environment \
                 variables, too"
                    .to_owned(),
            );
        }
        if self.inspector_knows {
            self.looked_at.push("what Inspector knows".to_owned());
        }
        let looked_at = match self.looked_at.join(", ") {
            nothing if nothing.is_empty() => "nothing".to_owned(),
            words => words,
        };
        self.unknown.push(format!(
            "only {} of your account was asked ({looked_at}): other regions and accounts may run \
             the image, and so may what is no service of AWS",
            self.region
        ));
    }
}

async fn clusters(client: &aws_sdk_ecs::Client) -> Result<Vec<String>, AwsError> {
    let mut clusters = Vec::new();
    let mut pages = client.list_clusters().into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| AwsError::new(LIST_CLUSTERS, "clusters", error))?;
        clusters.extend(page.cluster_arns.unwrap_or_default());
    }
    Ok(clusters)
}

/// The digest that a container runs; that of its image's name, where ECS has none.
fn digest_of(container: &Container) -> Option<&str> {
    let named = || Some(container.image()?.split_once('@')?.1);
    container.image_digest().or_else(named)
}

fn workloads_of(
    cluster: &ClusterInformation,
    region: &str,
    digest: &CompactString,
) -> Vec<Workload> {
    let workload = |details: &ClusterDetails, kind, name: String| Workload {
        kind,
        name: name.into(),
        cluster: Some(cluster.cluster_arn().into()),
        region: Some(region.into()),
        digest: Some(digest.clone()),
        running: details
            .running_unit_count()
            .and_then(|count| u64::try_from(count).ok()),
        last_in_use: timestamp(details.last_in_use()),
        proof: "Inspector GetClustersForImage",
    };
    let mut found = Vec::new();
    for details in cluster.cluster_details() {
        match details.cluster_metadata() {
            Some(ClusterMetadata::AwsEcsMetadataDetails(ecs)) => {
                let name = ecs.task_definition_arn().to_owned();
                found.push(workload(details, WorkloadKind::EcsTaskDefinition, name));
            }
            Some(ClusterMetadata::AwsEksMetadataDetails(eks)) => {
                let namespace = eks.namespace().unwrap_or_default();
                for named in eks.workload_info_list() {
                    let name = format!("{namespace}/{}/{}", named.r#type(), named.name());
                    found.push(workload(details, WorkloadKind::EksWorkload, name));
                }
            }
            _ => {}
        }
    }
    found
}
