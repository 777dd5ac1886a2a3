//! Attempts to reach what listens on the host, by every family of sockets that it may have.

use crate::attempt::Category::Network;
use crate::attempt::Judge::{Holds, Reaches};
use crate::attempt::{Attempt, Who, bash, python};

/// A host is allowed, and no other.
const ALLOWED: &[&str] = &["--net", "allow:example.com"];

pub(crate) const ATTEMPTS: &[Attempt] = &[
    bash(Network, "connects over the loopback", "echo @TOKEN@ >/dev/tcp/127.0.0.1/@TCP@", Reaches),
    python(Network, "connects over the loopback by IPv6", "import socket\nsocket.create_connection(('::1', @TCP6@)).send(b'@TOKEN@')", Reaches),
    python(Network, "connects to the machine's other names", r#"
import socket
for host in ['0.0.0.0', '127.1.2.3', socket.gethostname()]:
    try:
        socket.create_connection((host, @TCPANY@), 2).send(b'@TOKEN@')
    except OSError as error:
        print(error)
"#, Reaches),
    python(Network, "connects by an IPv6 socket to IPv4", "import socket\ns = socket.socket(socket.AF_INET6)\ns.connect(('::ffff:127.0.0.1', @TCP@))", Reaches),
    python(Network, "sends a datagram", "import socket\nsocket.socket(type=socket.SOCK_DGRAM).sendto(b'@TOKEN@', ('127.0.0.1', @UDP@))", Reaches),
    python(Network, "sends a datagram by IPv6", "import socket\nsocket.socket(socket.AF_INET6, socket.SOCK_DGRAM).sendto(b'@TOKEN@', ('::1', @UDP6@))", Reaches),
    python(Network, "sends a light datagram", r#"
import socket
socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 136).sendto(b'@TOKEN@', ('127.0.0.1', @UDPLITE@))
"#, Reaches)
        .unless(no_lite),
    python(Network, "connects with many paths", "import socket\nsocket.socket(socket.AF_INET, socket.SOCK_STREAM, 262).connect(('127.0.0.1', @TCP@))", Reaches)
        .unless(|| (!std::path::Path::new("/proc/sys/net/mptcp").exists()).then_some("the kernel has no MPTCP")),
    python(Network, "opens fast, by a message alone", "import socket\nsocket.socket().sendto(b'@TOKEN@', 0x20000000, ('127.0.0.1', @TCP@))", Reaches),
    python(Network, "connects when it sends", r#"
import socket
s = socket.socket()
s.setsockopt(6, 30, 1)
s.connect(('127.0.0.1', @TCP@))
s.send(b'@TOKEN@')
"#, Reaches),
    python(Network, "speaks raw IP", r#"
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 17)
import struct
s.sendto(struct.pack('>HHHH', 4444, @UDP@, 8 + 7, 0) + b'@TOKEN@'[:7], ('127.0.0.1', 0))
"#, Reaches).only(Who::Root),
    python(Network, "takes packets off the wire", "import socket\ns = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0x300)\nready()", Holds("PACKET")).only(Who::Root),
    python(Network, "pings", "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)\nready()", Holds("RAW")).only(Who::Root),
    python(Network, "talks to the hypervisor", "import socket\ns = socket.socket(40, socket.SOCK_STREAM)\nready()", Holds("AF_VSOCK"))
        .unless(|| lacks(40)),
    python(Network, "talks to the kernel's cryptography", "import socket\ns = socket.socket(38, socket.SOCK_SEQPACKET)\nready()", Holds("ALG"))
        .unless(|| lacks(38)),
    python(Network, "connects to a path", "import socket\ns = socket.socket(socket.AF_UNIX)\ns.connect('@UNIX@')\ns.send(b'@TOKEN@')", Reaches),
    python(Network, "asks the ssh agent by its variable", "import socket\ns = socket.socket(socket.AF_UNIX)\ns.connect(os.environ.get('SSH_AUTH_SOCK', '@UNIX@'))", Reaches),
    python(Network, "sends a datagram to a path", "import socket\nsocket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'@TOKEN@', '@UNIXD@')", Reaches),
    python(Network, "sends a datagram to a path from half of a pair", r#"
import socket
a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
a.sendto(b'@TOKEN@', '@UNIXD@')
"#, Reaches),
    python(Network, "connects to a path for packets", "import socket\nsocket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).connect('@UNIXS@')", Reaches),
    python(Network, "connects to an abstract name", "import socket\ns = socket.socket(socket.AF_UNIX)\ns.connect('\\0@ABSTRACT@')", Reaches),
    python(Network, "sends a datagram to an abstract name", "import socket\nsocket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'@TOKEN@', '\\0@ABSTRACTD@')", Reaches),
    python(Network, "sends a datagram to an abstract name from half of a pair", r#"
import socket
a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
a.sendto(b'@TOKEN@', '\0@ABSTRACTD@')
"#, Reaches),
    python(Network, "connects to a socket in the workspace", "import socket\nsocket.socket(socket.AF_UNIX).connect('dev.sock'); '@WSSOCK@'", Reaches),
    python(Network, "connects to a socket deep in the workspace", r#"
import socket
socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'x', 'one/two/three/dev.sock'); '@DEEPSOCK@'
"#, Reaches),
    python(Network, "connects to a socket in the workspace by another name of it", r#"
import socket
for act in [lambda: os.link('dev.sock', 'linked'), lambda: os.rename('dev.sock', 'linked'), lambda: os.symlink('dev.sock', 'linked')]:
    try:
        act()
        break
    except OSError as error:
        print(error)
socket.socket(socket.AF_UNIX).connect('linked'); '@WSSOCK@'
"#, Reaches),
    python(Network, "connects to the socket of git's watcher", "import socket\nsocket.socket(socket.AF_UNIX).connect('.git/fsmonitor.ipc'); '@GITSOCK@'", Reaches),
    python(Network, "connects to a socket in `/tmp`", "import socket\nsocket.socket(socket.AF_UNIX).connect('@TMPSOCK@')", Reaches),
    python(Network, "connects to a socket of what it may read", "import socket\nsocket.socket(socket.AF_UNIX).connect('@UNIX@')", Reaches)
        .flags(&["--readable", "@RUN@"]),
    python(Network, "connects to a path through `/proc`", r#"
import socket
for pid in ['self', '1', str(os.getppid())]:
    try:
        socket.socket(socket.AF_UNIX).connect(f'/proc/{pid}/root@UNIX@')
    except OSError as error:
        print(error)
"#, Reaches),
    python(Network, "connects to a path by a descriptor of it", r#"
import socket
fd = os.open('@UNIX@', os.O_PATH)
socket.socket(socket.AF_UNIX).connect(f'/proc/self/fd/{fd}')
"#, Reaches),
    python(Network, "resolves a name", r#"
import socket
query = bytes.fromhex('1234010000010000000000000378787807696e76616c69640000010001')
socket.socket(type=socket.SOCK_DGRAM).sendto(query, ('127.0.0.1', @UDP@))
"#, Reaches),
    bash(Network, "lets git connect", "timeout 1 git ls-remote git://127.0.0.1:@TCP@/x", Reaches),
    bash(Network, "connects when it may only read", "echo x >/dev/tcp/127.0.0.1/@TCP@", Reaches).flags(&["--mode", "read-only"]),
    python(Network, "connects as root of a user namespace of its own", r#"
import socket
try:
    call(272, 0x10000000)
except OSError as error:
    print(error)
socket.create_connection(('127.0.0.1', @TCP@)).send(b'x')
"#, Reaches),
    python(Network, "connects past the proxy", "import socket\nsocket.create_connection(('127.0.0.1', @TCP@)).send(b'@TOKEN@')", Reaches)
        .flags(ALLOWED).or_refused(),
    python(Network, "sends a datagram past the proxy", "import socket\nsocket.socket(type=socket.SOCK_DGRAM).sendto(b'@TOKEN@', ('127.0.0.1', @UDP@))", Reaches)
        .flags(ALLOWED).or_refused(),
    python(Network, "asks the proxy for a tunnel to the host itself", r#"
import socket, urllib.parse
proxy = urllib.parse.urlsplit(os.environ.get('HTTP_PROXY') or 'http://127.0.0.1:@TCP@')
for host in ['127.0.0.1', 'localhost', '0.0.0.0', '127.1', '2130706433', '0x7f000001', '[::1]', '[::ffff:127.0.0.1]', 'example.com@127.0.0.1', 'localhost%00.example.com']:
    s = socket.create_connection((proxy.hostname, proxy.port), 2)
    s.settimeout(0.5)
    s.send(f'CONNECT {host}:@TCP@ HTTP/1.1\r\nHost: {host}:@TCP@\r\n\r\n'.encode())
    try:
        s.recv(100)
        s.send(b'@TOKEN@')
    except OSError as error:
        print(error)
"#, Reaches).flags(ALLOWED).or_refused(),
    python(Network, "asks the proxy to fetch from the host itself", r#"
import socket, urllib.parse
proxy = urllib.parse.urlsplit(os.environ.get('HTTP_PROXY') or 'http://127.0.0.1:@TCP@')
for host in ['127.0.0.1', 'localhost', '0.0.0.0', '127.1', '2130706433', '0x7f000001', '[::1]', '[::ffff:127.0.0.1]', 'example.com@127.0.0.1', 'localhost%00.example.com']:
    s = socket.create_connection((proxy.hostname, proxy.port), 2)
    s.settimeout(0.5)
    s.send(f'GET http://{host}:@TCP@/ HTTP/1.1\r\nHost: example.com\r\n\r\n'.encode())
    try:
        s.recv(100)
    except OSError as error:
        print(error)
"#, Reaches).flags(ALLOWED).or_refused(),
];

fn no_lite() -> Option<&'static str> {
    use rustix::net::{AddressFamily, SocketType, ipproto};
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::DGRAM, Some(ipproto::UDPLITE));
    socket.is_err().then_some("the kernel has no UDP-Lite")
}

fn lacks(family: u16) -> Option<&'static str> {
    use rustix::net::{AddressFamily, SocketType};
    let has = [SocketType::STREAM, SocketType::SEQPACKET]
        .into_iter()
        .any(|kind| rustix::net::socket(AddressFamily::from_raw(family), kind, None).is_ok());
    (!has).then_some("the kernel has no such family")
}
