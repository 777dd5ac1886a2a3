//! The engine itself: llama.cpp through `llama-cpp-2`, on the processor. What would make it abort or end by a signal is
//! asked for before: the processor's features, memory, and that rows fit.

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::params::LlamaContextParams;
use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::model::params::LlamaModelParams;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::{DecodeError, LogOptions, send_logs_to_tracing};

use crate::engine::{Engine, EngineError, Facts, Row, Token, Vocabulary};
use crate::memory::{Need, available};
use crate::server::Refused;

/// Sequences at once.
const SEQUENCES: u32 = 4;
/// Most rows of one reading.
const ROWS_MAX: u32 = 64;
/// Most tokens of a context: more would take gigabytes, and minutes to be read on a processor.
const WINDOW_MAX: u64 = 16_384;
/// What states of another version of it are not for.
const BUILD: &str = concat!("llama-cpp-2 0.1.160, codetether ", env!("CARGO_PKG_VERSION"));

/// A loaded model. Its process has one, until it ends.
pub struct Llama {
    context: LlamaContext<'static>,
    model: &'static LlamaModel,
    batch: LlamaBatch<'static>,
    vocabulary: Arc<Vocabulary>,
    facts: Facts,
}

/// Loads a model from its file. What needs its vocabulary alone is made `beside`, while the weights are read.
///
/// # Errors
/// When this processor or its memory cannot run it, or the file is no model.
pub fn open<T: Send>(
    file: &Path,
    beside: impl FnOnce(&Arc<Vocabulary>) -> T + Send,
) -> Result<(Llama, T), Refused> {
    processor()?;
    let about = std::fs::metadata(file)
        .map_err(|error| Refused(format!("cannot read the model `{}`: {error}", file.display())))?;
    send_logs_to_tracing(LogOptions::default().with_logs_enabled(false));
    let backend =
        LlamaBackend::init().map_err(|error| Refused(format!("cannot start llama.cpp: {error}")))?;
    let backend: &'static LlamaBackend = Box::leak(Box::new(backend));
    let free = available().unwrap_or(u64::MAX);
    // The state of a token is known once the file's head was read; the weights are asked for before.
    Need { file: about.len(), token: 1, trained: u64::from(u32::MAX) }.window(free)?;
    // Mapped, the file would stay in memory beside the weights that are repacked for this processor.
    let how = LlamaModelParams::default().with_n_gpu_layers(0).with_use_mmap(false);
    let read = |how: &LlamaModelParams| {
        LlamaModel::load_from_file(backend, file, how)
            .map_err(|error| Refused(format!("`{}` is no model that can be loaded: {error}", file.display())))
    };
    let words = || {
        let model = read(&LlamaModelParams::default().with_vocab_only(true))?;
        let vocabulary = Arc::new(vocabulary(&model));
        let made = beside(&vocabulary);
        Ok((vocabulary, made))
    };
    let (model, words) = std::thread::scope(|scope| {
        let words = scope.spawn(words);
        let model = read(&how);
        (model, words.join())
    });
    let broke = |_| Refused(format!("the vocabulary of `{}` cannot be read", file.display()));
    let (model, (vocabulary, made)) = (model?, words.map_err(broke)??);
    let model: &'static LlamaModel = Box::leak(Box::new(model));
    let trained = u64::from(model.n_ctx_train()).min(WINDOW_MAX);
    let window = Need { file: about.len(), token: state_of_token(model), trained }.window(free)?;
    let window = u32::try_from(window).unwrap_or(u32::MAX);
    let threads = threads();
    let parameters = LlamaContextParams::default()
        .with_n_ctx(NonZeroU32::new(window))
        .with_n_batch(ROWS_MAX)
        .with_n_ubatch(ROWS_MAX)
        .with_n_seq_max(SEQUENCES)
        .with_kv_unified(true)
        .with_n_threads(threads)
        .with_n_threads_batch(threads);
    let context = model
        .new_context(backend, parameters)
        .map_err(|error| Refused(format!("cannot make a context of {window} tokens: {error}")))?;
    let facts = Facts {
        id: format!("{BUILD}\n{}\n{}", file.display(), stamp(&about)),
        template: model.meta_val_str("tokenizer.chat_template").ok(),
        window: context.n_ctx() as usize,
        sequences: SEQUENCES as usize,
    };
    let batch = LlamaBatch::new(ROWS_MAX as usize, 1);
    Ok((Llama { context, model, batch, vocabulary, facts }, made))
}

/// Names the very file, without reading a gigabyte.
fn stamp(about: &std::fs::Metadata) -> String {
    use std::os::unix::fs::MetadataExt;
    format!("{} {} {} {}", about.dev(), about.ino(), about.len(), about.mtime())
}

/// llama.cpp is built for these, and ends by SIGILL without them.
#[cfg(target_arch = "x86_64")]
fn processor() -> Result<(), Refused> {
    let features = [
        ("AVX2", std::arch::is_x86_feature_detected!("avx2")),
        ("FMA", std::arch::is_x86_feature_detected!("fma")),
        ("F16C", std::arch::is_x86_feature_detected!("f16c")),
        ("BMI2", std::arch::is_x86_feature_detected!("bmi2")),
    ];
    let missing: Vec<&str> = features.iter().filter(|(_, has)| !has).map(|(name, _)| *name).collect();
    match missing.is_empty() {
        true => Ok(()),
        false => Err(Refused(format!(
            "this processor has no {}, which local models need here: ask a model of a provider or another machine",
            missing.join(", ")
        ))),
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn processor() -> Result<(), Refused> {
    Ok(())
}

/// Bytes of keys and values of one token, as 16-bit numbers.
fn state_of_token(model: &LlamaModel) -> u64 {
    let embedding = u64::try_from(model.n_embd()).unwrap_or_default();
    let heads = u64::from(model.n_head().max(1));
    let width = embedding / heads * u64::from(model.n_head_kv().max(1));
    u64::from(model.n_layer()) * width * 2 * 2
}

/// Physical cores less what others do with them, and at least one: threads that wait for each other spin.
fn threads() -> i32 {
    let logical = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let cores = physical().unwrap_or(logical).min(logical);
    i32::try_from(cores.saturating_sub(others()).clamp(1, 64)).unwrap_or(1)
}

/// Threads of others that want to run now, at the least of a few looks: a mean of the last minute would count what has
/// ended, our own loading among it.
fn others() -> usize {
    let look = || {
        let text = std::fs::read_to_string("/proc/loadavg").ok()?;
        let running = text.split_whitespace().nth(3)?.split('/').next()?.parse::<usize>().ok()?;
        // This thread is one of them.
        Some(running.saturating_sub(1))
    };
    let looks = (0..LOOKS).filter_map(|_| {
        std::thread::sleep(std::time::Duration::from_millis(5));
        look()
    });
    looks.min().unwrap_or(0)
}

/// Looks at what others do.
const LOOKS: usize = 8;

/// Cores, of which each may be two processors to the kernel; none where it does not say.
fn physical() -> Option<usize> {
    let processors = std::fs::read_dir("/sys/devices/system/cpu").ok()?.filter_map(|entry| {
        std::fs::read_to_string(entry.ok()?.path().join("topology/thread_siblings_list")).ok()
    });
    let cores: std::collections::BTreeSet<String> = processors.collect();
    (!cores.is_empty()).then_some(cores.len())
}

fn vocabulary(model: &LlamaModel) -> Vocabulary {
    let tokens = model.vocab();
    let mut vocabulary = Vocabulary::default();
    for token in tokens.tokens() {
        let is_control = tokens.is_control(token);
        let text = tokens.token_to_piece(token, is_control, None);
        if tokens.is_eog(token) {
            vocabulary.ends.push(token.0);
        }
        // What marks calls is text to whoever reads the answer, whatever kind of token it is.
        let marks = matches!(text.as_slice(), b"<tool_call>" | b"</tool_call>");
        if is_control && !marks {
            vocabulary.control.push((String::from_utf8_lossy(&text).into_owned(), token.0));
            vocabulary.bytes.push(Vec::new());
        } else {
            vocabulary.bytes.push(text);
        }
    }
    let begin = tokens.bos();
    vocabulary.begin = (tokens.should_add_bos() && begin.0 >= 0).then_some(begin.0);
    vocabulary
}

fn number<T: TryInto<i32>>(value: T) -> i32 {
    value.try_into().unwrap_or(i32::MAX)
}

impl Engine for Llama {
    fn vocabulary(&self) -> &Arc<Vocabulary> {
        &self.vocabulary
    }

    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn tokens(&self, text: &str) -> Vec<Token> {
        self.model.vocab().tokenize(text.as_bytes(), false, false).into_iter().map(|token| token.0).collect()
    }

    fn read(&mut self, rows: &[Row]) -> Result<(), EngineError> {
        self.batch.clear();
        for row in rows {
            self.batch
                .add(LlamaToken(row.token), number(row.position), &[number(row.sequence)], row.wanted)
                .map_err(|error| EngineError::Failed(error.to_string()))?;
        }
        match self.context.decode(&mut self.batch) {
            Ok(()) => Ok(()),
            Err(DecodeError::NoKvCacheSlot) => Err(EngineError::Full),
            Err(error) => Err(EngineError::Failed(error.to_string())),
        }
    }

    fn logits(&self, row: usize) -> Option<&[f32]> {
        Some(self.context.get_logits_ith(i32::try_from(row).ok()?))
    }

    fn cut(&mut self, sequence: usize, from: usize) -> bool {
        let (id, start) = (u32::try_from(sequence).ok(), u32::try_from(from).ok());
        if matches!(self.context.clear_kv_cache_seq(id, start, None), Ok(true)) {
            return true;
        }
        let _ = self.context.clear_kv_cache_seq(id, None, None);
        from == 0
    }

    fn copy(&mut self, from: usize, to: usize, count: usize) {
        // Both are numbers of sequences, and `count` one of tokens: none is out of range.
        let _ = self.context.copy_kv_cache_seq(number(from), number(to), None, u32::try_from(count).ok());
    }

    fn save(&mut self, sequence: usize, tokens: &[Token], file: &Path) -> Result<(), EngineError> {
        let tokens: Vec<LlamaToken> = tokens.iter().map(|token| LlamaToken(*token)).collect();
        let saved = self.context.state_seq_save_file(file, number(sequence), &tokens);
        saved.map(drop).map_err(|error| EngineError::Failed(error.to_string()))
    }

    fn load(&mut self, sequence: usize, file: &Path, most: usize) -> Result<Vec<Token>, EngineError> {
        let loaded = self.context.state_seq_load_file(file, number(sequence), most);
        let (tokens, _) = loaded.map_err(|error| EngineError::Failed(error.to_string()))?;
        Ok(tokens.into_iter().map(|token| token.0).collect())
    }
}
