//! The arguments of calls, read by the tools' own schemas: the same text reads the same when a call is judged and when
//! it runs. Judges nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use codetether_event::{Rung, ToolCall, ToolName};
use codetether_schema::Validator;
use codetether_tool::{Args, Tool};

/// Compiles each tool's schema once.
#[derive(Debug, Default)]
pub(crate) struct Readings {
    validators: Mutex<HashMap<ToolName, Arc<Validator>>>,
}

impl Readings {
    /// The arguments and how far they had to be helped; or, for the model, what does not fit.
    ///
    /// # Errors
    /// When the tool's schema is itself wrong: a fault of ours.
    pub(crate) fn read(
        &self,
        call: &ToolCall,
        tool: &dyn Tool,
    ) -> Result<Result<(Args, Rung), String>, String> {
        let validator = self.validator(&call.name, tool)?;
        let read = codetether_schema::read_arguments(&call.arguments, &validator);
        Ok(read.map(|(value, rung)| (Args(value), rung)))
    }

    fn validator(&self, name: &ToolName, tool: &dyn Tool) -> Result<Arc<Validator>, String> {
        let mut validators = self.validators.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(validator) = validators.get(name) {
            return Ok(validator.clone());
        }
        let compiled = Arc::new(Validator::new(&tool.spec().schema).map_err(|error| error.to_string())?);
        validators.insert(name.clone(), compiled.clone());
        Ok(compiled)
    }
}
