//! Any bytes as the head of a request to the egress proxy: reading them never breaks; a host that is let through is the
//! one that the rule names, in its one form; and what is sent on means what was judged, to the same strict reader.
#![no_main]

use std::sync::LazyLock;

use codetether_sandbox::proxy::{Host, Origin, Request, Rule, Wish, head_end, parse_request};
use libfuzzer_sys::fuzz_target;

static RULE: LazyLock<Rule> =
    LazyLock::new(|| Rule::parse("*.sub.example", Origin::Given).expect("the rule is a rule"));

fuzz_target!(|bytes: &[u8]| {
    let Some(end) = head_end(bytes) else { return };
    let Ok(Request { target, wish }) = parse_request(&bytes[..end]) else { return };
    assert_ne!(target.port, 0);
    assert_eq!(Host::parse(&target.host.to_string()), Ok(target.host.clone()));
    if RULE.names(&target) {
        let plain = target.host.plain();
        assert!(plain.ends_with(".sub.example"), "{plain}");
        assert!(plain.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.')));
    }
    // Four fields are added, and the reader has a limit.
    if let Wish::Exchange(exchange) = wish
        && exchange.fields.len() < 120
    {
        // To the host itself there is one more reader: one head, and nothing behind it.
        let direct = exchange.head(&target, None);
        assert_eq!(head_end(&direct), Some(direct.len()));
        let sent = exchange.head(&target, Some(None));
        let again = parse_request(&sent).expect("what is sent on is a request");
        assert_eq!(again.target, target);
        let Wish::Exchange(read) = again.wish else { panic!("it became a tunnel") };
        assert_eq!((read.method, read.path, read.body), (exchange.method, exchange.path, exchange.body));
        assert_eq!(read.fields[..exchange.fields.len()], exchange.fields[..]);
    }
});
