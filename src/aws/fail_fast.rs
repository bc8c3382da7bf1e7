//! The HTTP client of the command line: the SDK's own, which knows proxies, and reports at
//! once what is [`Unreachable`].

use std::time::Duration;

use aws_sdk_dynamodb::config::http::HttpRequest;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{self, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::result::ConnectorError;

use super::{TlsError, Unreachable};
use crate::text::clean_cut;

/// An HTTP client that trusts the system's certificate authorities.
///
/// # Errors
/// When TLS can't be set up.
pub fn http_client(connect_timeout: Duration) -> Result<SharedHttpClient, TlsError> {
    let context = TlsContext::builder()
        .with_trust_store(TrustStore::default())
        .build()
        .map_err(|error| TlsError(error.to_string()))?;
    let connector = Connector::builder()
        .connector_settings(
            HttpConnectorSettings::builder()
                .connect_timeout(connect_timeout)
                .build(),
        )
        // As the function has it, so that one of both is built.
        .tls_provider(tls::Provider::Rustls(CryptoMode::Ring))
        .tls_context(context)
        .build();
    let connector = SharedHttpConnector::new(connector);
    let connector = SharedHttpConnector::new(FailFastConnector(connector));
    Ok(http_client_fn(move |_, _| connector.clone()))
}

/// Keeps the SDK from trying again what is [`Unreachable`]: otherwise people would learn
/// why only after half a minute.
#[derive(Debug)]
struct FailFastConnector(SharedHttpConnector);

impl HttpConnector for FailFastConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let answer = self.0.call(request);
        HttpConnectorFuture::new(async move {
            answer.await.map_err(|error| match unreachable(&error) {
                // No kind of error that the SDK would retry.
                Some(unreachable) => ConnectorError::other(unreachable.into(), None),
                None => error,
            })
        })
    }
}

/// Whether the connection cannot be made, and another try cannot help.
fn unreachable(error: &(dyn std::error::Error + 'static)) -> Option<Unreachable> {
    let mut next = Some(error);
    while let Some(error) = next {
        // hyper-util's own word; getaddrinfo's kind of error has no name.
        if error.to_string() == "dns error" {
            return Some(Unreachable::Host);
        }
        let io = error.downcast_ref::<std::io::Error>();
        match io.map(std::io::Error::kind) {
            Some(std::io::ErrorKind::ConnectionRefused) => return Some(Unreachable::Refused),
            // rustls's errors, as tokio-rustls wraps them.
            Some(std::io::ErrorKind::InvalidData) => {
                return Some(Unreachable::Tls(clean_cut(&error.to_string(), 160)));
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

#[cfg(test)]
mod tests {
    use std::io;

    use super::{Unreachable, unreachable};

    #[test]
    fn only_what_a_retry_can_t_help_is_unreachable() {
        let io = |kind: io::ErrorKind| unreachable(&io::Error::from(kind));
        assert_eq!(
            io(io::ErrorKind::ConnectionRefused),
            Some(Unreachable::Refused)
        );
        let tls = io::Error::new(io::ErrorKind::InvalidData, "invalid peer certificate");
        assert_eq!(
            unreachable(&io::Error::other(tls)),
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
