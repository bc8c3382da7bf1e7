//! Connections that cannot be made, where another try cannot help.

use aws_sdk_dynamodb::config::http::HttpRequest;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::result::ConnectorError;
use thiserror::Error;

use crate::text::clean_cut;

/// Why a connection cannot be made, where another try cannot help.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unreachable {
    /// DNS knows no such name, or can't be asked.
    #[error("there is no such host, or no network")]
    Host,
    /// Nothing listens there.
    #[error("connection refused")]
    Refused,
    /// TLS can't be agreed on.
    #[error("TLS can't be agreed on: {0}")]
    Tls(String),
}

impl Unreachable {
    fn of(error: &(dyn std::error::Error + 'static)) -> Option<Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            // hyper-util's own word; getaddrinfo's kind of error has no name.
            if error.to_string() == "dns error" {
                return Some(Self::Host);
            }
            let io = error.downcast_ref::<std::io::Error>();
            match io.map(std::io::Error::kind) {
                Some(std::io::ErrorKind::ConnectionRefused) => return Some(Self::Refused),
                // rustls's errors, as tokio-rustls wraps them.
                Some(std::io::ErrorKind::InvalidData) => {
                    return Some(Self::Tls(clean_cut(&error.to_string(), 160)));
                }
                _ => {}
            }
            // An io::Error leaves out of its sources what it wraps.
            next = match io.and_then(std::io::Error::get_ref) {
                Some(wrapped) => Some(wrapped),
                None => error.source(),
            };
        }
        None
    }

    pub(super) fn remedy(&self) -> &'static str {
        match self {
            Self::Host => "check the region's name and your connection",
            Self::Refused => "check your connection, and AWS_ENDPOINT_URL if it is set",
            Self::Tls(_) => {
                "check what stands between you and AWS, such as a proxy, and SSL_CERT_FILE"
            }
        }
    }
}

/// Keeps the SDK from trying again what is [`Unreachable`]: otherwise people would learn
/// why only after half a minute.
#[derive(Debug)]
pub(super) struct FailFastConnector(pub(super) SharedHttpConnector);

impl HttpConnector for FailFastConnector {
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

#[cfg(test)]
mod tests {
    use std::io;

    use super::Unreachable;

    #[test]
    fn only_what_a_retry_can_t_help_is_unreachable() {
        let io = |kind: io::ErrorKind| Unreachable::of(&io::Error::from(kind));
        assert_eq!(
            io(io::ErrorKind::ConnectionRefused),
            Some(Unreachable::Refused)
        );
        let tls = io::Error::new(io::ErrorKind::InvalidData, "invalid peer certificate");
        assert_eq!(
            Unreachable::of(&io::Error::other(tls)),
            Some(Unreachable::Tls("invalid peer certificate".to_owned()))
        );
        for kind in [
            io::ErrorKind::ConnectionReset,
            io::ErrorKind::TimedOut,
            io::ErrorKind::UnexpectedEof,
        ] {
            assert_eq!(io(kind), None);
        }
    }
}
