//! Connections that cannot be made, where another try cannot help.

use thiserror::Error;

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
