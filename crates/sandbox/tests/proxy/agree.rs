//! The parser, the rules and a URL library agree on where a request goes, whatever it is made of.

use codetether_sandbox::proxy::{Host, Origin, Request, Rule, Wish, parse_request};
use proptest::prelude::*;

/// Texts that are nearly hosts, and hosts.
fn host() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("ok.example".to_owned()),
        Just(".sub.example".to_owned()),
        Just("evil".to_owned()),
        Just("127.0.0.1".to_owned()),
        Just("0x7f".to_owned()),
        Just("[::1]".to_owned()),
        Just("[::ffff:1.2.3.4]".to_owned()),
        "[a-zA-Z0-9._:@%#/?\\[\\]\\\\*\0 \u{3002}\u{e9}-]{0,3}",
    ];
    prop::collection::vec(piece, 1..5).prop_map(|pieces| pieces.concat())
}

/// Lines that are nearly fields, and fields.
fn lines() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        Just("Content-Length: 3".to_owned()),
        Just("Transfer-Encoding: chunked".to_owned()),
        Just("Connection: close, x".to_owned()),
        Just("X: y".to_owned()),
        Just("Close: x".to_owned()),
        Just("host: ok.example".to_owned()),
        "[a-zA-Z: \t\r\n\0-]{0,12}",
    ];
    prop::collection::vec(line, 0..4)
        .prop_map(|lines| lines.into_iter().map(|line| line + "\r\n").collect::<String>())
}

fn target(request: Result<Request, impl Sized>) -> Option<Host> {
    request.ok().map(|request| request.target.host)
}

proptest! {
    #[test]
    fn both_forms_of_a_request_and_a_url_mean_the_same_host(text in host()) {
        let tunnel = parse_request(format!("CONNECT {text}:443 HTTP/1.1\r\n\r\n").as_bytes());
        let plain = parse_request(format!("GET http://{text}:443/ HTTP/1.1\r\nHost: {text}:443\r\n\r\n").as_bytes());
        let (tunnel, plain) = (target(tunnel), target(plain));
        prop_assert_eq!(&tunnel, &plain);
        if let Some(host) = tunnel {
            prop_assert_eq!(Host::parse(&text), Ok(host.clone()));
            let url = url::Url::parse(&format!("http://{text}:443/")).unwrap();
            // A URL may keep the dot at the end.
            prop_assert_eq!(url.host_str().unwrap().trim_end_matches('.'), host.to_string());
        }
    }

    #[test]
    fn a_rule_lets_no_host_through_that_its_words_do_not_name(text in host(), at in "(443|80|22|)") {
        let rule = Rule::parse("*.sub.example", Origin::Given).unwrap();
        let request = parse_request(format!("CONNECT {text}:{at} HTTP/1.1\r\n\r\n").as_bytes());
        if let Ok(request) = request && rule.names(&request.target) {
            prop_assert!(text.to_ascii_lowercase().trim_end_matches('.').ends_with(".sub.example"));
            prop_assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)));
            prop_assert!(matches!(request.target.port, 80 | 443));
        }
    }

    /// What is sent on, read again, is the request that was judged: nothing was left in it for another reader.
    #[test]
    fn what_is_sent_on_means_what_was_judged(lines in lines(), path in "(/[a-z?#\\\\ {}]{0,5})?") {
        let head = format!("POST http://OK.example{path} HTTP/1.1\r\nHost: ok.example:80\r\n{lines}\r\n");
        if let Ok(Request { target, wish: Wish::Exchange(exchange) }) = parse_request(head.as_bytes()) {
            let sent = exchange.head(&target, Some(None));
            let again = parse_request(&sent).unwrap();
            let Wish::Exchange(mut read) = again.wish else { panic!("it became a tunnel") };
            prop_assert_eq!(again.target, target);
            prop_assert_eq!(read.fields.pop().map(|field| field.name), Some("Via".to_owned()));
            prop_assert!(!read.keeps);
            read.keeps = exchange.keeps;
            prop_assert_eq!(read, exchange);
        }
    }

    #[test]
    fn no_bytes_break_the_parser(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse_request(&bytes);
        let _ = parse_request(&[&bytes[..], b"\r\n\r\n"].concat());
    }
}
