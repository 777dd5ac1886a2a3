//! The ways to a server: proxies, certificates of one's own, headers, HTTP/2, one pool of connections. The names that
//! are asked for here belong to nobody; what they lead to is on this machine.

use std::cell::RefCell;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use codetether_testkit::{Reply, Server};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use crate::bench::{Bench, Run};

/// What the endpoint is called; no name server knows it.
const HOST: &str = "models.invalid";

/// Something that stands between the program and its server, on a thread of its own.
struct Front {
    address: SocketAddr,
    /// What was seen, a line a connection or request.
    seen: Arc<Mutex<Vec<String>>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Front {
    /// Serves each connection; what the function has seen is kept.
    fn start<F>(serve: impl Fn(TcpStream, Seen) -> F + Send + 'static) -> Self
    where
        F: Future<Output = Option<()>> + 'static,
    {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let seen = Seen::default();
        let thread = std::thread::spawn({
            let seen = seen.clone();
            move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                let local = tokio::task::LocalSet::new();
                local.block_on(&runtime, async move {
                    let listener = TcpListener::from_std(listener).unwrap();
                    let accept = async {
                        while let Ok((stream, _)) = listener.accept().await {
                            tokio::task::spawn_local(serve(stream, seen.clone()));
                        }
                    };
                    tokio::select! {
                        () = accept => {}
                        _ = stopped => {}
                    }
                });
            }
        });
        Self { address, seen: seen.0, stop: Some(stop), thread: Some(thread) }
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        drop(self.stop.take());
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<String>>>);

impl Seen {
    fn note(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }
}

/// The address of a scripted server.
fn address(server: &Server) -> SocketAddr {
    server.base_url().trim_start_matches("http://").trim_end_matches("/v1").parse().unwrap()
}

/// A proxy that opens tunnels (`CONNECT`), all of them to one address.
fn tunnel(to: SocketAddr) -> Front {
    Front::start(move |mut stream, seen| async move {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.ok()?);
        }
        let head = String::from_utf8(head).ok()?;
        seen.note(head.lines().next()?);
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.ok()?;
        let mut server = TcpStream::connect(to).await.ok()?;
        copy_bidirectional(&mut stream, &mut server).await.ok().map(drop)
    })
}

/// A SOCKS proxy (RFC 1928) that asks for no name and leads to one address.
fn socks(to: SocketAddr) -> Front {
    Front::start(move |mut stream, seen| async move {
        let (_version, methods) = (stream.read_u8().await.ok()?, stream.read_u8().await.ok()?);
        stream.read_exact(&mut vec![0; methods.into()]).await.ok()?;
        stream.write_all(&[5, 0]).await.ok()?;
        let mut request = [0; 5];
        stream.read_exact(&mut request).await.ok()?;
        // To connect, to a host by its name: whoever is asked looks it up.
        let [5, 1, 0, 3, length] = request else { return None };
        let mut name = vec![0; length.into()];
        stream.read_exact(&mut name).await.ok()?;
        let port = stream.read_u16().await.ok()?;
        seen.note(format!("{}:{port}", String::from_utf8(name).ok()?));
        stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await.ok()?;
        let mut server = TcpStream::connect(to).await.ok()?;
        copy_bidirectional(&mut stream, &mut server).await.ok().map(drop)
    })
}

/// A certificate for [`HOST`] by an authority that nobody knows but who reads its file.
struct Certified {
    acceptor: TlsAcceptor,
    authority: PathBuf,
}

fn certified(bench: &Bench, protocols: &[&str]) -> Certified {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = params.self_signed(&key).unwrap();
    bench.file("ca.pem", &root.pem());
    let own = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec![HOST.to_owned()]).unwrap();
    let leaf = leaf.signed_by(&own, &Issuer::new(params, key)).unwrap();
    let own = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(own.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.unwrap().with_no_client_auth().with_single_cert(vec![leaf.der().clone()], own);
    let mut config = config.unwrap();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    Certified { acceptor: TlsAcceptor::from(Arc::new(config)), authority: bench.path("ca.pem") }
}

/// The end of TLS in front of a server that speaks HTTP/1.1.
fn tls(acceptor: TlsAcceptor, to: SocketAddr) -> Front {
    Front::start(move |stream, seen| {
        let acceptor = acceptor.clone();
        async move {
            let mut stream = acceptor.accept(stream).await.ok()?;
            seen.note("accepted");
            let mut server = TcpStream::connect(to).await.ok()?;
            copy_bidirectional(&mut stream, &mut server).await.ok().map(drop)
        }
    })
}

/// A server that speaks HTTP/2, with these streams of events one after the other.
fn http2(acceptor: TlsAcceptor, answers: Vec<String>) -> Front {
    Front::start(move |stream, seen| {
        let (acceptor, answers) = (acceptor.clone(), Rc::new(RefCell::new(answers.clone().into_iter())));
        async move {
            let stream = acceptor.accept(stream).await.ok()?;
            seen.note(String::from_utf8_lossy(stream.get_ref().1.alpn_protocol()?));
            let mut connection = h2::server::handshake(stream).await.ok()?;
            while let Some(asked) = connection.accept().await {
                let (request, mut respond) = asked.ok()?;
                seen.note(format!("{} {:?}", request.uri().path(), request.version()));
                let answer = answers.borrow_mut().next()?;
                let head =
                    http::Response::builder().header("content-type", "text/event-stream").body(()).ok()?;
                respond.send_response(head, false).ok()?.send_data(answer.into(), true).ok()?;
            }
            Some(())
        }
    })
}

/// `codetether run` with a model of an endpoint at this address, in this environment.
fn run(bench: &Bench, base_url: &str, variables: &[(&str, &str)]) -> Run {
    let mut command = bench.binary(&["run", "go", "-m", "own/m", "-c", "retry.max_tries=1"]);
    command.args(["-c", &format!("providers.own.base_url={base_url}")]);
    command.args(["-c", "providers.own.headers.X-Team=blue"]);
    command.envs(variables.iter().copied()).output().unwrap().into()
}

fn done(run: &Run) {
    assert_eq!((run.code, run.stdout.as_str()), (0, "Done.\n"), "{}", run.stderr);
}

#[test]
fn a_proxy_is_asked_unless_the_host_is_left_out() {
    let bench = Bench::new([]);
    let proxy = Server::model(|_| Reply::text("Done."));
    let server = Server::model(|_| Reply::text("Done."));
    let url = format!("http://{}", address(&proxy));
    for variable in ["HTTP_PROXY", "http_proxy", "ALL_PROXY"] {
        let before = proxy.requests().len();
        done(&run(&bench, &format!("http://{HOST}/v1"), &[(variable, &url)]));
        let requests = proxy.requests();
        assert_eq!(requests.len(), before + 1, "{variable}");
        assert_eq!(requests[before].path, format!("http://{HOST}/v1/chat/completions"));
        assert_eq!(requests[before].header("x-team"), Some("blue"), "a header of the endpoint's");
    }
    let before = proxy.requests().len();
    // By this address the machine reaches itself, but it is not among those that never need a proxy.
    let direct = format!("http://0.0.0.0:{}/v1", address(&server).port());
    done(&run(&bench, &direct, &[("HTTP_PROXY", &url), ("NO_PROXY", "example.com,0.0.0.0")]));
    assert_eq!((proxy.requests().len(), server.requests().len()), (before, 1));
    done(&run(&bench, &direct, &[("HTTP_PROXY", &url), ("NO_PROXY", "example.com")]));
    assert_eq!((proxy.requests().len(), server.requests().len()), (before + 1, 1));
    // This machine itself is never asked for by a proxy.
    done(&run(&bench, &server.base_url(), &[("HTTP_PROXY", &url), ("ALL_PROXY", &url)]));
    assert_eq!((proxy.requests().len(), server.requests().len()), (before + 1, 2));
}

#[test]
fn a_socks_proxy_is_asked_for_the_host_by_its_name() {
    let bench = Bench::new([]);
    let server = Server::model(|_| Reply::text("Done."));
    let proxy = socks(address(&server));
    let url = format!("socks5h://{}", proxy.address);
    done(&run(&bench, &format!("http://{HOST}:8080/v1"), &[("ALL_PROXY", &url)]));
    assert_eq!(proxy.seen(), [format!("{HOST}:8080")]);
    assert_eq!(server.requests()[0].header("host"), Some("models.invalid:8080"));
}

#[test]
fn a_certificate_of_ones_own_is_trusted_where_it_is_named_also_behind_a_proxy() {
    let bench = Bench::new([]);
    let server = Server::start([Reply::call("list", json!({})), Reply::text("Done.")]);
    let Certified { acceptor, authority } = certified(&bench, &["http/1.1"]);
    let end = tls(acceptor, address(&server));
    let proxy = tunnel(end.address);
    let url = format!("http://{}", proxy.address);
    let base_url = format!("https://{HOST}/v1");
    let stranger = run(&bench, &base_url, &[("HTTPS_PROXY", &url)]);
    assert_eq!(stranger.code, 5, "{}", stranger.stderr);
    assert!(stranger.stderr.contains("certificate"), "{}", stranger.stderr);
    assert!(server.requests().is_empty());
    let tunnels = proxy.seen().len();
    let authority = authority.to_str().unwrap();
    done(&run(&bench, &base_url, &[("HTTPS_PROXY", &url), ("SSL_CERT_FILE", authority)]));
    assert_eq!(proxy.seen()[tunnels..], [format!("CONNECT {HOST}:443 HTTP/1.1")]);
    assert_eq!(end.seen(), ["accepted"], "one connection carries both requests");
    assert_eq!(server.requests().len(), 2);
    assert!(server.requests().iter().all(|request| request.header("x-team") == Some("blue")));
}

#[test]
fn http2_is_spoken_where_it_is_offered_over_one_connection() {
    let bench = Bench::new([]);
    let Certified { acceptor, authority } = certified(&bench, &["h2", "http/1.1"]);
    let end = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]});
    let call = json!({"choices": [{"index": 0, "delta": {"tool_calls": [
        {"index": 0, "id": "c1", "function": {"name": "list", "arguments": "{}"}},
    ]}}]});
    let text = json!({"choices": [{"index": 0, "delta": {"content": "Done."}}]});
    let answer = |said| format!("data: {said}\n\ndata: {end}\n\ndata: [DONE]\n\n");
    let server = http2(acceptor, vec![answer(call), answer(text)]);
    let proxy = tunnel(server.address);
    let (url, authority) = (format!("http://{}", proxy.address), authority.to_str().unwrap().to_owned());
    let variables = [("HTTPS_PROXY", url.as_str()), ("SSL_CERT_FILE", &authority)];
    done(&run(&bench, &format!("https://{HOST}/v1"), &variables));
    let asked = "/v1/chat/completions HTTP/2.0";
    assert_eq!(server.seen(), ["h2", asked, asked]);
}

#[test]
fn all_requests_to_an_endpoint_share_its_connections() {
    let spent = r#"{"error":{"code":"insufficient_quota","message":"You exceeded your current quota."}}"#;
    let bench = Bench::new([
        Reply::call("list", json!({})),
        Reply::call("list", json!({"path": "."})),
        Reply::status(429).body(spent),
        Reply::text("Done."),
    ]);
    // The model that goes on is another one, of the same endpoint.
    let run = bench.run(&["go", "--fallback", "openai/second"]);
    done(&run);
    let connections: Vec<_> = bench.server.requests().iter().map(|request| request.connection).collect();
    assert_eq!(connections, [connections[0]; 4]);
}
