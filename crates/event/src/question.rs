//! A question of the model's to the user: some options to choose from, and always words of the user's own.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A question to the user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Question {
    /// What is asked.
    pub question: String,
    /// What can be chosen.
    pub options: Vec<Choice>,
    /// Whether more than one may be chosen.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub several: bool,
}

/// What can be chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Choice {
    /// Its name, by which an answer names it; no two options of a question have the same.
    pub label: String,
    /// What it means.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
}

impl Question {
    /// Whether these options, by their labels, and this text are an answer: something is said, each option is there and
    /// named once, and there is one of them unless more may be chosen.
    #[must_use]
    pub fn is_answered_by(&self, options: &[String], text: Option<&str>) -> bool {
        let known = |label: &String| self.options.iter().any(|option| option.label == *label);
        let again = |(at, label): (usize, &String)| options.iter().take(at).any(|before| before == label);
        let said = !options.is_empty() || text.is_some_and(|text| !text.trim().is_empty());
        said && options.iter().all(known)
            && !options.iter().enumerate().any(again)
            && (self.several || options.len() <= 1)
    }
}
