//! Requests that try to get somewhere else, or to mean two things: one row each, with the whole answer, and with what was
//! dialled.

use crate::world::{World, says};

/// Refused before anyone is asked where it goes.
fn bad(reason: &str) -> String {
    says("400 Bad Request", &format!("the sandbox's proxy refuses this request: {reason}"))
}

fn no_rule(target: &str, rule: &str) -> String {
    denied(target, "no rule names it", &format!("the rule `{rule}` would allow it"))
}

fn denied(target: &str, why: &str, cure: &str) -> String {
    says("403 Forbidden", &format!("`{target}` is not allowed by the sandbox: {why}; {cure}"))
}

fn leads(target: &str, ip: &str, what: &str, cure: &str) -> String {
    denied(target, &format!("it leads to {ip}, which is {what}"), cure)
}

const NOTHING: &str = "no rule can allow it";
const ODD: &str = "the host cannot be used: it is an address in an odd spelling";
const CHARACTER: &str =
    "the host cannot be used: it holds a character that no host has; write other scripts as `xn--…`";
const LINE: &str = "a line does not end as HTTP's do, or the first one has not three words";
const BYTE: &str = "it holds a NUL or another control character";
const PORT: &str = "the host cannot be used: its port is no port";
const USER: &str = "the host cannot be used: it names a user";
const EMPTY: &str = "the host cannot be used: a label is empty";
const METHOD: &str = "the method is no token";
const VERSION: &str = "the version is neither HTTP/1.1 nor HTTP/1.0";
const SCHEME: &str = "only `http://` can be asked for in full; other schemes go through `CONNECT`";
const ORIGIN: &str = "this is a proxy: ask for a full address, or use `CONNECT`";
const PATH: &str = "the path holds a character that must be written as `%…`";
const OTHER_HOST: &str = "`Host` names another host than the address";
const FIELD: &str = "the name of a field is no token";
const CODING: &str = "`Transfer-Encoding` is not `chunked` alone, or not of HTTP/1.1";
const LENGTH: &str = "`Content-Length` is no number";
const CONNECTION: &str = "`Connection` names a field that the host needs";
const MACHINE: &str = "an address of this machine";
const PRIVATE: &str = "an address of a private network";

/// `CONNECT` to this authority, and a first word that must reach nobody.
fn tunnel(authority: &str) -> Vec<u8> {
    format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\nraw:secret").into_bytes()
}

/// `GET` of this address with this `Host`.
fn get(address: &str, host: &str) -> Vec<u8> {
    format!("GET {address} HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes()
}

/// A good request with these lines in it.
fn with(lines: &str) -> Vec<u8> {
    format!("POST http://ok.example/x HTTP/1.1\r\nHost: ok.example\r\n{lines}\r\n\r\nabc").into_bytes()
}

fn table() -> Vec<(Vec<u8>, String)> {
    let private = |target: &str, ip: &str, what: &str| {
        leads(target, ip, what, &format!("the rule `{target}/private` would allow it"))
    };
    vec![
        // hosts that no rule names
        (tunnel("evil.example:443"), no_rule("evil.example:443", "evil.example")),
        (tunnel("EVIL.example.:443"), no_rule("evil.example:443", "evil.example")),
        (tunnel("evil.example:8443"), no_rule("evil.example:8443", "evil.example:8443")),
        (tunnel("xok.example:443"), no_rule("xok.example:443", "xok.example")),
        (tunnel("ok.example.evil.example:443"), no_rule("ok.example.evil.example:443", "ok.example.evil.example")),
        (tunnel("a.ok.example:443"), no_rule("a.ok.example:443", "a.ok.example")),
        (tunnel("sub.example:443"), no_rule("sub.example:443", "sub.example")),
        (tunnel("xsub.example:443"), no_rule("xsub.example:443", "xsub.example")),
        (tunnel("localhost:443"), no_rule("localhost:443", "localhost:443/private")),
        (get("http://evil.example/", "evil.example"), no_rule("evil.example:80", "evil.example")),
        (get("HTTP://Evil.Example/?x=http://ok.example/", "evil.example"), no_rule("evil.example:80", "evil.example")),
        // ports
        (
            tunnel("ok.example:22"),
            denied("ok.example:22", "its rules name other ports", "the rule `ok.example:22` would allow it"),
        ),
        (
            get("http://ok.example:8081/", "ok.example:8081"),
            denied("ok.example:8081", "its rules name other ports", "the rule `ok.example:8081` would allow it"),
        ),
        (
            tunnel("mirror:443"),
            denied("mirror:443", "its rules name other ports", "the rule `mirror:443/private` would allow it"),
        ),
        (tunnel("ok.example:0"), bad(PORT)),
        (tunnel("ok.example:00443"), bad(PORT)),
        (tunnel("ok.example:+443"), bad(PORT)),
        (tunnel("ok.example:65979"), bad(PORT)),
        (tunnel("ok.example:443x"), bad(PORT)),
        (tunnel("ok.example:"), bad(PORT)),
        (tunnel("ok.example"), bad("`CONNECT` needs `HOST:PORT`")),
        // addresses, in every spelling
        (tunnel("127.0.0.1:443"), denied("127.0.0.1:443", "its rules name other ports", "the rule `127.0.0.1:443/private` would allow it")),
        (tunnel("169.254.169.254:80"), denied("169.254.169.254:80", "no rule names it", NOTHING)),
        (tunnel("10.0.0.1:443"), no_rule("10.0.0.1:443", "10.0.0.1:443/private")),
        (tunnel("1.1.1.1:443"), no_rule("1.1.1.1:443", "1.1.1.1")),
        (tunnel("[::1]:443"), no_rule("[::1]:443", "[::1]:443/private")),
        (tunnel("[2606:4700::2]:443"), no_rule("[2606:4700::2]:443", "[2606:4700::2]")),
        (tunnel("2130706433:443"), bad(ODD)),
        (tunnel("0x7f000001:443"), bad(ODD)),
        (tunnel("0x7f.0.0.1:443"), bad(ODD)),
        (tunnel("0177.0.0.1:443"), bad(ODD)),
        (tunnel("127.1:443"), bad(ODD)),
        (tunnel("93.184.55330:443"), bad(ODD)),
        (tunnel("0:443"), bad(ODD)),
        (tunnel("[::ffff:127.0.0.1]:443"), bad(ODD)),
        (tunnel("[::ffff:5db8:d822]:443"), bad(ODD)),
        (tunnel("[::127.0.0.1]:443"), bad(ODD)),
        (tunnel("[fe80::1%25eth0]:443"), bad(ODD)),
        (tunnel("[fe80::1%eth0]:443"), bad(ODD)),
        (tunnel("::1:443"), bad(CHARACTER)),
        (get("http://2130706433/", "2130706433"), bad(ODD)),
        (get("http://0x7f.1/", "0x7f.1"), bad(ODD)),
        // names that lead inside
        (tunnel("loop.sub.example:443"), private("loop.sub.example:443", "127.0.0.1", MACHINE)),
        (tunnel("loop6.sub.example:443"), private("loop6.sub.example:443", "::1", MACHINE)),
        (tunnel("private.sub.example:443"), private("private.sub.example:443", "10.1.2.3", PRIVATE)),
        (
            tunnel("shared.sub.example:443"),
            private("shared.sub.example:443", "100.64.0.1", "an address of a carrier's or overlay network"),
        ),
        (tunnel("link.sub.example:443"), leads("link.sub.example:443", "169.254.3.4", "a link-local address", NOTHING)),
        (
            tunnel("metadata.sub.example:80"),
            leads("metadata.sub.example:80", "169.254.169.254", "a cloud's metadata address", NOTHING),
        ),
        (
            get("http://metadata.sub.example/latest/meta-data/", "metadata.sub.example"),
            leads("metadata.sub.example:80", "169.254.169.254", "a cloud's metadata address", NOTHING),
        ),
        (tunnel("zero.sub.example:443"), leads("zero.sub.example:443", "0.0.0.0", "no address of a machine", NOTHING)),
        (tunnel("mapped.sub.example:443"), private("mapped.sub.example:443", "::ffff:127.0.0.1", MACHINE)),
        (tunnel("nat64.sub.example:443"), private("nat64.sub.example:443", "64:ff9b::a00:1", PRIVATE)),
        (tunnel("sixtofour.sub.example:443"), private("sixtofour.sub.example:443", "2002:7f00:1::1", MACHINE)),
        (tunnel("ula.sub.example:443"), private("ula.sub.example:443", "fd12::1", PRIVATE)),
        // hosts that are two hosts
        (tunnel("ok.example\0.evil.example:443"), bad(BYTE)),
        (tunnel("evil.example\0.sub.example:443"), bad(BYTE)),
        (tunnel("ok.example%00.evil.example:443"), bad(CHARACTER)),
        (tunnel("ok.example@evil.example:443"), bad(USER)),
        (tunnel("evil.example:443@ok.example:443"), bad(USER)),
        (tunnel("evil.example:443#.sub.example:443"), bad(CHARACTER)),
        (tunnel("evil.example/.sub.example:443"), bad(CHARACTER)),
        (tunnel("evil.example\\.sub.example:443"), bad(CHARACTER)),
        (tunnel("evil.example,a.sub.example:443"), bad(CHARACTER)),
        (tunnel("ok.ex\u{430}mple:443"), bad(CHARACTER)),
        (tunnel("ok\u{3002}example:443"), bad(CHARACTER)),
        (tunnel("ok.example\u{ad}:443"), bad(CHARACTER)),
        (tunnel("*.sub.example:443"), bad(CHARACTER)),
        (tunnel(".sub.example:443"), bad(EMPTY)),
        (tunnel("ok.example..:443"), bad(EMPTY)),
        (tunnel(":443"), bad(EMPTY)),
        (tunnel("ok.example:443 evil.example:443"), bad(LINE)),
        (get("http://ok.example@evil.example/", "evil.example"), bad(USER)),
        (get("http://me:pw@ok.example/", "ok.example"), bad(USER)),
        (get("http://ok.example#@evil.example/", "ok.example"), bad(PATH)),
        (get("http://ok.example\\@evil.example/", "ok.example"), bad(USER)),
        (get("http:///evil.example/", "evil.example"), bad(EMPTY)),
        (get("http://ok.example:80:80/", "ok.example"), bad(CHARACTER)),
        // forms
        (get("/", "ok.example"), bad(ORIGIN)),
        (get("*", "ok.example"), bad(ORIGIN)),
        (get("/http://ok.example/", "ok.example"), bad(ORIGIN)),
        (get("//ok.example/", "ok.example"), bad(ORIGIN)),
        (get("https://ok.example/", "ok.example"), bad(SCHEME)),
        (get("ftp://ok.example/", "ok.example"), bad(SCHEME)),
        (get("file:///etc/passwd", "ok.example"), bad(SCHEME)),
        (get("http://ok.example/\u{e9}", "ok.example"), bad(PATH)),
        (get("http://ok.example/a\\b", "ok.example"), bad(PATH)),
        (b"connect ok.example:443 HTTP/1.1\r\n\r\n".to_vec(), bad(ORIGIN)),
        (b"CONNECT http://ok.example:443 HTTP/1.1\r\n\r\n".to_vec(), bad(CHARACTER)),
        (b"GET http://ok.example/ HTTP/2.0\r\nHost: ok.example\r\n\r\n".to_vec(), bad(VERSION)),
        (b"GET http://ok.example/ HTTP/1.2\r\nHost: ok.example\r\n\r\n".to_vec(), bad(VERSION)),
        (b"GET http://ok.example/ http/1.1\r\nHost: ok.example\r\n\r\n".to_vec(), bad(VERSION)),
        (b"GET http://ok.example/\r\nHost: ok.example\r\n\r\n".to_vec(), bad(LINE)),
        (b"GET  http://ok.example/ HTTP/1.1\r\nHost: ok.example\r\n\r\n".to_vec(), bad(LINE)),
        (b"GET\thttp://ok.example/\tHTTP/1.1\r\nHost: ok.example\r\n\r\n".to_vec(), bad(BYTE_OR_LINE)),
        (b"G(T http://ok.example/ HTTP/1.1\r\nHost: ok.example\r\n\r\n".to_vec(), bad(METHOD)),
        (b" GET http://ok.example/ HTTP/1.1\r\nHost: ok.example\r\n\r\n".to_vec(), bad(LINE)),
        (b"\r\n\r\n".to_vec(), bad(LINE)),
        (b"\x04\x01\x01\xbb\x00\x00\x00\x01\x00ok.example\x00\r\n\r\n".to_vec(), bad(BYTE)),
        (b"\x16\x03\x01\x02\x00\x01\r\n\r\n".to_vec(), bad(BYTE)),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), bad(VERSION)),
        // `Host`
        (get("http://ok.example/", "evil.example"), bad(OTHER_HOST)),
        (get("http://ok.example/", "ok.example:8080"), bad(OTHER_HOST)),
        (get("http://ok.example:8080/", "ok.example"), bad(OTHER_HOST)),
        (get("http://ok.example/", ""), bad(OTHER_HOST)),
        (get("http://ok.example/", "ok.example, evil.example"), bad(OTHER_HOST)),
        (b"GET http://ok.example/ HTTP/1.1\r\n\r\n".to_vec(), bad("`Host` is missing")),
        (with("Host: evil.example"), bad("`Host` is there twice")),
        (with("host: ok.example"), bad("`Host` is there twice")),
        (b"CONNECT ok.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n".to_vec(), bad(OTHER_HOST)),
        (b"CONNECT ok.example:443 HTTP/1.1\r\nHost: ok.example:80\r\n\r\n".to_vec(), bad(OTHER_HOST)),
        // smuggling
        (with("Content-Length: 3\r\nTransfer-Encoding: chunked"), bad("`Content-Length` and `Transfer-Encoding` are both there")),
        (with("Content-Length: 3\r\nContent-Length: 3"), bad("`Content-Length` is there twice")),
        (with("Content-Length: 3\r\ncontent-length: 4"), bad("`Content-Length` is there twice")),
        (with("Content-Length: 3, 3"), bad(LENGTH)),
        (with("Content-Length: +3"), bad(LENGTH)),
        (with("Content-Length: 0x3"), bad(LENGTH)),
        (with("Content-Length: -1"), bad(LENGTH)),
        (with("Content-Length:"), bad(LENGTH)),
        (with("Content-Length: 99999999999999999999"), bad(LENGTH)),
        (with("Transfer-Encoding: gzip, chunked"), bad(CODING)),
        (with("Transfer-Encoding: identity"), bad(CODING)),
        (with("Transfer-Encoding: chunked, chunked"), bad(CODING)),
        (with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"), bad(CODING)),
        (with("Transfer-Encoding: \"chunked\""), bad(CODING)),
        (with("Transfer-Encoding: xchunked"), bad(CODING)),
        (with("Transfer-Encoding: chunked\x0b"), bad(BYTE)),
        (
            b"POST http://ok.example/ HTTP/1.0\r\nHost: ok.example\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_vec(),
            bad(CODING),
        ),
        (with("Content-Length : 3"), bad(FIELD)),
        (with("Transfer-Encoding : chunked"), bad(FIELD)),
        (with(": x"), bad(FIELD)),
        (with("X Y: z"), bad(FIELD)),
        (with("no colon"), bad(FIELD)),
        (with("X: a\r\n Content-Length: 3"), bad("a field goes on in the next line")),
        (with("X: a\r\n\tb"), bad("a field goes on in the next line")),
        (with("X: a\nContent-Length: 3"), bad(LINE)),
        (with("X: a\rContent-Length: 3"), bad(LINE)),
        (with("X: a\0b"), bad(BYTE)),
        (with("X: a\x1bb"), bad(BYTE)),
        (with("Connection: close, Content-Length\r\nContent-Length: 3"), bad(CONNECTION)),
        (with("Connection: Host"), bad(CONNECTION)),
        (with("Proxy-Connection: transfer-encoding\r\nTransfer-Encoding: chunked"), bad(CONNECTION)),
        (b"CONNECT ok.example:443 HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc".to_vec(), bad("`CONNECT` has no body")),
        (
            b"CONNECT ok.example:443 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_vec(),
            bad("`CONNECT` has no body"),
        ),
        (with(&vec!["X: y"; 128].join("\r\n")), bad("it has more than 128 fields")),
        // too long
        (
            [b"GET http://ok.example/".as_slice(), &vec![b'a'; 17_000]].concat(),
            says("431 Request Header Fields Too Large", "the head of the request is longer than 16384 bytes"),
        ),
        (
            tunnel(&format!("{}.example:443", "a".repeat(64))),
            bad("the host cannot be used: it is too long"),
        ),
        (
            tunnel(&format!("{}sub.example:443", "a.".repeat(150))),
            bad("the host cannot be used: it is too long"),
        ),
    ]
}

/// A tab is no control character in a field, so a first line with tabs has too few words.
const BYTE_OR_LINE: &str = LINE;

#[tokio::test]
async fn a_hostile_request_gets_one_line_and_no_connection() {
    let table = table();
    assert!(table.len() >= 140, "{}", table.len());
    for (request, answer) in table {
        let world = World::new().await;
        let said = world.ask(&request).await;
        assert_eq!((request.escape_ascii().to_string(), said), (request.escape_ascii().to_string(), answer));
        assert_eq!(world.dialled(), [""; 0], "{}", request.escape_ascii());
    }
}

/// The answers to hostile requests of SOCKS5: the greeting's, and one byte that says why not.
#[tokio::test]
async fn a_hostile_request_of_socks_gets_a_code_and_no_connection() {
    let name = |host: &[u8], port: u16| {
        let length = u8::try_from(host.len()).unwrap();
        [&[5, 1, 0, 5, 1, 0, 3, length], host, &port.to_be_bytes()].concat()
    };
    let v4 = |ip: [u8; 4], port: u16| [&[5, 1, 0, 5, 1, 0, 1], &ip[..], &port.to_be_bytes()].concat();
    let v6 = |ip: &str, port: u16| {
        let ip: std::net::Ipv6Addr = ip.parse().unwrap();
        [&[5, 1, 0, 5, 1, 0, 4], &ip.octets()[..], &port.to_be_bytes()].concat()
    };
    let table = [
        (name(b"evil.example", 443), 2),
        (name(b"ok.example", 22), 2),
        (name(b"ok.example", 0), 2),
        (name(b"ok.example\0.evil.example", 443), 2),
        (name(b"evil.example\0.sub.example", 443), 2),
        (name(b"evil.example\r\n.sub.example", 443), 2),
        (name(b"me@ok.example", 443), 2),
        (name(b"ok.example:443", 443), 2),
        (name(b"[::1]", 443), 2),
        (name(b"[2606:4700::1]", 443), 2),
        (name(b"127.0.0.1", 443), 2),
        (name(b"2130706433", 443), 2),
        (name(b"0x7f.1", 443), 2),
        (name(b"127.1", 443), 2),
        (name(b"", 443), 2),
        (name(b".", 443), 2),
        (name("ok\u{3002}example".as_bytes(), 443), 2),
        (name(b"\xff\xfe.sub.example", 443), 2),
        (name(b"loop.sub.example", 443), 2),
        (name(b"metadata.sub.example", 80), 2),
        (name(b"unknown.sub.example", 443), 4),
        (v4([127, 0, 0, 1], 443), 2),
        (v4([169, 254, 169, 254], 80), 2),
        (v4([1, 1, 1, 1], 443), 2),
        (v6("::1", 443), 2),
        (v6("::ffff:93.184.216.34", 443), 2),
        (v6("64:ff9b::5db8:d822", 443), 2),
        // bind, associate, resolve (Tor's), an unknown kind, another version, a reserved byte that is set
        ([&[5, 1, 0, 5, 2, 0, 3, 10][..], b"ok.example", &[1, 187]].concat(), 7),
        ([&[5, 1, 0, 5, 3, 0, 3, 10][..], b"ok.example", &[1, 187]].concat(), 7),
        ([&[5, 1, 0, 5, 0xf0, 0, 3, 10][..], b"ok.example", &[1, 187]].concat(), 1),
        (vec![5, 1, 0, 5, 1, 0, 9, 1], 8),
        ([&[5, 1, 0, 4, 1, 0, 3, 10][..], b"ok.example", &[1, 187]].concat(), 1),
        ([&[5, 1, 0, 5, 1, 7, 3, 10][..], b"ok.example", &[1, 187]].concat(), 1),
    ];
    for (request, code) in table {
        let world = World::new().await;
        let said = world.ask(&request).await;
        let shown = request.escape_ascii().to_string();
        let answer = String::from_utf8(vec![5, 0, 5, code, 0, 1, 0, 0, 0, 0, 0, 0]).unwrap();
        assert_eq!((&shown, said), (&shown, answer));
        assert_eq!(world.dialled(), [""; 0], "{shown}");
    }
    let world = World::new().await;
    assert_eq!(world.ask(&[5, 1, 2]).await, "\\x05\\xff", "a password is not taken");
}
