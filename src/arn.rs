//! Amazon Resource Names, as far as PushWatch looks into them.

/// The parts of `arn:partition:service:region:account:resource`, of any
/// partition (`aws`, `aws-cn`, `aws-us-gov`). The resource keeps its colons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arn<'a> {
    /// `aws`, `aws-cn`, `aws-us-gov`
    pub partition: &'a str,
    /// `iam`, `sts`, `ecr`
    pub service: &'a str,
    /// `eu-central-1`; empty where the service has no regions.
    pub region: &'a str,
    /// Twelve digits, or `aws`; empty where the service has no accounts.
    pub account: &'a str,
    /// What follows the account: `user/test`, `role/path/name`, `root`
    pub resource: &'a str,
}

impl<'a> Arn<'a> {
    /// Splits an ARN; `None` when it lacks a part.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.splitn(6, ':');
        if parts.next() != Some("arn") {
            return None;
        }
        let partition = parts.next()?;
        let service = parts.next()?;
        let region = parts.next()?;
        let account = parts.next()?;
        let resource = parts.next()?;
        Some(Self {
            partition,
            service,
            region,
            account,
            resource,
        })
    }

    /// The resource's last path segment: `user/team/test` is called `test`.
    #[must_use]
    pub fn name(&self) -> &'a str {
        match self.resource.rsplit_once('/') {
            Some((_, name)) if !name.is_empty() => name,
            _ => self.resource,
        }
    }

    /// Role and session of `assumed-role/<role>/<session>`. Such an ARN has no
    /// path, unlike the role's own.
    #[must_use]
    pub fn assumed_role(&self) -> Option<(&'a str, Option<&'a str>)> {
        let rest = self.resource.strip_prefix("assumed-role/")?;
        if self.service != "sts" {
            return None;
        }
        match rest.split_once('/') {
            Some((role, session)) => Some((role, Some(session).filter(|name| !name.is_empty()))),
            None => Some((rest, None)),
        }
    }
}

/// The partition of a region, by its name's first part (general knowledge; only
/// `aws`, `aws-cn` and `aws-us-gov` occur in records that were seen).
#[must_use]
pub fn partition_of(region: &str) -> &'static str {
    const PARTITIONS: [(&str, &str); 7] = [
        ("cn-", "aws-cn"),
        ("us-gov-", "aws-us-gov"),
        ("us-iso-", "aws-iso"),
        ("us-isob-", "aws-iso-b"),
        ("eu-isoe-", "aws-iso-e"),
        ("us-isof-", "aws-iso-f"),
        ("eusc-", "aws-eusc"),
    ];
    let partition = PARTITIONS
        .into_iter()
        .find(|(prefix, _)| region.starts_with(prefix));
    partition.map_or("aws", |(_, partition)| partition)
}

#[cfg(test)]
mod tests {
    use super::{Arn, partition_of};

    #[test]
    fn a_regions_name_says_its_partition() {
        for (region, partition) in [
            ("eu-central-1", "aws"),
            ("us-east-1", "aws"),
            ("cn-north-1", "aws-cn"),
            ("us-gov-west-1", "aws-us-gov"),
            ("us-iso-east-1", "aws-iso"),
            ("us-isob-east-1", "aws-iso-b"),
            ("eusc-de-east-1", "aws-eusc"),
        ] {
            assert_eq!(partition_of(region), partition);
        }
    }

    #[test]
    fn the_resource_keeps_its_colons_and_the_name_is_its_last_segment() {
        let arn = Arn::parse("arn:aws-cn:iam::111122223333:role/x:role/ci").unwrap();
        assert_eq!(arn.partition, "aws-cn");
        assert_eq!(arn.resource, "role/x:role/ci");
        assert_eq!(arn.name(), "ci");
    }

    #[test]
    fn an_assumed_role_has_a_role_and_perhaps_a_session() {
        let of = |text| Arn::parse(text).unwrap().assumed_role();
        assert_eq!(
            of("arn:aws:sts::111122223333:assumed-role/ci/run-1"),
            Some(("ci", Some("run-1")))
        );
        assert_eq!(
            of("arn:aws:sts::111122223333:assumed-role/ci"),
            Some(("ci", None))
        );
        assert_eq!(of("arn:aws:iam::111122223333:role/ci"), None);
    }

    #[test]
    fn what_lacks_a_part_is_no_arn() {
        assert_eq!(Arn::parse("arn:aws:iam::111122223333"), None);
        assert_eq!(Arn::parse("urn:aws:iam::111122223333:user/test"), None);
        assert_eq!(Arn::parse(""), None);
    }
}
