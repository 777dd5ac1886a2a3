//! What of the host listens: over the loopback by each protocol, at paths, and by abstract names. Only those that a
//! program speaks of are there. A listener was reached when it has a connection or a message, whatever is in it.

use std::io::ErrorKind;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::net::{AddressFamily, RecvFlags, SocketAddrUnix, SocketFlags, SocketType, ipproto};

use crate::bench::run;

#[derive(Debug)]
enum Ear {
    Tcp(TcpListener),
    Udp(UdpSocket),
    Stream(UnixListener),
    Datagram(UnixDatagram),
    /// Sequenced packets, which the standard library does not know.
    Packets(OwnedFd),
    /// UDP-Lite, which it does not know either.
    Lite(OwnedFd),
}

/// All that listen for one scene.
#[derive(Debug, Default)]
pub(crate) struct Listeners {
    ears: Vec<Ear>,
    names: Vec<(&'static str, String)>,
    outside: Vec<PathBuf>,
}

impl Listeners {
    /// Those that the text names.
    pub(crate) fn new(text: &str, folder: &Path, token: &str) -> Self {
        let mut all = Self::default();
        for (name, address) in [("@TCP@", "127.0.0.1:0"), ("@TCP6@", "[::1]:0"), ("@TCPANY@", "0.0.0.0:0")] {
            if text.contains(name) {
                let ear = TcpListener::bind(address).unwrap();
                ear.set_nonblocking(true).unwrap();
                all.names.push((name, ear.local_addr().unwrap().port().to_string()));
                all.ears.push(Ear::Tcp(ear));
            }
        }
        for (name, address) in [("@UDP@", "127.0.0.1:0"), ("@UDP6@", "[::1]:0")] {
            if text.contains(name) {
                let ear = UdpSocket::bind(address).unwrap();
                ear.set_nonblocking(true).unwrap();
                all.names.push((name, ear.local_addr().unwrap().port().to_string()));
                all.ears.push(Ear::Udp(ear));
            }
        }
        if text.contains("@UDPLITE@") {
            all.lite();
        }
        all.at_paths(text, folder, token);
        for (name, stream) in [("@ABSTRACT@", true), ("@ABSTRACTD@", false)] {
            if text.contains(name) {
                let address = SocketAddr::from_abstract_name(format!("{token}{stream}")).unwrap();
                all.ears.push(if stream {
                    Ear::Stream(UnixListener::bind_addr(&address).unwrap())
                } else {
                    Ear::Datagram(UnixDatagram::bind_addr(&address).unwrap())
                });
                all.names.push((name, format!("{token}{stream}")));
            }
        }
        all
    }

    fn lite(&mut self) {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket =
            rustix::net::socket_with(AddressFamily::INET, SocketType::DGRAM, flags, Some(ipproto::UDPLITE));
        // A machine without it says so by the attempt, whose control then fails.
        let Ok(socket) = socket else { return self.names.push(("@UDPLITE@", "9".to_owned())) };
        rustix::net::bind(&socket, &std::net::SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = rustix::net::getsockname(&socket).unwrap();
        let address = std::net::SocketAddrV4::try_from(address).unwrap();
        self.names.push(("@UDPLITE@", address.port().to_string()));
        self.ears.push(Ear::Lite(socket));
    }

    fn at_paths(&mut self, text: &str, folder: &Path, token: &str) {
        let workspace = folder.join("home/work/project");
        let tail = &token[token.len() - 12..];
        for (name, path, kind) in [
            ("@UNIX@", folder.join("run/host.sock"), SocketType::STREAM),
            ("@UNIXD@", folder.join("run/host.datagram"), SocketType::DGRAM),
            ("@UNIXS@", folder.join("run/host.packets"), SocketType::SEQPACKET),
            ("@WSSOCK@", workspace.join("dev.sock"), SocketType::STREAM),
            ("@DEEPSOCK@", workspace.join("one/two/three/dev.sock"), SocketType::DGRAM),
            ("@GITSOCK@", workspace.join(".git/fsmonitor.ipc"), SocketType::STREAM),
            ("@TMPSOCK@", PathBuf::from(format!("/tmp/ct-{tail}.sock")), SocketType::STREAM),
        ] {
            if !text.contains(name) {
                continue;
            }
            self.ears.push(match kind {
                SocketType::STREAM => Ear::Stream(UnixListener::bind(&path).unwrap()),
                SocketType::DGRAM => Ear::Datagram(UnixDatagram::bind(&path).unwrap()),
                _ => {
                    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
                    let ear = rustix::net::socket_with(AddressFamily::UNIX, kind, flags, None).unwrap();
                    rustix::net::bind(&ear, &SocketAddrUnix::new(&path).unwrap()).unwrap();
                    rustix::net::listen(&ear, 4).unwrap();
                    Ear::Packets(ear)
                }
            });
            run(Command::new("chmod").arg("777").arg(&path));
            self.names.push((name, path.to_string_lossy().into_owned()));
            if !path.starts_with(folder) {
                self.outside.push(path);
            }
        }
    }

    /// What the text's names stand for.
    pub(crate) fn names(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.names.iter().map(|(name, value)| (*name, value.as_str()))
    }

    /// Whether anything came to any of them. On one machine, what was sent has arrived.
    pub(crate) fn reached(&self) -> bool {
        self.ears.iter().any(Ear::reached)
    }
}

impl Ear {
    fn reached(&self) -> bool {
        let mut buffer = [0_u8; 64];
        let outcome = match self {
            Self::Tcp(ear) => ear.accept().map(|_| ()),
            Self::Udp(ear) => ear.recv(&mut buffer).map(|_| ()),
            Self::Stream(ear) => ear.set_nonblocking(true).and_then(|()| ear.accept()).map(|_| ()),
            Self::Datagram(ear) => ear.set_nonblocking(true).and_then(|()| ear.recv(&mut buffer)).map(|_| ()),
            Self::Packets(ear) => rustix::net::accept(ear).map(|_| ()).map_err(Into::into),
            Self::Lite(ear) => {
                rustix::net::recv(ear, &mut buffer, RecvFlags::empty()).map(|_| ()).map_err(Into::into)
            }
        };
        match outcome {
            Ok(()) => true,
            Err(error) if error.kind() == ErrorKind::WouldBlock => false,
            Err(error) => panic!("a listener broke: {error}"),
        }
    }
}

impl Drop for Listeners {
    fn drop(&mut self) {
        for path in &self.outside {
            let _ = codetether_files::remove_file(path);
        }
    }
}
