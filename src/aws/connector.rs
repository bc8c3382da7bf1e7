//! The HTTP client of the function: HTTP/1.1, with one kept connection for each service.
//!
//! The client that the SDK brings speaks HTTP/2 and goes by proxies too, and keeps a pool,
//! which was a tenth of the function's code (benches/README.md). The function makes
//! one call at a time, of one or two services.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

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
    longest_idle: Duration,
    /// Those that no call uses at the moment. A call that is given up takes its own with it.
    kept: Arc<Mutex<HashMap<Authority, Kept>>>,
}

/// A connection that no call uses.
struct Kept {
    connection: SendRequest<SdkBody>,
    since: Instant,
}

/// Who sits between may forget a connection in silence that is idle for longer. It is the
/// limit of hyper's own pool.
const LONGEST_IDLE: Duration = Duration::from_secs(90);

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
            longest_idle: LONGEST_IDLE,
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

    /// The kept connection, if it is still good.
    async fn take(&self, authority: &Authority) -> Option<SendRequest<SdkBody>> {
        let kept = self.kept().remove(authority);
        let kept = kept.filter(|kept| kept.since.elapsed() <= self.longest_idle);
        let mut connection = kept?.connection;
        connection.ready().await.is_ok().then_some(connection)
    }

    fn keep(&self, authority: Authority, connection: SendRequest<SdkBody>) {
        let since = Instant::now();
        self.kept().insert(authority, Kept { connection, since });
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<Authority, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connect(&self, uri: &Uri) -> Result<SendRequest<SdkBody>, ConnectorError> {
        let stream = timeout(self.connect_timeout, self.open(uri)).await;
        let stream = stream.unwrap_or_else(|_| {
            let error = SendError::ConnectTimeout(self.connect_timeout);
            Err(ConnectorError::timeout(error.into()))
        })?;
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

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use aws_sdk_dynamodb::config::http::{HttpRequest, HttpResponse};
    use aws_smithy_runtime_api::client::result::ConnectorError;
    use aws_smithy_types::body::SdkBody;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    use super::Connector;
    use crate::aws::TrustRoots;

    /// What a server does when a request has come.
    #[derive(Clone, Copy)]
    enum Step {
        Answer(u16),
        /// As a load balancer does with a connection that is idle for long.
        AnswerAndClose,
        Close,
        Silence,
    }

    /// A server that does one step after the other, over all its connections.
    struct Server {
        address: String,
        /// By which connection each request came, and its head.
        requests: Arc<Mutex<Vec<(usize, String)>>>,
    }

    impl Server {
        async fn new<const N: usize>(steps: [Step; N]) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = format!("http://{}/", listener.local_addr().unwrap());
            let requests = Arc::<Mutex<Vec<_>>>::default();
            let steps = Arc::new(Mutex::new(steps.into_iter()));
            let seen = Arc::clone(&requests);
            tokio::spawn(async move {
                for connection in 1.. {
                    let (stream, _) = listener.accept().await.unwrap();
                    let (steps, seen) = (Arc::clone(&steps), Arc::clone(&seen));
                    tokio::spawn(async move {
                        let next = || steps.lock().unwrap().next().unwrap();
                        serve(stream, next, |head| {
                            seen.lock().unwrap().push((connection, head));
                        })
                        .await;
                    });
                }
            });
            Self { address, requests }
        }

        fn connections(&self) -> Vec<usize> {
            let requests = self.requests.lock().unwrap();
            requests.iter().map(|(connection, _)| *connection).collect()
        }
    }

    async fn serve(mut stream: TcpStream, next: impl Fn() -> Step, seen: impl Fn(String)) {
        let mut buffer = [0; 4096];
        loop {
            // Requests here are small enough for one piece.
            let length = stream.read(&mut buffer).await.unwrap_or(0);
            if length == 0 {
                return;
            }
            seen(String::from_utf8_lossy(&buffer[..length]).into_owned());
            let step = next();
            let status = match step {
                Step::Answer(status) => status,
                Step::AnswerAndClose => 200,
                Step::Close => return,
                Step::Silence => std::future::pending().await,
            };
            let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: 2\r\n\r\n{{}}");
            stream.write_all(answer.as_bytes()).await.unwrap();
            if matches!(step, Step::AnswerAndClose) {
                return;
            }
        }
    }

    fn connector() -> Connector {
        Connector::new(TrustRoots::Amazon, Duration::from_secs(1)).unwrap()
    }

    async fn post(connector: &Connector, uri: &str) -> Result<HttpResponse, ConnectorError> {
        let mut request = HttpRequest::new(SdkBody::from("{}"));
        request.set_method("POST").unwrap();
        request.set_uri(uri).unwrap();
        connector.send(request).await
    }

    #[tokio::test]
    async fn calls_after_one_another_share_a_connection_and_name_the_host() {
        let server = Server::new([Step::Answer(200), Step::Answer(400), Step::Answer(200)]).await;
        let connector = connector();
        for status in [200, 400, 200] {
            let response = post(&connector, &server.address).await.unwrap();
            assert_eq!(response.status().as_u16(), status);
            assert_eq!(response.body().bytes(), Some(&b"{}"[..]));
        }
        assert_eq!(server.connections(), [1, 1, 1]);
        let head = server.requests.lock().unwrap()[0].1.clone();
        let host = server
            .address
            .trim_start_matches("http://")
            .trim_end_matches('/');
        assert!(head.starts_with("POST / HTTP/1.1\r\n"), "{head}");
        assert!(head.contains(&format!("host: {host}\r\n")), "{head}");
    }

    #[tokio::test]
    async fn a_connection_that_was_closed_meanwhile_is_replaced() {
        let server = Server::new([Step::AnswerAndClose, Step::Answer(200)]).await;
        let connector = connector();
        post(&connector, &server.address).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        post(&connector, &server.address).await.unwrap();
        assert_eq!(server.connections(), [1, 2]);
    }

    #[tokio::test]
    async fn a_connection_that_was_idle_for_too_long_is_replaced() {
        let server = Server::new([Step::Answer(200), Step::Answer(200)]).await;
        let mut connector = connector();
        post(&connector, &server.address).await.unwrap();
        connector.longest_idle = Duration::ZERO;
        post(&connector, &server.address).await.unwrap();
        assert_eq!(server.connections(), [1, 2]);
    }

    #[tokio::test]
    async fn after_an_error_of_the_server_another_connection_is_opened() {
        let server = Server::new([Step::Answer(503), Step::Answer(200)]).await;
        let connector = connector();
        let response = post(&connector, &server.address).await.unwrap();
        assert_eq!(response.status().as_u16(), 503);
        post(&connector, &server.address).await.unwrap();
        assert_eq!(server.connections(), [1, 2]);
    }

    #[tokio::test]
    async fn a_request_that_may_have_arrived_is_not_sent_again_by_itself() {
        let server = Server::new([Step::Answer(200), Step::Close, Step::Answer(200)]).await;
        let connector = connector();
        post(&connector, &server.address).await.unwrap();
        let error = post(&connector, &server.address).await.unwrap_err();
        assert!(error.is_io(), "{error:?}");
        post(&connector, &server.address).await.unwrap();
        assert_eq!(server.connections(), [1, 1, 2]);
    }

    #[tokio::test]
    async fn a_call_that_is_given_up_takes_its_connection_with_it() {
        let server = Server::new([Step::Answer(200), Step::Silence, Step::Answer(200)]).await;
        let connector = connector();
        post(&connector, &server.address).await.unwrap();
        let silence = post(&connector, &server.address);
        assert!(
            tokio::time::timeout(Duration::from_millis(50), silence)
                .await
                .is_err()
        );
        post(&connector, &server.address).await.unwrap();
        assert_eq!(server.connections(), [1, 1, 2]);
    }

    #[tokio::test]
    async fn what_can_t_be_reached_is_an_error_that_can_be_tried_again() {
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/", gone.local_addr().unwrap());
        drop(gone);
        let error = post(&connector(), &address).await.unwrap_err();
        assert!(error.is_io(), "{error:?}");
    }

    #[tokio::test]
    async fn an_address_without_a_host_is_an_error_that_says_so() {
        let error = post(&connector(), "/path").await.unwrap_err();
        assert!(error.is_user(), "{error:?}");
    }

    #[test]
    fn the_port_that_a_scheme_implies_is_not_named() {
        for (uri, expected) in [
            ("https://localhost:443/", "localhost"),
            ("https://localhost:8443/", "localhost:8443"),
            ("http://localhost:80/", "localhost"),
            ("http://localhost:443/", "localhost:443"),
            (
                "https://dynamodb.eu-central-1.amazonaws.com",
                "dynamodb.eu-central-1.amazonaws.com",
            ),
        ] {
            let mut request = http::Request::post(uri).body(SdkBody::empty()).unwrap();
            let authority = request.uri().authority().unwrap().clone();
            super::direct(&mut request, &authority).unwrap();
            assert_eq!(request.headers()["host"], expected);
            assert_eq!(request.uri(), "/");
        }
    }
}
