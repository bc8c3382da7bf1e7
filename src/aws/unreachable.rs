//! Connections that never come about: another try meets the same.

use aws_sdk_dynamodb::config::http::HttpRequest;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::result::ConnectorError;
use thiserror::Error;

use super::error::innermost;
use crate::text::clean_cut;

/// Why no connection came about, where another try meets the same.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unreachable {
    /// DNS knows no such name, or can't be asked.
    #[error("there is no such host, or no network")]
    Host,
    /// Nothing listens there.
    #[error("connection refused")]
    Refused,
    /// TLS can't be agreed on.
    #[error("TLS fails: {0}")]
    Certificate(String),
}

impl Unreachable {
    fn of(error: &(dyn std::error::Error + 'static)) -> Option<Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            // hyper-util's own word; getaddrinfo's kind of error has no name.
            if error.to_string() == "dns error" {
                return Some(Self::Host);
            }
            match error
                .downcast_ref::<std::io::Error>()
                .map(std::io::Error::kind)
            {
                Some(std::io::ErrorKind::ConnectionRefused) => return Some(Self::Refused),
                Some(std::io::ErrorKind::InvalidData) => {
                    let why = clean_cut(&innermost(error).to_string(), 160);
                    return Some(Self::Certificate(why));
                }
                _ => next = error.source(),
            }
        }
        None
    }

    pub(super) fn remedy(&self) -> &'static str {
        match self {
            Self::Host => "check the region's name and your connection",
            Self::Refused => "check your connection, and AWS_ENDPOINT_URL if it is set",
            Self::Certificate(_) => {
                "check what stands between you and AWS, such as a proxy, and SSL_CERT_FILE"
            }
        }
    }
}

/// Keeps the SDK from trying again what is [`Unreachable`]: for half a minute
/// whoever waits would not be told why.
#[derive(Debug)]
pub(super) struct TriesOnce(pub(super) SharedHttpConnector);

impl HttpConnector for TriesOnce {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let answer = self.0.call(request);
        HttpConnectorFuture::new(async move {
            answer.await.map_err(|error| match Unreachable::of(&error) {
                // No kind of error that the SDK would retry.
                Some(unreachable) => ConnectorError::other(unreachable.into(), None),
                None => error,
            })
        })
    }
}
