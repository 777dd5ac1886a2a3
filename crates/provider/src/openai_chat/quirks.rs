//! What differs between servers of this wire, by name. Each quirk is documented by the source of a vendor's SDK or of
//! LiteLLM; which vendor has which, `vendors` says. Never decides by a model's name.

use codetether_event::Effort;

/// What is an endpoint's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quirks {
    pub(crate) limit: LimitName,
    pub(crate) usage: UsageField,
    pub(crate) effort: EffortField,
    pub(crate) reasoning: GivenBack,
    pub(crate) ids: AnswerIds,
    pub(crate) key: KeyHeader,
    /// Requests carry headers with the program's name.
    pub(crate) names_program: bool,
    /// The dialogue is named, so that its prefix is found in the cache; others may refuse what they do not know.
    pub(crate) cache_key: bool,
}

impl Quirks {
    /// As most servers have it.
    pub(crate) const NONE: Self = Self {
        limit: LimitName::MaxTokens,
        usage: UsageField::StreamOptions,
        effort: EffortField::Field,
        reasoning: GivenBack::Never,
        ids: AnswerIds::Any,
        key: KeyHeader::Bearer,
        names_program: false,
        cache_key: false,
    };
}

/// What the wire calls the limit of an answer's tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LimitName {
    /// Where OpenAI's reasoning models are: they refuse the other.
    MaxCompletionTokens,
    /// Everyone else.
    MaxTokens,
}

impl LimitName {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::MaxCompletionTokens => "max_completion_tokens",
            Self::MaxTokens => "max_tokens",
        }
    }
}

/// How usage is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UsageField {
    /// `stream_options: {include_usage: true}`.
    StreamOptions,
    /// `usage: {include: true}`.
    Include,
    /// It comes by itself.
    Unasked,
}

/// How the effort is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EffortField {
    /// `reasoning_effort`.
    Field,
    /// `reasoning: {effort}`.
    Object,
    /// `thinking: {type: enabled | disabled}`: as little as the model allows is none.
    Thinking,
    /// The same, and `reasoning_effort` beside it.
    ThinkingAndField,
}

impl EffortField {
    /// What is added to the request's object.
    pub(super) fn json(self, effort: Effort) -> String {
        let name = effort.as_str();
        let thinking = || match effort {
            Effort::Minimal => r#","thinking":{"type":"disabled"}"#.to_owned(),
            Effort::Low | Effort::Medium | Effort::High => r#","thinking":{"type":"enabled"}"#.to_owned(),
        };
        let field = || format!(r#","reasoning_effort":"{name}""#);
        match self {
            Self::Field => field(),
            Self::Object => format!(r#","reasoning":{{"effort":"{name}"}}"#),
            Self::Thinking => thinking(),
            Self::ThinkingAndField if effort == Effort::Minimal => thinking(),
            Self::ThinkingAndField => thinking() + &field(),
        }
    }
}

/// Whether the model is given back what it thought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GivenBack {
    /// It is not.
    Never,
    /// As the text `reasoning_content`.
    Content,
    /// As the list `reasoning_details`, unchanged.
    Details,
}

/// What calls may be named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AnswerIds {
    /// Anything.
    Any,
    /// Nine letters and digits; other names are replaced by such, always by the same.
    NineAlphanumerics,
}

impl AnswerIds {
    /// The id that stands for this one on the wire.
    pub(super) fn sent(self, id: &str) -> String {
        let fits = id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if self == Self::Any || fits {
            return id.to_owned();
        }
        // FNV-1a: no other need than that the same id gives the same letters, in every build.
        let mut hash = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        });
        (0..9)
            .map(|_| {
                let digit = u32::try_from(hash % 36).unwrap_or_default();
                hash /= 36;
                char::from_digit(digit, 36).unwrap_or('0')
            })
            .collect()
    }
}

/// Which header holds the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyHeader {
    /// `Authorization: Bearer KEY`.
    Bearer,
    /// `api-key: KEY`.
    ApiKey,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_effort_is_said_in_each_vendors_words() {
        let said = |field: EffortField| [Effort::Minimal, Effort::High].map(|effort| field.json(effort));
        assert_eq!(
            said(EffortField::Field),
            [r#","reasoning_effort":"minimal""#, r#","reasoning_effort":"high""#]
        );
        assert_eq!(said(EffortField::Object)[1], r#","reasoning":{"effort":"high"}"#);
        let (off, on) = (r#","thinking":{"type":"disabled"}"#, r#","thinking":{"type":"enabled"}"#);
        assert_eq!(said(EffortField::Thinking), [off, on]);
        assert_eq!(
            said(EffortField::ThinkingAndField),
            [off.to_owned(), format!(r#"{on},"reasoning_effort":"high""#)]
        );
    }

    #[test]
    fn ids_that_do_not_fit_are_replaced_by_nine_letters_always_the_same() {
        let sent = |id: &str| AnswerIds::NineAlphanumerics.sent(id);
        assert_eq!(sent("aB3dE6gH9"), "aB3dE6gH9");
        let made: Vec<_> = ["", "call_0", "call_1", "äöü", "call_1234"].map(sent).into();
        for id in &made {
            assert!(id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{id}");
        }
        assert_eq!(made.iter().collect::<std::collections::HashSet<_>>().len(), 5, "{made:?}");
        assert_eq!(sent("call_0"), made[1]);
        assert_eq!(AnswerIds::Any.sent("call_0"), "call_0");
    }
}
