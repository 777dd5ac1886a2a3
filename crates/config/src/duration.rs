//! Durations as people write them: `90`, `90s`, `10m`, `1h30m`.

use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A duration in whole seconds, written as a number of seconds or with units `h`, `m`, `s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seconds(pub u64);

impl Seconds {
    /// In milliseconds.
    #[must_use]
    pub fn millis(self) -> u64 {
        self.0.saturating_mul(1000)
    }
}

impl From<Seconds> for Duration {
    fn from(seconds: Seconds) -> Self {
        Self::from_secs(seconds.0)
    }
}

impl std::str::FromStr for Seconds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            let text = crate::problem::brief(text);
            format!("`{text}` is not a duration (write `90`, `90s`, `10m` or `1h30m`)")
        };
        let (mut total, mut rest, mut last) = (0_u64, text.trim(), u64::MAX);
        if rest.is_empty() {
            return Err(wrong());
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            let number: u64 = rest.get(..digits).unwrap_or_default().parse().map_err(|_| wrong())?;
            let tail = rest.get(digits..).unwrap_or_default();
            let (unit, tail) = match tail.chars().next() {
                None if last == u64::MAX => (1, tail),
                Some('h') => (3600, tail.get(1..).unwrap_or_default()),
                Some('m') => (60, tail.get(1..).unwrap_or_default()),
                Some('s') => (1, tail.get(1..).unwrap_or_default()),
                _ => return Err(wrong()),
            };
            if unit >= last {
                return Err(wrong());
            }
            total = number.checked_mul(unit).and_then(|n| total.checked_add(n)).ok_or_else(wrong)?;
            (last, rest) = (unit, tail);
        }
        Ok(Self(total))
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hours, minutes, seconds) = (self.0 / 3600, self.0 / 60 % 60, self.0 % 60);
        for (number, unit) in [(hours, 'h'), (minutes, 'm')] {
            if number > 0 {
                write!(f, "{number}{unit}")?;
            }
        }
        if seconds > 0 || self.0 == 0 { write!(f, "{seconds}s") } else { Ok(()) }
    }
}

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Seconds {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A number of seconds, or a text such as \"90s\", \"10m\" or \"1h30m\".",
            "oneOf": [
                { "type": "integer", "minimum": 0 },
                { "type": "string", "pattern": "^([0-9]+|([0-9]+h)?([0-9]+m)?([0-9]+s)?)$", "minLength": 1 },
            ],
        })
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Seconds;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a duration such as 90, \"90s\", \"10m\" or \"1h30m\"")
            }

            fn visit_i64<E: serde::de::Error>(self, seconds: i64) -> Result<Seconds, E> {
                u64::try_from(seconds).map(Seconds).map_err(|_| E::custom("a duration cannot be negative"))
            }

            fn visit_u64<E: serde::de::Error>(self, seconds: u64) -> Result<Seconds, E> {
                Ok(Seconds(seconds))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Seconds, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_they_are_read() {
        for (seconds, text) in [(0, "0s"), (59, "59s"), (600, "10m"), (5400, "1h30m"), (7205, "2h5s")] {
            assert_eq!(Seconds(seconds).to_string(), text);
            assert_eq!(text.parse(), Ok(Seconds(seconds)));
        }
    }

    #[test]
    fn durations_read_as_people_write_them() {
        for (text, seconds) in
            [("90", 90), ("90s", 90), ("10m", 600), ("1h30m", 5400), ("2h5s", 7205), ("0", 0)]
        {
            assert_eq!(text.parse(), Ok(Seconds(seconds)), "{text}");
        }
        for wrong in ["", "m", "10x", "1m1h", "1h1h", "-1", "1.5h", "99999999999999999999", "1h30", "ä"] {
            assert!(wrong.parse::<Seconds>().is_err(), "{wrong}");
        }
    }
}
