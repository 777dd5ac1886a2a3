//! How long a server asks to wait, in whichever of the vendors' ways it says so: headers for that, the headers of its
//! limits, words. Pure: waits for nothing, and does not judge whether so long a wait is worth it.

use std::time::SystemTime;

use http::HeaderMap;

/// Greater numbers of seconds are a point in time, in seconds since 1970,
const UNIX_SECONDS: f64 = 1e9;
/// and greater ones still in milliseconds.
const UNIX_MILLIS: f64 = 1e12;

/// Milliseconds of `retry-after-ms`, or of `retry-after` as seconds or as a date.
pub(crate) fn asked(headers: &HeaderMap, now: SystemTime) -> Option<u64> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    if let Some(millis) = text("retry-after-ms").and_then(number) {
        return Some(millis.ceil() as u64);
    }
    let after = text("retry-after")?;
    number(after).map(|seconds| (seconds * 1_000.0).ceil() as u64).or_else(|| until_date(after, now))
}

/// Milliseconds until the limit that was reached is whole again, by `x-ratelimit-reset-…` and
/// `anthropic-ratelimit-…-reset`: the longest of those with nothing remaining; where none says so, the shortest of all.
pub(crate) fn of_limits(headers: &HeaderMap, now: SystemTime) -> Option<u64> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let resets: Vec<(bool, u64)> = headers
        .keys()
        .map(http::HeaderName::as_str)
        .filter(|name| {
            name.starts_with("x-ratelimit-reset")
                || (name.starts_with("anthropic-ratelimit-") && name.ends_with("-reset"))
        })
        .filter_map(|name| {
            let spent = text(&name.replace("reset", "remaining")).and_then(number) == Some(0.0);
            Some((spent, until_reset(text(name)?, now)?))
        })
        .collect();
    let spent = resets.iter().filter(|(spent, _)| *spent).map(|(_, wait)| *wait).max();
    spent.or_else(|| resets.iter().map(|(_, wait)| *wait).min())
}

/// Milliseconds in words such as `Please try again in 1m2.5s.` or `Please retry in 34.07s.`
pub(crate) fn in_words(text: &str) -> Option<u64> {
    let (_, after) = ["try again in ", "retry in "].iter().find_map(|words| text.split_once(words))?;
    let mut words = after.split_whitespace();
    let first = words.next()?.trim_end_matches(['.', ',', ';', ')']);
    span(first).or_else(|| {
        let unit = words.next()?.trim_end_matches(['.', ',', ';', ')']);
        let unit = match unit {
            "second" | "seconds" | "s" => "s",
            "minute" | "minutes" => "m",
            "hour" | "hours" => "h",
            "milliseconds" | "ms" => "ms",
            _ => return None,
        };
        span(&format!("{first}{unit}"))
    })
}

/// A length of time such as `6m0s`, `7.66s` or `20ms`, in milliseconds.
fn span(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut millis = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (value, after) = rest.split_at_checked(digits)?;
        let unit = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(unit)?;
        let factor = match unit {
            "d" => 86_400_000.0,
            "h" => 3_600_000.0,
            "m" => 60_000.0,
            "s" => 1_000.0,
            "ms" => 1.0,
            "us" | "µs" => 0.001,
            _ => return None,
        };
        millis += number(value)? * factor;
        rest = after;
    }
    (!text.is_empty()).then(|| millis.ceil() as u64)
}

/// Milliseconds until a reset, told as a length of time, a number of seconds, or a point in time.
fn until_reset(text: &str, now: SystemTime) -> Option<u64> {
    if let Some(number) = number(text) {
        let since = now.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_millis() as f64;
        // A float turns into the nearest integer there is.
        return Some(match number {
            _ if number >= UNIX_MILLIS => (number - since).max(0.0).ceil() as u64,
            _ if number >= UNIX_SECONDS => (number * 1_000.0 - since).max(0.0).ceil() as u64,
            _ => (number * 1_000.0).ceil() as u64,
        });
    }
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        let wait = SystemTime::from(at).duration_since(now).unwrap_or_default();
        return Some(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
    }
    span(text).or_else(|| until_date(text, now))
}

fn until_date(text: &str, now: SystemTime) -> Option<u64> {
    let wait = httpdate::parse_http_date(text).ok()?.duration_since(now).unwrap_or_default();
    Some(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX))
}

/// A number that is not below zero.
fn number(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|number| *number >= 0.0)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn now() -> SystemTime {
        httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap()
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn a_wait_is_read_as_milliseconds_seconds_or_a_date() {
        let wait = |name: &'static str, value: &'static str| asked(&headers(&[(name, value)]), now());
        assert_eq!(wait("retry-after", "2"), Some(2_000));
        assert_eq!(wait("retry-after", "0.5"), Some(500));
        assert_eq!(wait("retry-after-ms", "1500.2"), Some(1_501));
        assert_eq!(wait("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT"), Some(30_000));
        assert_eq!(wait("retry-after", "Sun, 06 Nov 1994 08:00:00 GMT"), Some(0));
        assert_eq!(wait("retry-after", "1e300"), Some(u64::MAX));
        for nonsense in ["soon", "-1", "NaN", ""] {
            assert_eq!(wait("retry-after", nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn the_limit_that_is_spent_says_how_long() {
        let cases: [(&[_], _); 8] = [
            (&[("x-ratelimit-reset-requests", "1s"), ("x-ratelimit-reset-tokens", "6m0s")], Some(1_000)),
            (
                &[
                    ("x-ratelimit-reset-requests", "20ms"),
                    ("x-ratelimit-remaining-tokens", "0"),
                    ("x-ratelimit-reset-tokens", "7.66s"),
                ],
                Some(7_660),
            ),
            (
                &[
                    ("anthropic-ratelimit-tokens-remaining", "0"),
                    ("anthropic-ratelimit-tokens-reset", "1994-11-06T08:50:07Z"),
                ],
                Some(30_000),
            ),
            (&[("x-ratelimit-reset", "1784111787")], Some(1_784_111_787_000 - 784_111_777_000)),
            (&[("x-ratelimit-reset", "1784111787000")], Some(1_784_111_787_000 - 784_111_777_000)),
            (&[("x-ratelimit-reset", "12")], Some(12_000)),
            (&[("x-ratelimit-reset", "soon")], None),
            (&[("x-ratelimit-limit-tokens", "12")], None),
        ];
        for (pairs, wanted) in cases {
            assert_eq!(of_limits(&headers(pairs), now()), wanted, "{pairs:?}");
        }
    }

    #[test]
    fn words_say_how_long() {
        for (text, wanted) in [
            ("Rate limit reached. Please try again in 1m2.5s. Visit", Some(62_500)),
            ("Please retry in 34.07s.", Some(34_070)),
            ("try again in 20 seconds", Some(20_000)),
            ("try again in 250ms", Some(250)),
            ("try again in a while", None),
            ("try again in 5", None),
            ("try again in .", None),
            ("nothing", None),
        ] {
            assert_eq!(in_words(text), wanted, "{text}");
        }
    }
}
