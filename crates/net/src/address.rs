//! Which addresses lie in the public network, and what the others are. Pure; an address that carries another one inside
//! (IPv4 in IPv6, in all its forms) is judged by the one it carries.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AddressKind {
    /// Anyone's, in the public network.
    Public,
    /// This machine.
    Loopback,
    /// A private network: RFC 1918, unique local addresses.
    Private,
    /// Shared by a carrier, also used by private overlays (RFC 6598).
    Shared,
    /// Only on this link.
    LinkLocal,
    /// Where a cloud tells a machine its secrets. Never reached, whatever a rule says.
    Metadata,
    /// Many machines at once, or all.
    Multicast,
    /// No address, or "this network"; a kernel takes it for loopback.
    Unspecified,
    /// For documentation and benchmarks: the public network does not route it, so nobody is there but whom this
    /// machine's own administrator put there. Resolvers of VPNs and proxies that make addresses up use these, and so do
    /// hosts files.
    Unrouted,
    /// For tunnels, protocols or the future.
    Reserved,
}

impl AddressKind {
    /// Whether whoever may go out may go there.
    #[must_use]
    pub fn is_outside(self) -> bool {
        matches!(self, Self::Public | Self::Unrouted)
    }

    /// Whether someone who names a private host may mean an address of this kind.
    #[must_use]
    pub fn is_internal(self) -> bool {
        matches!(self, Self::Loopback | Self::Private | Self::Shared)
    }

    /// In words, to follow "is".
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Public => "a public address",
            Self::Loopback => "an address of this machine",
            Self::Private => "an address of a private network",
            Self::Shared => "an address of a carrier's or overlay network",
            Self::LinkLocal => "a link-local address",
            Self::Metadata => "a cloud's metadata address",
            Self::Multicast => "a multicast or broadcast address",
            Self::Unspecified => "no address of a machine",
            Self::Unrouted => "an address that nobody has in public",
            Self::Reserved => "a reserved address",
        }
    }
}

/// What this address is.
#[must_use]
pub fn address_kind(ip: IpAddr) -> AddressKind {
    match ip {
        IpAddr::V4(ip) => v4(ip),
        IpAddr::V6(ip) => v6(ip),
    }
}

/// IANA's IPv4 Special-Purpose Address Registry, and where clouds keep their metadata.
fn v4(ip: Ipv4Addr) -> AddressKind {
    match ip.octets() {
        // AWS, GCP, Azure and most others; AWS's containers; Azure's wire server; Alibaba; Oracle.
        [169, 254, 169, 254]
        | [169, 254, 170, 2 | 23]
        | [168, 63, 129, 16]
        | [100, 100, 100, 200]
        | [192, 0, 0, 192] => AddressKind::Metadata,
        [0, ..] => AddressKind::Unspecified,
        [127, ..] => AddressKind::Loopback,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => AddressKind::Private,
        [100, 64..=127, ..] => AddressKind::Shared,
        [169, 254, ..] => AddressKind::LinkLocal,
        [224..=239, ..] | [255, 255, 255, 255] => AddressKind::Multicast,
        [192, 0, 2, _] | [198, 18 | 19, ..] | [198, 51, 100, _] | [203, 0, 113, _] => AddressKind::Unrouted,
        [192, 0, 0, _] | [192, 88, 99, _] | [240..=255, ..] => AddressKind::Reserved,
        _ => AddressKind::Public,
    }
}

/// IANA's IPv6 Special-Purpose Address Registry. What is not global unicast is not public, named or not.
fn v6(ip: Ipv6Addr) -> AddressKind {
    let segments = ip.segments();
    let carried = |high: u16, low: u16| {
        let [[a, b], [c, d]] = [high.to_be_bytes(), low.to_be_bytes()];
        v4(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        [0, 0, 0, 0, 0, 0, 0, 0] => AddressKind::Unspecified,
        [0, 0, 0, 0, 0, 0, 0, 1] => AddressKind::Loopback,
        // mapped, translated (SIIT), compatible, NAT64 with the well-known prefix
        [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => carried(high, low),
        [0, 0, 0, 0, 0, 0, high, low] => not_public(carried(high, low)),
        // 6to4
        [0x2002, high, low, ..] => not_public(carried(high, low)),
        // ISATAP, in any prefix
        [_, _, _, _, 0 | 0x0200, 0x5efe, high, low] => not_public(carried(high, low)),
        // AWS, and GCP's internal metadata
        [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254 | 0x23] | [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254] => {
            AddressKind::Metadata
        }
        [0xfc00..=0xfdff, ..] => AddressKind::Private,
        [0xfe80..=0xfebf, ..] => AddressKind::LinkLocal,
        [0xff00..=0xffff, ..] => AddressKind::Multicast,
        [0x2001, 0xdb8, ..] | [0x2001, 0x2, 0, ..] | [0x3fff, 0..=0x0fff, ..] => AddressKind::Unrouted,
        // IETF protocol assignments (Teredo, ORCHID, …)
        [0x2001, 0..=0x01ff, ..] => AddressKind::Reserved,
        [0x2000..=0x3fff, ..] => AddressKind::Public,
        _ => AddressKind::Reserved,
    }
}

/// A form that nobody needs to reach a public machine by, so it is not worth being judged by what it carries.
fn not_public(carried: AddressKind) -> AddressKind {
    if carried.is_outside() { AddressKind::Reserved } else { carried }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_is_what_the_registries_say() {
        use AddressKind::{
            LinkLocal, Loopback, Metadata, Multicast, Private, Public, Reserved, Shared, Unrouted,
            Unspecified,
        };
        let table = [
            ("1.1.1.1", Public),
            ("93.184.216.34", Public),
            ("172.15.255.255", Public),
            ("172.32.0.0", Public),
            ("100.63.255.255", Public),
            ("100.128.0.0", Public),
            ("169.253.255.255", Public),
            ("192.0.1.0", Public),
            ("223.255.255.255", Public),
            ("0.0.0.0", Unspecified),
            ("0.1.2.3", Unspecified),
            ("127.0.0.1", Loopback),
            ("127.255.255.254", Loopback),
            ("10.0.0.1", Private),
            ("172.16.0.1", Private),
            ("172.31.255.255", Private),
            ("192.168.1.1", Private),
            ("100.64.0.1", Shared),
            ("100.127.255.255", Shared),
            ("169.254.1.1", LinkLocal),
            ("169.254.169.254", Metadata),
            ("169.254.170.2", Metadata),
            ("168.63.129.16", Metadata),
            ("100.100.100.200", Metadata),
            ("192.0.0.192", Metadata),
            ("224.0.0.1", Multicast),
            ("239.255.255.255", Multicast),
            ("255.255.255.255", Multicast),
            ("192.0.0.1", Reserved),
            ("192.0.2.1", Unrouted),
            ("192.88.99.1", Reserved),
            ("198.18.0.1", Unrouted),
            ("198.19.255.255", Unrouted),
            ("198.51.100.1", Unrouted),
            ("203.0.113.1", Unrouted),
            ("240.0.0.1", Reserved),
            ("::", Unspecified),
            ("::1", Loopback),
            ("2606:4700::1111", Public),
            ("2a00:1450::1", Public),
            ("2001:4860:4860::8888", Public),
            ("::ffff:1.1.1.1", Public),
            ("::ffff:127.0.0.1", Loopback),
            ("::ffff:10.0.0.1", Private),
            ("::ffff:169.254.169.254", Metadata),
            ("::ffff:0:127.0.0.1", Loopback),
            ("::127.0.0.1", Loopback),
            ("::8.8.8.8", Reserved),
            ("64:ff9b::1.1.1.1", Public),
            ("64:ff9b::10.0.0.1", Private),
            ("64:ff9b::169.254.169.254", Metadata),
            ("64:ff9b:1::1.1.1.1", Reserved),
            ("2002:7f00:1::", Loopback),
            ("2002:a00:1::1", Private),
            ("2002:a9fe:a9fe::", Metadata),
            ("2002:101:101::", Reserved),
            ("2001:0:4136:e378::1", Reserved),
            ("2001:20::1", Reserved),
            ("2001:db8::1", Unrouted),
            ("3fff::1", Unrouted),
            ("2001:2::1", Unrouted),
            ("::ffff:203.0.113.1", Unrouted),
            ("::203.0.113.1", Reserved),
            ("100::1", Reserved),
            ("5f00::1", Reserved),
            ("4000::1", Reserved),
            ("2607:f8b0::5efe:10.0.0.1", Private),
            ("fe80::5efe:10.0.0.1", Private),
            ("fc00::1", Private),
            ("fdff::1", Private),
            ("fd00:ec2::254", Metadata),
            ("fd00:ec2::23", Metadata),
            ("fd20:ce::254", Metadata),
            ("fe80::1", LinkLocal),
            ("fec0::1", Reserved),
            ("ff02::1", Multicast),
        ];
        for (text, kind) in table {
            assert_eq!((text, address_kind(text.parse().unwrap())), (text, kind));
        }
    }
}
