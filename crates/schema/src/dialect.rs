//! The subsets of JSON Schema that providers take, as data: what may be written, how it is spelled, and the limits.
//! Knows nothing of any one schema.

use serde_json::Value;

/// Whose subset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dialect {
    /// OpenAI's strict mode, in Chat Completions and Responses.
    OpenAi,
    /// Anthropic's `output_config.format` and strict tools.
    Anthropic,
    /// Gemini's `responseJsonSchema` and `parametersJsonSchema`.
    Gemini,
    /// Gemini's older `responseSchema` and `parameters`, which are after OpenAPI 3.0.
    GeminiOpenApi,
    /// OpenRouter: what OpenAI takes is what most of its hosts take.
    OpenRouter,
    /// Ollama, llama-server, LM Studio: what llama.cpp turns into a grammar.
    Ollama,
}

impl Dialect {
    /// Every dialect.
    pub const ALL: [Self; 6] =
        [Self::OpenAi, Self::Anthropic, Self::Gemini, Self::GeminiOpenApi, Self::OpenRouter, Self::Ollama];

    /// Its name on a command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::GeminiOpenApi => "gemini-openapi",
            Self::OpenRouter => "openrouter",
            Self::Ollama => "ollama",
        }
    }

    /// The dialect of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dialect| dialect.as_str() == name)
    }

    pub(crate) fn rules(self) -> &'static Rules {
        match self {
            Self::OpenAi | Self::OpenRouter => &OPENAI,
            Self::Anthropic => &ANTHROPIC,
            Self::Gemini => &GEMINI,
            Self::GeminiOpenApi => &GEMINI_OPENAPI,
            Self::Ollama => &OLLAMA,
        }
    }
}

/// What one provider takes.
#[derive(Debug)]
pub(crate) struct Rules {
    /// The root of an answer's schema must be an object.
    pub(crate) object_root: bool,
    /// Every property must be required; what may be left out is null instead.
    pub(crate) all_required: bool,
    /// Objects must refuse properties that are not named.
    pub(crate) closed: bool,
    pub(crate) refs: Refs,
    /// `"$ref": "#"` is understood.
    pub(crate) root_ref: bool,
    pub(crate) null: Null,
    pub(crate) any: Any,
    pub(crate) tuples: Tuples,
    pub(crate) literals: Literals,
    /// One value is spelled `const`, not as an `enum` of one.
    pub(crate) constants: bool,
    pub(crate) property_ordering: bool,
    /// `STRING`, not `string`.
    pub(crate) uppercase_types: bool,
    pub(crate) formats: &'static [&'static str],
    pub(crate) string: &'static [&'static str],
    pub(crate) number: &'static [&'static str],
    pub(crate) integer: &'static [&'static str],
    pub(crate) array: &'static [&'static str],
    /// Of a string's keywords only the first is heeded, in the order of `string`.
    pub(crate) one_string_rule: bool,
    pub(crate) patterns: Patterns,
    /// Largest `minItems`.
    pub(crate) most_min_items: u64,
    /// Largest count in a length or number of items.
    pub(crate) most_repetition: u64,
    pub(crate) limits: Limits,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refs {
    /// There is no `$ref`.
    None,
    /// `$ref`, but no recursion.
    Acyclic,
    /// A `$ref` that recurs must be in a property that may be left out.
    CyclicIfOptional,
    /// `$ref` as one likes.
    Cyclic,
}

/// How "or null" is spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Null {
    /// `"type": ["string", "null"]`.
    InType,
    /// `"anyOf": [..., {"type": "null"}]`.
    InUnion,
    /// `"nullable": true`.
    Flag,
}

/// How "any value" is spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Any {
    /// `{}`.
    Empty,
    /// All types in an array.
    AllTypes,
    /// Not at all.
    Unspeakable,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tuples {
    None,
    /// `prefixItems`.
    Prefix,
    /// `prefixItems`, of exactly that length.
    Fixed,
}

/// What an `enum` may list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Literals {
    Anything,
    Primitives,
    StringsAndNumbers,
    Strings,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patterns {
    /// All but what looks around or back.
    Regular,
    /// Anchored at both ends, and with no classes by name.
    Plain,
}

/// Limits of a whole schema.
#[derive(Debug)]
pub(crate) struct Limits {
    /// Objects and arrays inside one another, the root counted.
    pub(crate) depth: usize,
    pub(crate) properties: usize,
    pub(crate) enum_values: usize,
    /// Bytes of the names of properties and definitions, and of values in `enum` and `const`.
    pub(crate) text: usize,
    /// An `enum` of more strings than this ...
    pub(crate) long_enum: usize,
    /// ... may have this many bytes.
    pub(crate) long_enum_text: usize,
    /// Properties that may be left out.
    pub(crate) optional: usize,
    /// Properties of a union type.
    pub(crate) unions: usize,
    /// Strict tools in one request, in which the two above count together.
    pub(crate) strict_tools: usize,
}

const NO_LIMITS: Limits = Limits {
    depth: 64,
    properties: usize::MAX,
    enum_values: usize::MAX,
    // No provider's, but ours: what is written out in many places must not grow without end.
    text: 8 << 20,
    long_enum: usize::MAX,
    long_enum_text: usize::MAX,
    optional: usize::MAX,
    unions: usize::MAX,
    strict_tools: usize::MAX,
};

/// <https://platform.openai.com/docs/guides/structured-outputs#supported-schemas>
const OPENAI: Rules = Rules {
    object_root: true,
    all_required: true,
    closed: true,
    refs: Refs::Cyclic,
    root_ref: true,
    null: Null::InType,
    any: Any::Unspeakable,
    tuples: Tuples::None,
    literals: Literals::Primitives,
    constants: true,
    property_ordering: false,
    uppercase_types: false,
    formats: &["date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"],
    string: &["pattern", "format"],
    number: &["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"],
    integer: &["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"],
    array: &["minItems", "maxItems"],
    one_string_rule: false,
    patterns: Patterns::Regular,
    most_min_items: u64::MAX,
    most_repetition: u64::MAX,
    limits: Limits {
        depth: 10,
        properties: 5_000,
        enum_values: 1_000,
        text: 120_000,
        long_enum: 250,
        long_enum_text: 15_000,
        ..NO_LIMITS
    },
};

/// <https://platform.claude.com/docs/en/build-with-claude/structured-outputs>
const ANTHROPIC: Rules = Rules {
    object_root: true,
    all_required: false,
    closed: true,
    refs: Refs::Acyclic,
    root_ref: false,
    null: Null::InUnion,
    any: Any::Unspeakable,
    tuples: Tuples::None,
    literals: Literals::Primitives,
    constants: true,
    property_ordering: false,
    uppercase_types: false,
    formats: &["date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"],
    string: &["format"],
    number: &[],
    integer: &[],
    array: &["minItems"],
    one_string_rule: false,
    patterns: Patterns::Regular,
    most_min_items: 1,
    most_repetition: u64::MAX,
    limits: Limits { optional: 24, unions: 16, strict_tools: 20, ..NO_LIMITS },
};

/// <https://ai.google.dev/api/generate-content#generationconfig>, `responseJsonSchema`.
const GEMINI: Rules = Rules {
    object_root: false,
    all_required: false,
    closed: false,
    refs: Refs::CyclicIfOptional,
    root_ref: false,
    null: Null::InType,
    any: Any::Empty,
    tuples: Tuples::Prefix,
    literals: Literals::StringsAndNumbers,
    constants: false,
    property_ordering: true,
    uppercase_types: false,
    formats: &["date-time", "date", "time"],
    string: &["format"],
    number: &["minimum", "maximum"],
    integer: &["minimum", "maximum"],
    array: &["minItems", "maxItems"],
    one_string_rule: false,
    patterns: Patterns::Regular,
    most_min_items: u64::MAX,
    most_repetition: u64::MAX,
    limits: NO_LIMITS,
};

/// <https://ai.google.dev/api/caching#Schema>
const GEMINI_OPENAPI: Rules = Rules {
    object_root: false,
    all_required: false,
    closed: true,
    refs: Refs::None,
    root_ref: false,
    null: Null::Flag,
    any: Any::Unspeakable,
    tuples: Tuples::None,
    literals: Literals::Strings,
    constants: false,
    property_ordering: true,
    uppercase_types: true,
    formats: &["date-time"],
    string: &["pattern", "format", "minLength", "maxLength"],
    number: &["minimum", "maximum"],
    integer: &["minimum", "maximum"],
    array: &["minItems", "maxItems"],
    one_string_rule: false,
    patterns: Patterns::Regular,
    most_min_items: u64::MAX,
    most_repetition: u64::MAX,
    limits: NO_LIMITS,
};

/// llama.cpp's `common/json-schema-to-grammar.cpp`.
const OLLAMA: Rules = Rules {
    object_root: false,
    all_required: false,
    closed: false,
    refs: Refs::Cyclic,
    root_ref: false,
    null: Null::InUnion,
    any: Any::AllTypes,
    tuples: Tuples::Fixed,
    literals: Literals::Anything,
    constants: true,
    property_ordering: false,
    uppercase_types: false,
    formats: &["date-time", "date", "time", "uuid"],
    string: &["pattern", "format", "minLength", "maxLength"],
    number: &[],
    integer: &["minimum", "maximum"],
    array: &["minItems", "maxItems"],
    one_string_rule: true,
    patterns: Patterns::Plain,
    most_min_items: u64::MAX,
    // The grammar's own limit of a repetition.
    most_repetition: 2_000,
    limits: NO_LIMITS,
};

impl Rules {
    /// Whether the provider heeds this keyword, with this value, of a schema of this type.
    pub(crate) fn heeds(&self, kind: &str, keyword: &str, value: &Value) -> bool {
        let keywords = match kind {
            "string" => self.string,
            "number" => self.number,
            "integer" => self.integer,
            "array" => self.array,
            _ => return false,
        };
        keywords.contains(&keyword)
            && match keyword {
                "format" => value.as_str().is_some_and(|format| self.formats.contains(&format)),
                "pattern" => value.as_str().is_some_and(|pattern| self.patterns.take(pattern)),
                "minItems" => {
                    value.as_u64().is_some_and(|n| n <= self.most_min_items && n <= self.most_repetition)
                }
                "maxItems" | "minLength" | "maxLength" => {
                    value.as_u64().is_some_and(|n| n <= self.most_repetition)
                }
                "multipleOf" => value.as_f64().is_some_and(|n| n > 0.0),
                _ if kind == "integer" => value.as_i64().is_some() || !self.one_string_rule,
                _ => value.is_number(),
            }
    }
}

impl Patterns {
    fn take(self, pattern: &str) -> bool {
        match self {
            Self::Regular => {
                let back =
                    pattern.as_bytes().windows(2).any(|pair| matches!(pair, [b'\\', b'1'..=b'9' | b'k']));
                let around = ["(?=", "(?!", "(?<", "(?P", "\\b", "\\B", "\\p", "\\P"];
                !back && !around.iter().any(|part| pattern.contains(part))
            }
            Self::Plain => {
                let Some(inside) = pattern.strip_prefix('^').and_then(|rest| rest.strip_suffix('$')) else {
                    return false;
                };
                // A character class may begin with `^`.
                let anchors = inside.replace("[^", "[");
                !inside.contains('\\')
                    && !inside.contains("(?")
                    && !anchors.contains(['^', '$', '"'])
                    && inside.is_ascii()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_dialect_is_found_by_its_name() {
        for dialect in Dialect::ALL {
            assert_eq!(Dialect::from_name(dialect.as_str()), Some(dialect));
        }
        assert_eq!(Dialect::from_name("bedrock"), None);
    }

    #[test]
    fn patterns_that_a_provider_would_refuse_are_not_given_to_it() {
        let openai = |pattern: &str| OPENAI.heeds("string", "pattern", &json!(pattern));
        assert!(openai("^[a-z]+$") && openai(r"\d{3}"));
        assert!(!openai("(?=a)b") && !openai(r"(a)\1") && !openai(r"\bword"));
        let ollama = |pattern: &str| OLLAMA.heeds("string", "pattern", &json!(pattern));
        assert!(ollama("^[a-z]+$") && ollama("^[^x]{1,3}$"));
        assert!(!ollama("[a-z]+") && !ollama(r"^\d$") && !ollama("^a$|^b$") && !ollama("^a"));
    }

    #[test]
    fn a_count_that_a_provider_would_refuse_is_not_given_to_it() {
        assert!(ANTHROPIC.heeds("array", "minItems", &json!(1)));
        assert!(!ANTHROPIC.heeds("array", "minItems", &json!(2)));
        assert!(OLLAMA.heeds("string", "maxLength", &json!(2_000)));
        assert!(!OLLAMA.heeds("string", "maxLength", &json!(2_001)));
        assert!(!OPENAI.heeds("number", "multipleOf", &json!(0)));
        assert!(!OPENAI.heeds("string", "minLength", &json!(1)));
    }
}
