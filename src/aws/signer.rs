//! Signature Version 4, for the calls of the function.
//!
//! The SDK's own signer derives its key anew for each call, and hashes in portable
//! code: together a third of what a known push takes (benches/README.md). This one derives
//! the key once a day, and hashes by ring, which TLS brings along. It signs what AWS
//! demands and no other header; a test compares it with the SDK's.
//!
//! Source: "Create a signed AWS API request" in the IAM user guide.

use std::fmt;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use aws_credential_types::Credentials;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::auth::{
    AuthScheme, AuthSchemeEndpointConfig, AuthSchemeId, Sign,
};
use aws_smithy_runtime_api::client::identity::{Identity, SharedIdentityResolver};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::{GetIdentityResolver, RuntimeComponents};
use aws_smithy_types::config_bag::ConfigBag;
use jiff::Timestamp;
use ring::digest::{SHA256, digest};
use ring::hmac::{self, HMAC_SHA256};
use thiserror::Error;

use crate::time::whole_seconds;

/// Takes the place of the SDK's signer of that name.
const SCHEME: AuthSchemeId = AuthSchemeId::new("sigv4");

/// A request that can't be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
enum SignError {
    #[error("the identity of the call is no pair of access keys")]
    NoCredentials,
    #[error("the body of the request is not in memory")]
    Streaming,
    #[error("the address of the request is no http address with an empty path and no query")]
    Address,
    #[error("the time of the clock can't be written")]
    Time,
}

/// Signs the calls of one service in one region.
pub(super) struct Signer {
    region: String,
    service: &'static str,
    key: Mutex<Option<DaysKey>>,
}

/// The key of one day, for one pair of access keys.
struct DaysKey {
    date: String,
    access_key_id: String,
    key: hmac::Key,
}

impl Signer {
    /// Signs calls to `address`; none if it has a path, which only the SDK's signer can
    /// sign.
    pub(super) fn of(address: &str, region: &str, service: &'static str) -> Option<Self> {
        host(address).map(|_| Self::new(region, service))
    }

    fn new(region: &str, service: &'static str) -> Self {
        Self {
            region: region.to_owned(),
            service,
            key: Mutex::new(None),
        }
    }

    fn sign(
        &self,
        request: &mut HttpRequest,
        credentials: &Credentials,
        now: Timestamp,
    ) -> Result<(), SignError> {
        let time = basic_time(now);
        let date = time.get(..8).ok_or(SignError::Time)?;
        let host = host(request.uri()).ok_or(SignError::Address)?;
        let body = request.body().bytes().ok_or(SignError::Streaming)?;
        let payload_hash = hex(digest(&SHA256, body).as_ref());

        // In the order of their names, as they are signed.
        let mut headers = vec![("host", host), ("x-amz-date", &time)];
        if let Some(token) = credentials.session_token() {
            headers.push(("x-amz-security-token", token));
        }
        for name in ["content-type", "x-amz-target", "x-amz-user-agent"] {
            if let Some(value) = request.headers().get(name) {
                headers.push((name, value.trim()));
            }
        }
        headers.sort_unstable_by_key(|(name, _)| *name);
        let names: Vec<_> = headers.iter().map(|(name, _)| *name).collect();
        let names = names.join(";");

        let mut canonical = format!("{}\n/\n\n", request.method());
        for (name, value) in &headers {
            // Writing to a String cannot fail.
            let _ = writeln!(canonical, "{name}:{value}");
        }
        let _ = write!(canonical, "\n{names}\n{payload_hash}");

        let scope = format!("{date}/{}/{}/aws4_request", self.region, self.service);
        let canonical_hash = hex(digest(&SHA256, canonical.as_bytes()).as_ref());
        let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{canonical_hash}");
        let signature = self.with_key(date, credentials, |key| hmac::sign(key, to_sign.as_bytes()));
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={}",
            credentials.access_key_id(),
            hex(signature.as_ref())
        );
        let token = credentials.session_token().map(str::to_owned);
        let headers = request.headers_mut();
        headers.insert("x-amz-date", time);
        if let Some(token) = token {
            headers.insert("x-amz-security-token", token);
        }
        headers.insert("authorization", authorization);
        Ok(())
    }

    /// Uses the key of the day, which is derived if it is another one.
    fn with_key<T>(
        &self,
        date: &str,
        credentials: &Credentials,
        sign: impl FnOnce(&hmac::Key) -> T,
    ) -> T {
        let mut kept = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        let access_key_id = credentials.access_key_id();
        let days = match kept.take() {
            Some(days) if days.date == date && days.access_key_id == access_key_id => days,
            _ => DaysKey {
                date: date.to_owned(),
                access_key_id: access_key_id.to_owned(),
                key: self.derive(date, credentials.secret_access_key()),
            },
        };
        sign(&kept.insert(days).key)
    }

    fn derive(&self, date: &str, secret: &str) -> hmac::Key {
        let first = hmac::Key::new(HMAC_SHA256, format!("AWS4{secret}").as_bytes());
        let parts = [date, self.region.as_str(), self.service, "aws4_request"];
        parts.into_iter().fold(first, |key, part| {
            hmac::Key::new(HMAC_SHA256, hmac::sign(&key, part.as_bytes()).as_ref())
        })
    }
}

impl AuthScheme for Signer {
    fn scheme_id(&self) -> AuthSchemeId {
        SCHEME
    }

    fn identity_resolver(
        &self,
        identity_resolvers: &dyn GetIdentityResolver,
    ) -> Option<SharedIdentityResolver> {
        identity_resolvers.identity_resolver(SCHEME)
    }

    fn signer(&self) -> &dyn Sign {
        self
    }
}

impl Sign for Signer {
    fn sign_http_request(
        &self,
        request: &mut HttpRequest,
        identity: &Identity,
        _: AuthSchemeEndpointConfig<'_>,
        runtime_components: &RuntimeComponents,
        _: &ConfigBag,
    ) -> Result<(), BoxError> {
        let credentials = identity.data::<Credentials>();
        let credentials = credentials.ok_or(SignError::NoCredentials)?;
        let now = runtime_components.time_source().unwrap_or_default().now();
        let now = Timestamp::try_from(now).map_err(|_| SignError::Time)?;
        Ok(self.sign(request, credentials, now)?)
    }
}

/// Without the key.
impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("region", &self.region)
            .field("service", &self.service)
            .finish_non_exhaustive()
    }
}

/// `20260102T030405Z`
fn basic_time(time: Timestamp) -> String {
    let time = whole_seconds(time).to_string();
    time.replace(['-', ':'], "")
}

/// Host and port, without a port that the scheme implies; none of any other path than
/// the root.
fn host(uri: &str) -> Option<&str> {
    let (scheme, rest) = uri.split_once("://")?;
    let host = rest.strip_suffix('/').unwrap_or(rest);
    if host.contains(['/', '?', '#', '@']) {
        return None;
    }
    let port = match scheme {
        "https" => ":443",
        "http" => ":80",
        _ => return None,
    };
    Some(host.strip_suffix(port).unwrap_or(host))
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut hex = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            hex.push(char::from(DIGITS[usize::from(digit)]));
        }
    }
    hex
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use aws_sigv4::http_request::{
        SignableBody, SignableRequest, SigningParams, SigningSettings, sign,
    };
    use aws_sigv4::sign::v4;
    use aws_smithy_types::body::SdkBody;

    use super::*;

    const TARGET: (&str, &str) = ("x-amz-target", "DynamoDB_20120810.UpdateItem");
    const JSON: (&str, &str) = ("content-type", "application/x-amz-json-1.0");
    const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
    const AGENT: (&str, &str) = ("x-amz-user-agent", "aws-sdk-rust/1.3 ua/2.1 os/linux");

    fn request(uri: &str, headers: &[(&'static str, &'static str)], body: &str) -> HttpRequest {
        let mut request = HttpRequest::new(SdkBody::from(body));
        request.set_method("POST").unwrap();
        request.set_uri(uri).unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, *value);
        }
        request
    }

    fn credentials(token: Option<&str>) -> Credentials {
        let token = token.map(str::to_owned);
        Credentials::new(
            "AKIAIOSFODNN7EXAMPLE",
            "wJalrXUtnFEMI/K7MDENG",
            token,
            None,
            "test",
        )
    }

    fn system_time(time: Timestamp) -> SystemTime {
        let nanos = u64::try_from(time.as_nanosecond()).unwrap();
        SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos)
    }

    /// The authorization that the SDK's signer gives.
    fn by_the_sdk(
        request: &HttpRequest,
        credentials: Credentials,
        service: &str,
        now: Timestamp,
    ) -> String {
        let identity = Identity::from(credentials);
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region("eu-central-1")
            .name(service)
            .time(system_time(now))
            .settings(SigningSettings::default())
            .build()
            .unwrap();
        let signable = SignableRequest::new(
            request.method(),
            request.uri(),
            request.headers().iter(),
            SignableBody::Bytes(request.body().bytes().unwrap()),
        );
        let signed = sign(signable.unwrap(), &SigningParams::V4(params)).unwrap();
        let (instructions, _) = signed.into_parts();
        let (headers, _) = instructions.into_parts();
        let mut headers = headers.iter();
        let header = headers.find(|header| header.name() == "authorization");
        header.unwrap().value().to_owned()
    }

    #[test]
    fn it_signs_as_the_sdk_does() {
        let days = [
            "2026-01-02T03:04:05Z",
            "2026-01-02T23:59:59.9Z",
            "2026-12-31T00:00:00Z",
        ];
        let dynamodb = Signer::new("eu-central-1", "dynamodb");
        let sns = Signer::new("eu-central-1", "sns");
        for (signer, uri, headers, body) in [
            (
                &dynamodb,
                "https://dynamodb.eu-central-1.amazonaws.com/",
                &[JSON, TARGET, AGENT][..],
                "{}",
            ),
            (
                &dynamodb,
                "https://dynamodb.eu-central-1.amazonaws.com",
                &[JSON, TARGET],
                "",
            ),
            (
                &dynamodb,
                "http://127.0.0.1:8000/",
                &[JSON, TARGET],
                "{\"Key\":\"é\"}",
            ),
            (&dynamodb, "https://localhost:443/", &[JSON], "{}"),
            (
                &sns,
                "https://sns.eu-central-1.amazonaws.com/",
                &[FORM, AGENT],
                "Action=Publish&Version=2010-03-31",
            ),
        ] {
            // A long token, and the same key twice and then another day's.
            for token in [None, Some("IQoJb3JpZ2luX2VjE".repeat(60))] {
                for now in days.iter().chain(&days[..1]) {
                    let now: Timestamp = now.parse().unwrap();
                    let credentials = credentials(token.as_deref());
                    let mut request = request(uri, headers, body);
                    let expected = by_the_sdk(&request, credentials.clone(), signer.service, now);
                    signer.sign(&mut request, &credentials, now).unwrap();
                    let headers = request.headers();
                    assert_eq!(
                        headers.get("authorization"),
                        Some(expected.as_str()),
                        "{uri}"
                    );
                    assert_eq!(headers.get("x-amz-security-token"), token.as_deref());
                }
            }
        }
    }

    #[test]
    fn the_key_is_that_of_the_pair_of_access_keys() {
        let signer = Signer::new("eu-central-1", "dynamodb");
        let now: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let other = Credentials::new("AKIAOTHER", "another secret", None, None, "test");
        for credentials in [credentials(None), other] {
            let mut request = request("https://localhost/", &[JSON], "{}");
            let expected = by_the_sdk(&request, credentials.clone(), "dynamodb", now);
            signer.sign(&mut request, &credentials, now).unwrap();
            assert_eq!(
                request.headers().get("authorization"),
                Some(expected.as_str())
            );
        }
    }

    #[test]
    fn what_it_was_not_made_for_is_an_error() {
        let signer = Signer::new("eu-central-1", "dynamodb");
        let now: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        for uri in [
            "https://localhost/a",
            "https://localhost/?a=b",
            "ftp://localhost/",
        ] {
            let mut request = request(uri, &[JSON], "{}");
            let result = signer.sign(&mut request, &credentials(None), now);
            assert_eq!(result, Err(SignError::Address), "{uri}");
        }
        assert!(!format!("{signer:?}").contains("secret"));
    }
}
