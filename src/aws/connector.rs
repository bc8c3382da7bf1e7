//! The HTTP client of the function: HTTP/1.1, with one kept connection for each service.
//!
//! The client that the SDK brings speaks HTTP/2 and goes by proxies too, and keeps a pool,
//! which was a twelfth of the function's code (benches/README.md). The function makes
//! one call at a time, of one or two services.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_dynamodb::config::http::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use http::header::{HOST, HeaderValue};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Request, Uri};
use http_body_util::BodyExt as _;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::{TlsError, TrustRoots};

/// Amazon's own roots. Parsing the system's 145 costs nine million instructions
/// at each start (measured); AWS endpoints of partition `aws` end in these.
const AMAZON_ROOTS: &[u8] = include_bytes!("amazon-roots.pem");

/// Sends requests, each over the kept connection of its service.
#[derive(Clone)]
pub(super) struct Connector {
    tls: TlsConnector,
    connect_timeout: Duration,
    /// Those that no call uses at the moment. A call that is given up takes its own with it.
    kept: Arc<Mutex<HashMap<Authority, SendRequest<SdkBody>>>>,
}

/// Why a request had no answer, where hyper does not say it.
#[derive(Debug, Error)]
enum SendError {
    #[error("the address of the request names no host")]
    NoHost,
    #[error("no connection within {} seconds", .0.as_secs())]
    ConnectTimeout(Duration),
}

/// What a connection reads from and writes to.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Connector {
    /// Sets up TLS by ring: AWS-LC spends 420 million instructions on its first handshake.
    pub(super) fn new(
        trust_roots: TrustRoots,
        connect_timeout: Duration,
    ) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        match trust_roots {
            TrustRoots::Amazon => {
                for root in CertificateDer::pem_slice_iter(AMAZON_ROOTS) {
                    let root = root.map_err(|error| TlsError(error.to_string()))?;
                    roots
                        .add(root)
                        .map_err(|error| TlsError(error.to_string()))?;
                }
            }
            // One that can't be read is one root less, as for the SDK's own client.
            TrustRoots::System => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            tls: TlsConnector::from(Arc::new(config)),
            connect_timeout,
            kept: Arc::default(),
        })
    }

    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let request = request.try_into_http1x();
        let mut request = request.map_err(|error| ConnectorError::user(error.into()))?;
        let uri = request.uri().clone();
        let authority = uri.authority().ok_or_else(no_host)?;
        direct(&mut request, authority)?;
        let (mut connection, response) = loop {
            let kept = self.take(authority).await;
            let is_kept = kept.is_some();
            let mut connection = match kept {
                Some(connection) => connection,
                None => self.connect(&uri).await?,
            };
            match connection.try_send_request(request).await {
                Ok(response) => break (connection, response),
                Err(mut error) => match error.take_message() {
                    // It was closed while nobody used it, and nothing was sent.
                    Some(unsent) if is_kept => request = unsent,
                    _ => return Err(connector_error(error.into_error())),
                },
            }
        };
        let (parts, body) = response.into_parts();
        // Whole, so that the connection is free again. Answers are small.
        let body = body.collect().await.map_err(connector_error)?.to_bytes();
        // Another try may find a server that is well.
        if !parts.status.is_server_error() && connection.ready().await.is_ok() {
            self.keep(authority.clone(), connection);
        }
        let response = http::Response::from_parts(parts, SdkBody::from(body));
        HttpResponse::try_from(response).map_err(|error| ConnectorError::other(error.into(), None))
    }

    /// The kept connection, if it is still open.
    async fn take(&self, authority: &Authority) -> Option<SendRequest<SdkBody>> {
        let kept = self.kept().remove(authority);
        let mut connection = kept?;
        connection.ready().await.is_ok().then_some(connection)
    }

    fn keep(&self, authority: Authority, connection: SendRequest<SdkBody>) {
        self.kept().insert(authority, connection);
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, HashMap<Authority, SendRequest<SdkBody>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connect(&self, uri: &Uri) -> Result<SendRequest<SdkBody>, ConnectorError> {
        let stream = match timeout(self.connect_timeout, self.open(uri)).await {
            Ok(stream) => stream?,
            Err(_) => {
                let error = SendError::ConnectTimeout(self.connect_timeout);
                return Err(ConnectorError::timeout(error.into()));
            }
        };
        let (connection, driver) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(connector_error)?;
        // Ends with the connection; a call learns of an error by its own answer.
        tokio::spawn(driver);
        Ok(connection)
    }

    async fn open(&self, uri: &Uri) -> Result<Box<dyn Stream>, ConnectorError> {
        let host = uri.host().ok_or_else(no_host)?;
        // An IPv6 address stands in brackets.
        let host = host.trim_matches(['[', ']']);
        let is_tls = uri.scheme() == Some(&Scheme::HTTPS);
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let stream = TcpStream::connect((host, port)).await.map_err(io)?;
        // A request is more than one write, and none shall wait for the answer to another.
        stream.set_nodelay(true).map_err(io)?;
        if !is_tls {
            return Ok(Box::new(stream));
        }
        let name = ServerName::try_from(host.to_owned());
        let name = name.map_err(|error| ConnectorError::user(error.into()))?;
        Ok(Box::new(self.tls.connect(name, stream).await.map_err(io)?))
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let connector = self.clone();
        HttpConnectorFuture::new(async move { connector.send(request).await })
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").finish_non_exhaustive()
    }
}

/// Addresses the server itself: by path and `Host`, not by the whole URI.
fn direct(request: &mut Request<SdkBody>, authority: &Authority) -> Result<(), ConnectorError> {
    if !request.headers().contains_key(HOST) {
        // As it is signed: without a port that the scheme implies.
        let is_implied = |port| {
            matches!(
                (request.uri().scheme_str(), port),
                (Some("https"), 443) | (Some("http"), 80)
            )
        };
        let host = match authority.port_u16() {
            Some(port) if is_implied(port) => authority.host(),
            _ => authority.as_str(),
        };
        let host = HeaderValue::from_str(host);
        let host = host.map_err(|error| ConnectorError::user(error.into()))?;
        request.headers_mut().insert(HOST, host);
    }
    let path = request.uri().path_and_query().cloned();
    *request.uri_mut() = Uri::from(path.unwrap_or_else(|| PathAndQuery::from_static("/")));
    Ok(())
}

fn no_host() -> ConnectorError {
    ConnectorError::user(SendError::NoHost.into())
}

fn io(error: std::io::Error) -> ConnectorError {
    ConnectorError::io(error.into())
}

/// Whatever happened on the way, another try over another connection can help.
fn connector_error(error: hyper::Error) -> ConnectorError {
    if error.is_user() {
        ConnectorError::user(error.into())
    } else if error.is_timeout() {
        ConnectorError::timeout(error.into())
    } else {
        ConnectorError::io(error.into())
    }
}
