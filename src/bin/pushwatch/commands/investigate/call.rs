//! A call as CloudTrail recorded it, as far as an investigation looks into it.

use std::net::IpAddr;

use compact_str::CompactString;
use jiff::Timestamp;
use pushwatch::event::{Object, UserIdentity, error_code, repository_resource};
use pushwatch::time;

/// One record. What CloudTrail is silent on is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Call {
    pub event_id: CompactString,
    pub shared_event_id: Option<CompactString>,
    pub time: Timestamp,
    /// `ecr.amazonaws.com`
    pub source: CompactString,
    /// `PutImage`
    pub name: CompactString,
    pub region: Option<CompactString>,
    /// The account whose CloudTrail has the record.
    pub account: Option<CompactString>,
    pub source_ip: Option<CompactString>,
    pub user_agent: Option<CompactString>,
    pub error_code: Option<CompactString>,
    pub read_only: Option<bool>,
    pub identity: UserIdentity,
    pub session: Session,
    /// The ARNs or names of `resources`, as far as CloudTrail or the event history has them.
    pub resources: Vec<CompactString>,
    /// The key that it gave out: `responseElements.credentials.accessKeyId`, or that of
    /// `CreateAccessKey`.
    pub issued_key: Option<CompactString>,
    /// `assumedRoleId` or `federatedUserId`: whose session it gave out.
    pub issued_principal: Option<CompactString>,
    pub request: Request,
    pub image: Option<PushedImage>,
    /// The text of the record, if it is a push.
    pub record: Option<Box<str>>,
}

/// What a record says of the credentials that signed the call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Session {
    pub access_key: Option<CompactString>,
    /// `creationDate`
    pub start: Option<Timestamp>,
    pub mfa: Option<bool>,
    pub source_identity: Option<CompactString>,
    /// The provider of a web identity or SAML session.
    pub provider: Option<CompactString>,
    pub from_console: bool,
    /// The instance metadata service gave the credentials out.
    pub of_instance: bool,
    /// What an AWS service issued the credentials to.
    pub issued_to: Option<CompactString>,
}

/// What was asked for, where an answer needs it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    pub role_arn: Option<CompactString>,
    pub session_name: Option<CompactString>,
    pub source_identity: Option<CompactString>,
    /// The device of multi-factor authentication.
    pub serial_number: Option<CompactString>,
    /// Of the registry.
    pub repository: Option<CompactString>,
    /// Of IAM.
    pub user_name: Option<CompactString>,
}

/// What a `PutImage` stored, or was to store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PushedImage {
    pub registry_id: Option<CompactString>,
    pub repository: Option<CompactString>,
    pub tag: Option<CompactString>,
    pub digest: Option<CompactString>,
    pub media_type: Option<CompactString>,
    /// The manifests of an index; none if the record does not show its manifest.
    pub platforms: Option<Vec<CompactString>>,
    /// The image that a signature or the like is about.
    pub about: Option<CompactString>,
}

impl Call {
    /// Reads a record, or the record in an event of EventBridge; none if it is neither, or
    /// has no id or time.
    pub fn read(json: &str) -> Option<Self> {
        let event = Object::parse(json)?;
        let detail = event.object("detail");
        let record = if detail.has("eventName") {
            &detail
        } else {
            &event
        };
        let mut call = Self::of(record)?;
        call.record = call.is_push().then(|| json.into());
        Some(call)
    }

    fn of(record: &Object<'_>) -> Option<Self> {
        let identity = record.object("userIdentity");
        let request = record.object("requestParameters");
        let response = record.object("responseElements");
        let name = record.text("eventName")?;
        let user = response
            .object("assumedRoleUser")
            .text("assumedRoleId")
            .or_else(|| response.object("federatedUser").text("federatedUserId"));
        let resources = record.objects("resources");
        let resources = resources.filter_map(|resource| {
            let arn = resource.text("ARN").or_else(|| resource.text("arn"));
            arn.or_else(|| resource.text("resourceName"))
        });
        Some(Self {
            event_id: record.text("eventID")?,
            shared_event_id: record.text("sharedEventID"),
            time: time::parse(&record.text("eventTime")?)?,
            source: record.text("eventSource").unwrap_or_default(),
            region: record.text("awsRegion"),
            account: record.text("recipientAccountId"),
            source_ip: record.text("sourceIPAddress"),
            user_agent: record.text("userAgent"),
            error_code: error_code(record).or_else(|| {
                let login = response.text("ConsoleLogin");
                login.filter(|outcome| outcome != "Success")
            }),
            read_only: record.flag("readOnly"),
            identity: UserIdentity::read(&identity),
            session: Session::read(record, &identity),
            resources: resources.collect(),
            issued_key: response
                .object("credentials")
                .text("accessKeyId")
                .or_else(|| response.object("accessKey").text("accessKeyId")),
            issued_principal: user,
            request: Request {
                role_arn: request.text("roleArn"),
                session_name: request.text("roleSessionName"),
                source_identity: request.text("sourceIdentity"),
                serial_number: request.text("serialNumber"),
                repository: request.text("repositoryName"),
                user_name: request.text("userName"),
            },
            record: None,
            image: (name == "PutImage").then(|| PushedImage::read(record, &request, &response)),
            name,
        })
    }

    /// The address that it came from, if it is one: `AWS Internal` and the names of
    /// services are none.
    pub fn address(&self) -> Option<&CompactString> {
        let address = self.source_ip.as_ref()?;
        address.parse::<IpAddr>().is_ok().then_some(address)
    }

    pub fn failed(&self) -> bool {
        self.error_code.is_some()
    }

    /// Whether it is a push.
    pub fn is_push(&self) -> bool {
        self.name == "PutImage"
            && matches!(
                self.source.as_str(),
                "ecr.amazonaws.com" | "ecr-public.amazonaws.com"
            )
    }

    /// Whether it asked for the token that `docker login` needs.
    pub fn is_login(&self) -> bool {
        self.name == "GetAuthorizationToken"
    }
}

impl Session {
    fn read(record: &Object<'_>, identity: &Object<'_>) -> Self {
        let session = identity.object("sessionContext");
        let attributes = session.object("attributes");
        let web = session.object("webIdFederationData");
        Self {
            access_key: identity.text("accessKeyId"),
            start: attributes
                .text("creationDate")
                .and_then(|text| time::parse(&text)),
            mfa: attributes.flag("mfaAuthenticated").or_else(|| {
                let used = record.object("additionalEventData").text("MFAUsed")?;
                Some(used.eq_ignore_ascii_case("yes"))
            }),
            source_identity: session.text("sourceIdentity"),
            provider: web
                .text("federatedProvider")
                .or_else(|| identity.text("identityProvider")),
            from_console: record.flag("sessionCredentialFromConsole") == Some(true),
            of_instance: session.text("ec2RoleDelivery").is_some(),
            issued_to: identity.object("inScopeOf").text("credentialsIssuedTo"),
        }
    }
}

impl PushedImage {
    fn read(record: &Object<'_>, request: &Object<'_>, response: &Object<'_>) -> Self {
        let image = response.object("image");
        let id = image.object("imageId");
        let manifest = request
            .text("imageManifest")
            .or_else(|| image.text("imageManifest"));
        let (account, repository) = repository_resource(record).unzip();
        let manifest = manifest.as_deref().and_then(Object::parse);
        Self {
            registry_id: request
                .text("registryId")
                .or_else(|| image.text("registryId"))
                .or(account),
            repository: request
                .text("repositoryName")
                .or_else(|| image.text("repositoryName"))
                .or(repository),
            tag: request.text("imageTag").or_else(|| id.text("imageTag")),
            digest: id
                .text("imageDigest")
                .or_else(|| request.text("imageDigest")),
            media_type: request
                .text("imageManifestMediaType")
                .or_else(|| image.text("imageManifestMediaType")),
            platforms: manifest.as_ref().map(|manifest| {
                let digests = manifest.objects("manifests");
                let digests = digests.filter_map(|platform| platform.text("digest"));
                digests.collect()
            }),
            about: manifest.and_then(|manifest| manifest.object("subject").text("digest")),
        }
    }
}
