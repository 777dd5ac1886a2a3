//! Sets of JSON types, with whole numbers apart from the others, so that sets can be cut.

use std::ops::{BitAnd, BitOr, Sub};

use serde_json::Value;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Types(u8);

impl Types {
    pub(super) const NONE: Self = Self(0);
    pub(super) const NULL: Self = Self(1);
    pub(super) const BOOLEAN: Self = Self(2);
    pub(super) const INTEGER: Self = Self(4);
    const FRACTION: Self = Self(8);
    pub(super) const NUMBER: Self = Self(4 | 8);
    pub(super) const STRING: Self = Self(16);
    pub(super) const ARRAY: Self = Self(32);
    pub(super) const OBJECT: Self = Self(64);
    pub(super) const ALL: Self = Self(127);

    /// What `type` says; nothing where that is no type.
    pub(super) fn named(value: &Value) -> Option<Self> {
        let one = |name: &Value| match name.as_str()? {
            "null" => Some(Self::NULL),
            "boolean" => Some(Self::BOOLEAN),
            "integer" => Some(Self::INTEGER),
            "number" => Some(Self::NUMBER),
            "string" => Some(Self::STRING),
            "array" => Some(Self::ARRAY),
            "object" => Some(Self::OBJECT),
            _ => None,
        };
        match value {
            Value::Array(names) => {
                names.iter().try_fold(Self::NONE, |types, name| one(name).map(|more| types | more))
            }
            name => one(name),
        }
    }

    pub(super) fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::NULL,
            Value::Bool(_) => Self::BOOLEAN,
            Value::Number(number) => match number.as_f64() {
                Some(n) if n.fract() != 0.0 => Self::FRACTION,
                _ => Self::INTEGER,
            },
            Value::String(_) => Self::STRING,
            Value::Array(_) => Self::ARRAY,
            Value::Object(_) => Self::OBJECT,
        }
    }

    pub(super) fn contain(self, value: &Value) -> bool {
        self.meet(Self::of(value))
    }

    /// Whether the sets have something in common.
    pub(super) fn meet(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(super) fn within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// Numbers, but no whole ones.
    pub(super) fn fractions_only(self) -> bool {
        self.meet(Self::FRACTION) && !self.meet(Self::INTEGER)
    }

    /// The types one by one, as they are named.
    pub(super) fn names(self) -> impl Iterator<Item = &'static str> {
        let number = if self.meet(Self::FRACTION) { "number" } else { "integer" };
        [
            (Self::STRING, "string"),
            (Self::NUMBER, number),
            (Self::BOOLEAN, "boolean"),
            (Self::OBJECT, "object"),
            (Self::ARRAY, "array"),
            (Self::NULL, "null"),
        ]
        .into_iter()
        .filter(move |(types, _)| self.meet(*types))
        .map(|(_, name)| name)
    }
}

impl BitAnd for Types {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl BitOr for Types {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl Sub for Types {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}
