//! The kinds of values that settings have and no other room defines.

use std::fmt;
use std::str::FromStr;

use codetether_event::{ModelId, Money};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A model as settings name it: `provider/model`, both there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("pattern" = "^[^/]+/.+$"))]
pub struct Model(String);

impl Model {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> ModelId {
        ModelId::new(&self.0)
    }
}

impl FromStr for Model {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('/') {
            Some((provider, name)) if !provider.trim().is_empty() && !name.trim().is_empty() => {
                Ok(Self(text.to_owned()))
            }
            _ => Err(format!("`{}` is not a model", crate::problem::brief(text))),
        }
    }
}

impl TryFrom<String> for Model {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Model> for String {
    fn from(model: Model) -> Self {
        model.0
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An amount of money in whole millionths of a dollar. It is written in dollars, as a number with at most six decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dollars(u64);

/// More than anything costs here; such an amount is a slip, such as the price of one token for that of a million.
const MOST: u64 = 10_000;

impl Dollars {
    /// In millionths of a dollar.
    #[must_use]
    pub fn micros(self) -> u64 {
        self.0
    }

    /// The same as an amount of money.
    #[must_use]
    pub fn money(self) -> Money {
        Money(i64::try_from(self.0).unwrap_or(i64::MAX))
    }

    /// From a number as it is written. A binary fraction is taken for the shortest decimal that it stands for, which is the
    /// one that was written.
    fn of_decimal(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("`{text}` is not an amount: {why}");
        if text.starts_with('-') {
            return Err(wrong("it is negative"));
        }
        let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
        let whole: u64 = whole.parse().map_err(|_| wrong("it is not a number of dollars"))?;
        if decimals.len() > 6 {
            return Err(wrong("it has more than six decimals"));
        }
        let part: u64 =
            format!("{decimals:0<6}").parse().map_err(|_| wrong("it is not a number of dollars"))?;
        match whole.checked_mul(1_000_000).and_then(|whole| whole.checked_add(part)) {
            Some(micros) if micros <= MOST * 1_000_000 => Ok(Self(micros)),
            _ => Err(wrong("it is more than 10000")),
        }
    }
}

impl FromStr for Dollars {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::of_decimal(text.trim())
    }
}

impl Serialize for Dollars {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (self.0 % 1_000_000, u32::try_from(self.0 / 1_000_000)) {
            (0, Ok(dollars)) => serializer.serialize_u32(dollars),
            // Exact to the last of the six decimals: there are no more than 10^10 millionths.
            _ => serializer.serialize_f64(self.0 as f64 / 1e6),
        }
    }
}

impl<'de> Deserialize<'de> for Dollars {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Dollars;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of dollars")
            }

            fn visit_i64<E: serde::de::Error>(self, dollars: i64) -> Result<Dollars, E> {
                Dollars::of_decimal(&dollars.to_string()).map_err(E::custom)
            }

            fn visit_u64<E: serde::de::Error>(self, dollars: u64) -> Result<Dollars, E> {
                Dollars::of_decimal(&dollars.to_string()).map_err(E::custom)
            }

            fn visit_f64<E: serde::de::Error>(self, dollars: f64) -> Result<Dollars, E> {
                Dollars::of_decimal(&dollars.to_string()).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Dollars {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Dollars".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "Dollars, with at most six decimals.",
            "type": "number",
            "minimum": 0,
            "maximum": MOST,
        })
    }
}

/// A list of models.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Models(pub Vec<Model>);

/// A list of names, in which none may be all that is wanted: unlike a list of rules it does not add up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Names(pub Vec<String>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_is_exactly_what_was_written() {
        #[derive(Deserialize, Serialize)]
        struct Row {
            price: Dollars,
        }
        let read = |text: &str| {
            let row: Result<Row, _> = toml::from_str(&format!("price = {text}"));
            row.map(|row| row.price.micros()).map_err(|error| error.message().to_owned())
        };
        for (text, micros) in [
            ("3", 3_000_000),
            ("3.0", 3_000_000),
            ("0", 0),
            ("0.1", 100_000),
            ("0.3", 300_000),
            ("1e-6", 1),
            ("0.000007", 7),
            ("4.35", 4_350_000),
            ("9_999.999999", 9_999_999_999),
            ("10000", 10_000_000_000),
        ] {
            assert_eq!(read(text), Ok(micros), "{text}");
            let again = toml::to_string(&Row { price: Dollars(micros) }).unwrap();
            assert_eq!(toml::from_str::<Row>(&again).map(|row| row.price), Ok(Dollars(micros)));
        }
        for (text, why) in [
            ("-1", "`-1` is not an amount: it is negative"),
            ("-0.5", "`-0.5` is not an amount: it is negative"),
            ("-0.0", "`-0` is not an amount: it is negative"),
            ("nan", "`NaN` is not an amount: it is not a number of dollars"),
            ("inf", "`inf` is not an amount: it is not a number of dollars"),
            ("-inf", "`-inf` is not an amount: it is negative"),
            ("0.0000001", "`0.0000001` is not an amount: it has more than six decimals"),
            ("10000.000001", "`10000.000001` is not an amount: it is more than 10000"),
            ("9223372036854775807", "`9223372036854775807` is not an amount: it is more than 10000"),
        ] {
            assert_eq!(read(text), Err(why.to_owned()), "{text}");
        }
        assert!(read("1e300").is_err());
    }

    #[test]
    fn a_model_has_a_provider_and_a_name() {
        assert_eq!("a/b/c".parse::<Model>().unwrap().id(), ModelId::new("a/b/c"));
        for wrong in ["", "gpt", "/b", "a/", " /b"] {
            assert_eq!(wrong.parse::<Model>(), Err(format!("`{wrong}` is not a model")));
        }
    }
}
