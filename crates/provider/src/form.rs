//! Answers that must have a form: how a wire is made to give one, and what came of it. The surest way that the wire, the
//! schema and the tools beside it allow is taken: the provider enforces the schema; or the answer is the call of a tool;
//! or the provider enforces JSON; or it is only told. Sends nothing; whatever the way, answers are checked here, with the
//! schema as it was given. How the arguments of tools are held to theirs, `held` says.

use codetether_event::{
    ContentPart, Message, Reading, ResponseFormat, StopReason, Structured, ToolName, Way,
};
use codetether_schema::{self as schema, Answer, Dialect, Lowered, Unusable, Validator};
use serde_json::{Value, json};

use crate::held::{Held, StrictTools};
use crate::{Epoch, ToolDeclaration};

/// What the tool is called whose arguments are the answer.
const TOOL: &str = "final_answer";

/// What an endpoint can be made to do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Means {
    /// The schemas that it enforces; none where it enforces no schema.
    pub(crate) schemas: Option<Dialect>,
    /// Whether a model that is held to a schema can still call tools.
    pub(crate) beside_tools: bool,
    /// Whether it enforces JSON of any form.
    pub(crate) json: bool,
    /// Which tools' schemas it is told to hold the model to.
    pub(crate) strict_tools: StrictTools,
}

/// What the wire has to say of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Ask<'a> {
    /// Nothing.
    Nothing,
    /// The answer is held to this schema.
    Schema { name: &'a str, schema: &'a Value },
    /// A tool must be called: this one, if no other is there.
    Call { answer: &'a str, alone: bool },
    /// The answer is JSON.
    Json,
}

/// How the answers of an epoch are asked for.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The prefix, with what it must say of the form.
    pub(crate) epoch: Epoch,
    form: Option<Form>,
    /// Why nothing can be asked.
    problem: Option<String>,
    /// The tools that the server holds the model to.
    held: Held,
}

/// A form and the way to it.
#[derive(Debug)]
struct Form {
    way: Way,
    name: String,
    /// What the provider is given in place of the schema, where that differs.
    lowered: Option<Lowered>,
    /// Checks answers; none where any JSON will do.
    validator: Option<Validator>,
    /// The tool whose call is the answer.
    tool: Option<ToolName>,
}

impl Plan {
    /// Chooses the way.
    pub(crate) fn new(epoch: &Epoch, means: Means) -> Self {
        let mut plan = Self { epoch: epoch.clone(), form: None, problem: None, held: Held::default() };
        let held = epoch.tools.is_empty() || means.beside_tools;
        match &epoch.format {
            ResponseFormat::Text => {}
            ResponseFormat::Json => {
                let way = if means.json && held { epoch.way.max(Way::Json) } else { Way::Prompt };
                plan.tell("The answer is one JSON value, with nothing before or after it.");
                let name = String::new();
                plan.form = Some(Form { way, name, lowered: None, validator: None, tool: None });
            }
            ResponseFormat::Schema { name, schema, strict } => match Validator::new(schema) {
                Ok(validator) => plan.schema(means, held, name, schema, *strict, validator),
                Err(error) => {
                    plan.problem = Some(format!("the schema of the answer cannot be used: {error}"))
                }
            },
        }
        let answer = plan.form.as_ref().filter(|form| form.way == Way::Native);
        let answer = answer.and_then(|form| form.lowered.as_ref());
        plan.held = Held::new(means.strict_tools, &mut plan.epoch.tools, answer);
        plan
    }

    fn schema(
        &mut self,
        means: Means,
        held: bool,
        name: &str,
        schema: &Value,
        strict: bool,
        validator: Validator,
    ) {
        let mut form = Form {
            way: Way::Prompt,
            name: name.to_owned(),
            lowered: None,
            validator: Some(validator),
            tool: None,
        };
        let lowered = means.schemas.map(|dialect| schema::lower(schema, dialect));
        if let Some(lowered) =
            lowered.filter(|lowered| lowered.strict && held && self.epoch.way == Way::Native)
        {
            form.way = Way::Native;
            form.lowered = Some(lowered);
        } else if strict {
            self.problem = Some(
                "the provider would not enforce all of this schema: `codetether structured lower` says what, and \
                 without `strict` answers are checked all the same"
                    .into(),
            );
        } else if let Some(arguments) = arguments(schema, means).filter(|_| self.epoch.way <= Way::Tool) {
            form.way = Way::Tool;
            let name = self.free_name();
            self.tell(&format!(
                "When the work is done, answer by calling `{name}`, and say nothing besides."
            ));
            self.epoch.tools.push(ToolDeclaration {
                name: name.clone(),
                description: "Gives the answer, which ends the work. Call it once, alone, and last.".into(),
                schema: arguments.as_ref().map_or_else(|| schema.clone(), |lowered| lowered.schema.clone()),
                strict: false,
            });
            form.lowered = arguments;
            form.tool = Some(name);
        } else {
            if means.json && held && self.epoch.way <= Way::Json {
                form.way = Way::Json;
            }
            self.tell(&format!(
                "The answer is one JSON value that fits this JSON Schema, with nothing before or after it:\n{schema}"
            ));
        }
        self.form = Some(form);
    }

    fn tell(&mut self, text: &str) {
        let system = &mut self.epoch.system;
        if !system.is_empty() {
            system.push_str("\n\n");
        }
        system.push_str(text);
    }

    fn free_name(&self) -> ToolName {
        let taken = |name: &str| self.epoch.tools.iter().any(|tool| tool.name.as_str() == name);
        let mut name = TOOL.to_owned();
        while taken(&name) {
            name.push('_');
        }
        ToolName::new(name)
    }

    /// What the wire has to say.
    pub(crate) fn ask(&self) -> Ask<'_> {
        let Some(form) = &self.form else { return Ask::Nothing };
        match (form.way, &form.tool, &form.lowered) {
            (Way::Native, _, Some(lowered)) => Ask::Schema { name: &form.name, schema: &lowered.schema },
            (Way::Tool, Some(answer), _) => {
                Ask::Call { answer: answer.as_str(), alone: self.epoch.tools.len() == 1 }
            }
            (Way::Json, ..) => Ask::Json,
            _ => Ask::Nothing,
        }
    }

    /// Why nothing can be asked, if so.
    pub(crate) fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// The way that was chosen.
    pub(crate) fn way(&self) -> Option<Way> {
        self.form.as_ref().map(|form| form.way)
    }

    /// Whether the server was told to hold the model to the schemas of tools.
    pub(crate) fn has_strict_tools(&self) -> bool {
        !self.held.is_empty()
    }

    /// Reads an answer. Arguments become what the tools' own schemas say. An answer that was given by the call of the
    /// tool becomes text, as if it had been said.
    pub(crate) fn read(&self, message: &mut Message, stop: &mut StopReason) -> Option<Structured> {
        self.held.raise(message);
        let form = self.form.as_ref()?;
        let given = form.tool.as_ref().and_then(|tool| take_answer(message, tool));
        if given.is_some() && *stop == StopReason::ToolUse {
            *stop = StopReason::EndTurn;
        }
        let done = message.calls().next().is_none() && *stop != StopReason::Refused;
        let reading = done.then(|| match &given {
            Some(arguments) => form.read(arguments),
            None => form.read_said(&message.text()),
        });
        Some(Structured { way: form.way, reading })
    }
}

impl Form {
    /// Reads what was said where the tool was to be called.
    fn read_said(&self, text: &str) -> Reading {
        match (self.read(text), &self.tool) {
            (Reading::Misfits { problem }, Some(tool)) => {
                Reading::Misfits { problem: format!("`{tool}` was not called, and {problem}") }
            }
            (reading, _) => reading,
        }
    }

    fn read(&self, text: &str) -> Reading {
        let answer = match &self.validator {
            Some(validator) => schema::read_answer(text, validator, self.lowered.as_ref()),
            None => any(text),
        };
        match answer {
            Ok(answer) if answer.was_cut => Reading::Misfits { problem: "it ends in the middle".into() },
            Ok(answer) => Reading::Fits { rung: answer.rung, value: Box::new(answer.value) },
            Err(unusable) => Reading::Misfits { problem: unusable.to_string() },
        }
    }
}

fn any(text: &str) -> Result<Answer, Unusable> {
    // A schema that everything fits.
    let anything = Validator::new(&json!({})).map_err(|_| schema::Unrepairable::NoValue)?;
    schema::read_answer(text, &anything, None)
}

/// A tool's arguments in place of an answer: the schema itself where it is one of objects, else what holds the answer
/// in an object; nothing where that would lose too much.
fn arguments(schema: &Value, means: Means) -> Option<Option<Lowered>> {
    let object = schema.get("type").and_then(Value::as_str) == Some("object");
    match means.schemas {
        // The only one that refuses what it does not know.
        Some(Dialect::Gemini) => Some(Some(schema::lower_tool(schema, Dialect::Gemini))),
        _ if object => Some(None),
        dialect => {
            let lowered = schema::lower_tool(schema, dialect.unwrap_or(Dialect::OpenAi));
            lowered.strict.then_some(Some(lowered))
        }
    }
}

/// Takes the answer out of the calls, and puts it where text would stand; what was called beside it comes first, so
/// then the answer came too early and is dropped.
fn take_answer(message: &mut Message, tool: &ToolName) -> Option<String> {
    let early = message.calls().any(|call| call.name != *tool);
    let given = message.calls().find(|call| call.name == *tool)?.arguments.clone();
    let mut first = !early;
    message.parts.retain_mut(|part| match part {
        ContentPart::ToolCall(call) if call.name == *tool => {
            if first {
                *part = ContentPart::text(given.as_str());
            }
            std::mem::take(&mut first)
        }
        _ => true,
    });
    (!early).then_some(given)
}
