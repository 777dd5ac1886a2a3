//! Tools whose arguments the server holds the model to: what it is given in place of their schemas, and what becomes of
//! the arguments that come back. A tool whose schema the server could not hold without forcing wrong arguments is
//! declared as it is. Whatever the server says it does, arguments are checked with the tools' own schemas elsewhere.

use codetether_event::{ContentPart, Message, ToolName};
use codetether_schema::{self as schema, Dialect, Lowered};

use crate::ToolDeclaration;

/// Which tools' schemas a server is told to hold the model to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StrictTools {
    /// None.
    Never,
    /// Each that loses nothing unsafe in this dialect.
    Each(Dialect),
    /// All, or none where one of them would lose something unsafe: the server has one switch for the request.
    Together(Dialect),
}

/// What the server was given in place of the tools' own schemas.
#[derive(Debug, Default)]
pub(crate) struct Held(Vec<(ToolName, Lowered)>);

impl Held {
    /// Makes the tools strict that can be. `answer` is what the answer itself is held to beside them.
    pub(crate) fn new(which: StrictTools, tools: &mut [ToolDeclaration], answer: Option<&Lowered>) -> Self {
        let (dialect, together) = match which {
            StrictTools::Never => return Self::default(),
            StrictTools::Each(dialect) => (dialect, false),
            StrictTools::Together(dialect) => (dialect, true),
        };
        let lowered = schema::lower_tools(tools.iter().map(|tool| &tool.schema), answer, dialect);
        if together && !lowered.iter().all(|lowered| lowered.strict) {
            return Self::default();
        }
        let strict = tools.iter_mut().zip(lowered).filter(|(_, lowered)| lowered.strict);
        let hold = |(tool, lowered): (&mut ToolDeclaration, Lowered)| {
            tool.schema.clone_from(&lowered.schema);
            tool.strict = true;
            (tool.name.clone(), lowered)
        };
        Self(strict.map(hold).collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Undoes in the arguments of calls what was done to the tools' schemas.
    pub(crate) fn raise(&self, message: &mut Message) {
        for part in &mut message.parts {
            if let ContentPart::ToolCall(call) = part
                && let Some((_, lowered)) = self.0.iter().find(|(name, _)| *name == call.name)
                && let Some(raised) = lowered.raise_arguments(&call.arguments)
            {
                call.arguments = raised;
            }
        }
    }
}
