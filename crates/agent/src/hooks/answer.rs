//! What a hook answers: by its exit code, by one JSON object, or by plain text where that is for the model. Field names are
//! those of Claude Code. Decides nothing.

use codetether_event::HookPoint;
use serde::Deserialize;
use serde_json::Value;

/// What a hook answered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Answer {
    pub(crate) decision: Option<Decision>,
    /// Why; may be empty.
    pub(crate) reason: String,
    /// That the turn is to end, and why.
    pub(crate) stops: Option<String>,
    /// What the model is to know.
    pub(crate) context: Option<String>,
    /// What the user is to know.
    pub(crate) message: Option<String>,
}

/// What is to become of what comes next; the strictest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Decision {
    Allow,
    Ask,
    Block,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Written {
    decision: Option<String>,
    reason: Option<String>,
    #[serde(rename = "continue")]
    goes_on: Option<bool>,
    stop_reason: Option<String>,
    system_message: Option<String>,
    hook_specific_output: Option<Specific>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Specific {
    permission_decision: Option<String>,
    permission_decision_reason: Option<String>,
    additional_context: Option<String>,
    updated_input: Option<Value>,
    decision: Option<Permission>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Permission {
    behavior: Option<String>,
    message: Option<String>,
    updated_input: Option<Value>,
}

impl Answer {
    /// By exit code 2: against it, for the reason on standard error.
    pub(crate) fn against(errors: &str) -> Self {
        Self { decision: Some(Decision::Block), reason: errors.trim().to_owned(), ..Self::default() }
    }

    /// By what it wrote, having ended well.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(crate) fn read(point: HookPoint, output: &str) -> Result<Self, String> {
        let output = output.trim();
        if !output.starts_with('{') {
            let told = matches!(point, HookPoint::SessionStart | HookPoint::UserPromptSubmit);
            let context = Some(output.to_owned()).filter(|text| told && !text.is_empty());
            return Ok(Self { context, ..Self::default() });
        }
        let written: Written = serde_json::from_str(output)
            .map_err(|error| format!("its output is not as it should be: {error}"))?;
        let Written { decision, reason, goes_on, stop_reason, system_message, hook_specific_output } =
            written;
        let specific = hook_specific_output.unwrap_or_default();
        let permission = specific.decision.unwrap_or_default();
        let mut decisions = Vec::new();
        for (key, word) in [
            ("decision", &decision),
            ("permissionDecision", &specific.permission_decision),
            ("behavior", &permission.behavior),
        ] {
            decisions.extend(word.as_deref().map(|word| decided(key, word)).transpose()?.flatten());
        }
        let changes =
            specific.updated_input.or(permission.updated_input).is_some_and(|input| !input.is_null());
        let reasons = [reason, specific.permission_decision_reason, permission.message];
        let mut answer = Self {
            decision: decisions.into_iter().max(),
            reason: reasons.into_iter().flatten().next().unwrap_or_default(),
            stops: (goes_on == Some(false))
                .then(|| stop_reason.unwrap_or_else(|| "it gives no reason".into())),
            context: specific.additional_context,
            message: system_message,
        };
        // To run the call as it stands is what such a hook does not want.
        if changes && answer.decision != Some(Decision::Block) {
            answer.decision = Some(Decision::Block);
            answer.reason = "it wants to change the call (`updatedInput`), which a hook cannot".to_owned();
        }
        Ok(answer)
    }
}

fn decided(key: &str, word: &str) -> Result<Option<Decision>, String> {
    match word {
        "approve" | "allow" => Ok(Some(Decision::Allow)),
        "ask" => Ok(Some(Decision::Ask)),
        "block" | "deny" => Ok(Some(Decision::Block)),
        // As where nothing was said.
        "" | "none" | "defer" => Ok(None),
        other => {
            let other: String = other.chars().take(40).collect();
            Err(format!("`{key}` cannot be `{other}`: write `block`, `deny`, `ask`, `allow` or `approve`"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(output: &str) -> Result<Answer, String> {
        Answer::read(HookPoint::PreToolUse, output)
    }

    fn decided(output: &str) -> (Option<Decision>, String) {
        read(output).map(|answer| (answer.decision, answer.reason)).unwrap()
    }

    #[test]
    fn the_strictest_of_what_is_said_counts() {
        let specific = |inner: &str| format!("{{\"hookSpecificOutput\": {{{inner}}}}}");
        for (output, wanted, reason) in [
            ("", None, ""),
            ("{}", None, ""),
            (r#"{"decision": "block", "reason": "r"}"#, Some(Decision::Block), "r"),
            (r#"{"decision": "approve", "suppressOutput": true}"#, Some(Decision::Allow), ""),
            (
                &specific(r#""permissionDecision": "ask", "permissionDecisionReason": "r""#),
                Some(Decision::Ask),
                "r",
            ),
            (&specific(r#""permissionDecision": "deny""#), Some(Decision::Block), ""),
            (&specific(r#""decision": {"behavior": "deny", "message": "r"}"#), Some(Decision::Block), "r"),
            (&specific(r#""decision": {"behavior": "allow"}"#), Some(Decision::Allow), ""),
            (
                r#"{"decision": "approve", "hookSpecificOutput": {"permissionDecision": "deny"}}"#,
                Some(Decision::Block),
                "",
            ),
        ] {
            assert_eq!(decided(output), (wanted, reason.to_owned()), "{output}");
        }
    }

    #[test]
    fn a_call_that_is_to_be_changed_does_not_run_unchanged() {
        for output in [
            r#"{"hookSpecificOutput": {"permissionDecision": "allow", "updatedInput": {"command": "ls"}}}"#,
            r#"{"hookSpecificOutput": {"decision": {"behavior": "allow", "updatedInput": {}}}}"#,
        ] {
            let (decision, reason) = decided(output);
            assert_eq!(decision, Some(Decision::Block));
            assert!(reason.contains("`updatedInput`"), "{reason}");
        }
    }

    #[test]
    fn plain_text_is_for_the_model_where_a_session_or_a_turn_begins() {
        let context = |point| Answer::read(point, " look \n").unwrap().context;
        assert_eq!(context(HookPoint::SessionStart).as_deref(), Some("look"));
        assert_eq!(context(HookPoint::UserPromptSubmit).as_deref(), Some("look"));
        assert_eq!(context(HookPoint::PostToolUse), None);
    }

    #[test]
    fn what_is_no_answer_says_why() {
        for (output, why) in [
            ("{", "its output is not as it should be: EOF"),
            (r#"{"decision": 1}"#, "its output is not as it should be: invalid type"),
            (r#"{"decision": "blok"}"#, "`decision` cannot be `blok`"),
        ] {
            let error = read(output).unwrap_err();
            assert!(error.starts_with(why), "{error}");
        }
        let stop = read(r#"{"continue": false, "stopReason": "enough"}"#).unwrap();
        assert_eq!(stop.stops.as_deref(), Some("enough"));
        assert_eq!(read(r#"{"continue": true}"#).unwrap(), Answer::default());
    }
}
