//! The tools of one request: lowered each by itself, and then counted together, since some of a provider's limits hold
//! for a whole request. What is past them is not strict, and all before it stays so.

use serde_json::Value;

use super::{Lowered, Tally, lower_tool};
use crate::dialect::Dialect;
use crate::loss::{Loss, LossKind};

/// Lowers the schemas of a request's tools, in their order. `answer` is what the answer of the same request is held to.
///
/// One that is not [`Lowered::strict`] must be declared as it was, unstrictly: the provider would force wrong
/// arguments, or refuse the request.
#[must_use]
pub fn lower_tools<'s>(
    schemas: impl IntoIterator<Item = &'s Value>,
    answer: Option<&Lowered>,
    dialect: Dialect,
) -> Vec<Lowered> {
    let limits = &dialect.rules().limits;
    let mut used = answer.map_or(Tally::default(), |answer| Tally::of(&answer.schema, limits));
    let mut tools = 0_usize;
    let lower = |schema| {
        let mut lowered = lower_tool(schema, dialect);
        if lowered.strict {
            let with = used.and(Tally::of(&lowered.schema, limits));
            let many = (tools >= limits.strict_tools).then_some((limits.strict_tools, "strict tools"));
            match many.or_else(|| with.past(limits).map(|(most, _, what)| (most, what)).next()) {
                None => {
                    used = with;
                    tools += 1;
                }
                Some((most, what)) => {
                    lowered.strict = false;
                    lowered.losses.push(Loss {
                        path: String::new(),
                        keyword: "properties".into(),
                        kind: LossKind::Limit,
                        why: format!("the provider takes {most} {what} in one request, and with those before it there are more"),
                    });
                }
            }
        }
        lowered
    };
    schemas.into_iter().map(lower).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::lower;

    /// A tool with so many properties that may be left out.
    fn tool(optional: usize) -> Value {
        let properties: serde_json::Map<String, Value> =
            (0..optional).map(|n| (format!("p{n}"), json!({"type": "string"}))).collect();
        json!({"type": "object", "properties": properties, "additionalProperties": false})
    }

    fn strict(tools: &[Value], answer: Option<&Lowered>, dialect: Dialect) -> Vec<bool> {
        lower_tools(tools, answer, dialect).iter().map(|lowered| lowered.strict).collect()
    }

    #[test]
    fn a_providers_limits_hold_for_all_tools_of_a_request() {
        let tools = [tool(10), tool(10), tool(10), tool(4)];
        assert_eq!(strict(&tools, None, Dialect::Anthropic), [true, true, false, true]);
        assert_eq!(strict(&tools, None, Dialect::OpenAi), [true; 4]);
        let answer = lower(&tool(10), Dialect::Anthropic);
        assert_eq!(strict(&tools, Some(&answer), Dialect::Anthropic), [true, false, false, true]);
        let lowered = lower_tools(&tools, None, Dialect::Anthropic);
        let wanted = "the provider takes 24 optional properties in one request, and with those before it there are more";
        let losses: Vec<_> = lowered[2].losses.iter().map(|loss| (loss.kind, loss.why.as_str())).collect();
        assert_eq!(losses, [(LossKind::Limit, wanted)]);
    }

    #[test]
    fn a_provider_takes_only_so_many_strict_tools() {
        let tools = vec![tool(0); 22];
        let strict = strict(&tools, None, Dialect::Anthropic);
        assert_eq!(strict.iter().filter(|strict| **strict).count(), 20);
        assert_eq!(strict[19..], [true, false, false]);
    }

    #[test]
    fn a_tool_whose_schema_would_lose_something_takes_nothing_from_the_others() {
        let open = json!({"type": "object", "additionalProperties": {"type": "string"}});
        assert_eq!(strict(&[open, tool(24)], None, Dialect::Anthropic), [false, true]);
    }
}
