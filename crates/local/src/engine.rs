//! What a language model's engine must be able to do: tokens in, logits out, and work on sequences. Knows no conversation,
//! no sampling and no socket. There is one in the program (`llama`), and scripted ones in tests.

use std::path::Path;
use std::sync::Arc;

/// A token's number in the model's vocabulary.
pub type Token = i32;

/// All tokens of a model.
#[derive(Debug, Clone, Default)]
pub struct Vocabulary {
    /// The bytes of each, by its number; empty for those that stand for no text.
    pub bytes: Vec<Vec<u8>>,
    /// Those that end an answer.
    pub ends: Vec<Token>,
    /// The one that begins every prompt, where the model wants one.
    pub begin: Option<Token>,
    /// How templates write those that no text is made of.
    pub control: Vec<(String, Token)>,
}

/// What is known of a loaded model.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Names the weights and the build that reads them: states of another name are not for this one.
    pub id: String,
    /// `tokenizer.chat_template`, where the file has one.
    pub template: Option<String>,
    /// Tokens that all sequences have room for together, and one alone can have.
    pub window: usize,
    /// How many sequences there are.
    pub sequences: usize,
}

/// One token to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The sequence.
    pub sequence: usize,
    /// Its place in it, from 0.
    pub position: usize,
    /// The token.
    pub token: Token,
    /// Whether logits behind it are wanted.
    pub wanted: bool,
}

/// Why rows were not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// The sequences fill the window; nothing was read.
    #[error("the engine's context is full")]
    Full,
    /// The engine failed.
    #[error("the engine failed: {0}")]
    Failed(String),
}

/// A loaded model.
pub trait Engine: Send {
    /// Its tokens.
    fn vocabulary(&self) -> &Arc<Vocabulary>;

    /// What it is.
    fn facts(&self) -> &Facts;

    /// The tokens of a text, which is never taken for a control token, whatever it looks like.
    fn tokens(&self, text: &str) -> Vec<Token>;

    /// Reads rows, for any sequences; those of one sequence go on where it ends.
    ///
    /// # Errors
    /// [`EngineError::Full`] where they have no room; nothing was read then.
    fn read(&mut self, rows: &[Row]) -> Result<(), EngineError>;

    /// The logits behind a row of the last reading that wanted them, one for each token of the vocabulary; none for
    /// any other row.
    fn logits(&self, row: usize) -> Option<&[f32]>;

    /// Forgets a sequence from this position on. Says whether it could; where not, the whole sequence is forgotten.
    fn cut(&mut self, sequence: usize, from: usize) -> bool;

    /// Lets the empty sequence `to` begin like the first `count` tokens of `from`.
    fn copy(&mut self, from: usize, to: usize, count: usize);

    /// Writes the state of a sequence, which is these tokens, to a new file.
    ///
    /// # Errors
    /// When it cannot be written.
    fn save(&mut self, sequence: usize, tokens: &[Token], file: &Path) -> Result<(), EngineError>;

    /// Fills the empty sequence from a file. The tokens that it then is.
    ///
    /// # Errors
    /// When the file is not a state of this model with at most `most` tokens; the sequence is empty then.
    fn load(&mut self, sequence: usize, file: &Path, most: usize) -> Result<Vec<Token>, EngineError>;
}

/// What became of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Took {
    /// It is part of the answer.
    Taken,
    /// It is not, for what it begins would not end in time: what is forced now is the rest.
    Left,
}

/// Holds an answer to a form, token by token.
pub trait Hold: Send {
    /// Takes out of the logits what may not come next, where `left` tokens are left for the whole rest.
    ///
    /// # Errors
    /// When nothing can come: the form cannot be kept.
    fn restrict(&mut self, logits: &mut [f32], left: usize) -> Result<(), String>;

    /// The tokens that must come next, whatever the model says; none where it has a choice.
    fn forced(&mut self) -> Vec<Token>;

    /// A token has come.
    ///
    /// # Errors
    /// When it was not allowed.
    fn consume(&mut self, token: Token) -> Result<Took, String>;

    /// Whether nothing more can come.
    fn is_done(&self) -> bool;

    /// Whether the answer is the model's own text here, which may end anywhere.
    fn is_free(&self) -> bool;
}
