//! `call_tool`: how tools are called that the model was not shown at first. A call through it becomes a call of the tool that
//! it names before it is judged, so what comes to this one names none.

use codetether_event::Touches;
use codetether_tool::{Args, BoxFuture, CALL_TOOL, Tool, ToolContext, ToolError, ToolOutput, ToolSpec};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::spec;

#[derive(Deserialize, JsonSchema)]
struct CallToolArgs {
    /// As `tool_search` gave it
    name: String,
    /// What fits the schema that it gave
    #[allow(dead_code, reason = "read from the call before it comes here")]
    arguments: Map<String, Value>,
}

/// The tool `call_tool`.
pub struct CallTool {
    spec: ToolSpec,
}

impl Default for CallTool {
    fn default() -> Self {
        let description = "Call a tool that `tool_search` found.";
        Self { spec: spec::<CallToolArgs>(CALL_TOOL, description) }
    }
}

impl Tool for CallTool {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn touches(&self, _: &Args) -> Touches {
        Touches::default()
    }

    fn preview<'a>(&'a self, args: &'a Args, _: &'a ToolContext) -> BoxFuture<'a, String> {
        Box::pin(async move {
            args.parse::<CallToolArgs>().map_or_else(|error| error.to_string(), |args| args.name)
        })
    }

    fn call<'a>(&'a self, args: Args, _: &'a ToolContext) -> BoxFuture<'a, Result<ToolOutput, ToolError>> {
        Box::pin(async move {
            let args: CallToolArgs = args.parse()?;
            Err(ToolError::ForModel(format!("`{}` cannot be called in this way", args.name)))
        })
    }
}
