//! The kinds of values that settings have and no other room defines.

use std::fmt;
use std::str::FromStr;

use codetether_event::ModelId;
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

/// A list of names, in which none may be all that is wanted: unlike a list of rules it does not add up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Names(pub Vec<String>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_has_a_provider_and_a_name() {
        assert_eq!("a/b/c".parse::<Model>().unwrap().id(), ModelId::new("a/b/c"));
        for wrong in ["", "gpt", "/b", "a/", " /b"] {
            assert_eq!(wrong.parse::<Model>(), Err(format!("`{wrong}` is not a model")));
        }
    }
}
