//! What every provider offers.

use std::pin::Pin;

use codetether_event::{
    Effort, Message, ModelId, Money, Piece, ProviderFailure, ResponseFormat, StopReason, Structured,
    Temperature, ToolName, Usage, Way,
};
use codetether_files::BlobStore;
use serde_json::Value;
pub use tokio_util::sync::CancellationToken as Cancel;

use crate::listing::Listed;

/// A future on the heap, as trait objects need it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A model's endpoint.
pub trait Provider: Send + Sync {
    /// Begins a dialogue on this prefix. Reaches no network.
    fn dialogue(&self, epoch: &Epoch) -> Box<dyn Dialogue>;

    /// Asks which models it offers, all pages of them. Takes no longer than a minute.
    ///
    /// # Errors
    /// When it cannot be asked, says no, or answers with something else.
    fn models(&self) -> BoxFuture<'_, Result<Vec<Listed>, ProviderFailure>>;
}

/// The fixed prefix of a dialogue.
#[derive(Debug, Clone, PartialEq)]
pub struct Epoch {
    /// The model that is asked.
    pub model: ModelId,
    /// The system prompt.
    pub system: String,
    /// The tools offered, in the order in which the model sees them.
    pub tools: Vec<ToolDeclaration>,
    /// What answers must be.
    pub format: ResponseFormat,
    /// The surest way of asking for that which is still to be tried.
    pub way: Way,
}

/// A tool as the model sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolDeclaration {
    /// Its name.
    pub name: ToolName,
    /// What it does.
    pub description: String,
    /// JSON Schema of its arguments.
    pub schema: Value,
    /// Whether the server holds the model to the schema, which then is written as the server takes it. A dialogue sees
    /// to both where its endpoint does that; whoever begins one leaves it `false`.
    pub strict: bool,
}

/// A growing conversation with one model: a cache of wire bytes that only grow, so that the prefix of each
/// request is the whole of the one before. It can be rebuilt at any time from the context.
pub trait Dialogue: Send {
    /// Appends a message.
    ///
    /// # Errors
    /// When an image's blob cannot be read.
    fn push(&mut self, message: &Message, blobs: &BlobStore) -> Result<(), codetether_files::Error>;

    /// A bound that the tokens of the next request's prompt do not pass, by what the server counted of earlier ones.
    fn most_input(&self) -> u64;

    /// How answers of the epoch's form are asked for; nothing where they are text as the model likes.
    fn way(&self) -> Option<Way>;

    /// What the provider said that the last sample cost, where it says so.
    fn told_cost(&self) -> Option<Money> {
        None
    }

    /// Asks for the next answer: one attempt. Pieces go to `out` as they come. The answer is *not* appended.
    ///
    /// # Errors
    /// [`SampleError::Failed`] when there is no whole answer, [`SampleError::Interrupted`] when `cancel` fired.
    fn sample<'a>(
        &'a mut self,
        spec: &'a SampleSpec,
        out: &'a mut (dyn FnMut(Piece) + Send),
        cancel: &'a Cancel,
    ) -> BoxFuture<'a, Result<Sampled, SampleError>>;
}

/// What is asked of one sample.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SampleSpec {
    /// How hard the model should think; the provider's default when absent.
    pub effort: Option<Effort>,
    /// Most tokens of the answer; the provider's default when absent.
    pub max_output: Option<u32>,
    /// How much is left to chance; the provider's default when absent.
    pub temperature: Option<Temperature>,
    /// Names the dialogue to providers that find its prefix in their cache by a name.
    pub cache_key: Option<String>,
    /// Whether the answer must make a call; taken by models of this program and over Chat Completions.
    pub must_call: bool,
    /// Differs from request to request, also where all else is the same; what is left to chance is drawn by it, where that
    /// is done in this program.
    pub draw: u64,
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sampled {
    /// The answer: reasoning, text and calls in the order in which they came.
    pub message: Message,
    /// What came of it, where it must have a form.
    pub structured: Option<Structured>,
    /// Why the model stopped.
    pub stop: StopReason,
    /// Tokens, as reported, or estimated and marked so.
    pub usage: Usage,
}

/// Why there is no whole answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SampleError {
    /// The attempt failed.
    #[error("{}", .failure.message)]
    Failed {
        /// How.
        failure: ProviderFailure,
        /// Tokens that were spent all the same, as far as known. None, but `estimated`: the request was sent and not
        /// answered in time, so that nobody knows what will be billed.
        usage: Usage,
    },
    /// It was cancelled.
    #[error("interrupted")]
    Interrupted {
        /// The text that had come by then, without calls; absent when there was none.
        partial: Option<Message>,
        /// Tokens spent: reported, or estimated from what came.
        usage: Usage,
    },
}
