//! Who is watching: records and streamed pieces go to any number of readers, each at its own pace.
//!
//! A reader gets the records after its cursor, then the open pieces, then the live tail, without gap or
//! duplicate. One that is too slow loses pieces, never records, and never slows the session.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use codetether_event::{CallEvent, Delta, Event, ItemId, Piece, Record, SampleEvent, Seq};
use tokio::sync::broadcast;

/// Records that are kept in memory for readers that fall behind; older ones are read from the journal.
const RECENT: usize = 256;
/// Frames that a reader may fall behind before it is caught up afresh.
const TAIL: usize = 1024;
/// The same in a child's session.
const TAIL_OF_CHILD: usize = 64;
/// Bytes of an open item's text that are kept for readers who come late.
const PARTIAL: usize = 1 << 20;

/// Where a reader stands. Printable, so that a surface can hand it to its client and get it back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cursor {
    /// The last record seen; none yet when zero.
    pub after: Seq,
    /// How many bytes of each open item's stream were seen.
    pub open: Vec<(ItemId, u64)>,
}

/// What a reader is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// A fact.
    Record(Arc<Record>),
    /// A piece of an open item.
    Delta(Delta),
    /// All that had happened by the time of subscribing has been given; what follows is live.
    CaughtUp(Seq),
}

pub(crate) struct Hub {
    inner: Mutex<Inner>,
    journal: PathBuf,
}

struct Inner {
    recent: VecDeque<Arc<Record>>,
    last: Seq,
    partials: BTreeMap<ItemId, Partial>,
    tail: Option<broadcast::Sender<Frame>>,
}

/// The text of an open item so far, or its end when it is long.
#[derive(Default)]
struct Partial {
    pieces: VecDeque<Delta>,
    held: usize,
    end: u64,
}

impl Hub {
    pub(crate) fn new(journal: PathBuf, recent: impl IntoIterator<Item = Arc<Record>>) -> Arc<Self> {
        Self::with_tail(journal, recent, TAIL)
    }

    /// For a child, which its parent alone watches: less memory.
    pub(crate) fn of_child(journal: PathBuf) -> Arc<Self> {
        Self::with_tail(journal, [], TAIL_OF_CHILD)
    }

    fn with_tail(journal: PathBuf, recent: impl IntoIterator<Item = Arc<Record>>, tail: usize) -> Arc<Self> {
        let mut recent: VecDeque<Arc<Record>> = recent.into_iter().collect();
        recent.drain(..recent.len().saturating_sub(RECENT));
        let last = recent.back().map_or(Seq(0), |record| record.seq);
        let tail = Some(broadcast::Sender::new(tail));
        Arc::new(Self { inner: Mutex::new(Inner { recent, last, partials: BTreeMap::new(), tail }), journal })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn record(&self, record: Arc<Record>) {
        let mut inner = self.lock();
        inner.last = record.seq;
        if let Some(item) = ended(&record.event) {
            inner.partials.remove(&item);
        }
        if inner.recent.len() == RECENT {
            inner.recent.pop_front();
        }
        inner.recent.push_back(record.clone());
        if let Some(tail) = &inner.tail {
            // Nobody listening is no error.
            let _ = tail.send(Frame::Record(record));
        }
    }

    pub(crate) fn piece(&self, item: ItemId, piece: Piece) {
        let mut inner = self.lock();
        let delta = inner.partials.entry(item).or_default().push(item, piece);
        if let Some(tail) = &inner.tail {
            let _ = tail.send(Frame::Delta(delta));
        }
    }

    /// Ends every subscription once it has been given what there is.
    pub(crate) fn close(&self) {
        self.lock().tail = None;
    }

    pub(crate) fn subscribe(self: &Arc<Self>, cursor: Cursor) -> Subscription {
        let mut subscription = Subscription {
            hub: self.clone(),
            after: cursor.after,
            seen: cursor.open.into_iter().collect(),
            backlog: VecDeque::new(),
            missing: None,
            tail: None,
        };
        subscription.catch_up();
        subscription
    }
}

impl Partial {
    fn push(&mut self, item: ItemId, piece: Piece) -> Delta {
        let delta = Delta { item, offset: self.end, piece };
        let size = delta.piece.text().len();
        self.end += size as u64;
        self.held += size;
        let merged = self.pieces.back_mut().is_some_and(|last| merge(last, &delta.piece));
        if !merged {
            self.pieces.push_back(delta.clone());
        }
        while self.held > PARTIAL && self.pieces.len() > 1 {
            let dropped = self.pieces.pop_front().map_or(0, |delta| delta.piece.text().len());
            self.held -= dropped;
        }
        delta
    }
}

/// Appends the text to the last piece if it is of the same kind and not yet long.
fn merge(last: &mut Delta, piece: &Piece) -> bool {
    let (text, more) = match (&mut last.piece, piece) {
        (Piece::Text(text), Piece::Text(more))
        | (Piece::Reasoning(text), Piece::Reasoning(more))
        | (Piece::Arguments(text), Piece::Arguments(more))
        | (Piece::Output(text), Piece::Output(more)) => (text, more),
        _ => return false,
    };
    let fits = text.len() + more.len() <= PARTIAL / 16;
    if fits {
        text.push_str(more);
    }
    fits
}

/// The item that a fact ends.
fn ended(event: &Event) -> Option<ItemId> {
    match event {
        Event::Sample(SampleEvent::Ended { item, .. }) | Event::Call(CallEvent::Ended { item, .. }) => {
            Some(*item)
        }
        _ => None,
    }
}

/// One reader's place.
pub struct Subscription {
    hub: Arc<Hub>,
    after: Seq,
    seen: BTreeMap<ItemId, u64>,
    backlog: VecDeque<Frame>,
    /// Records up to here must be read from the journal first.
    missing: Option<Seq>,
    tail: Option<broadcast::Receiver<Frame>>,
}

impl Subscription {
    /// The next frame; `None` once the session is no longer hosted here and all was given.
    ///
    /// # Errors
    /// When records that are no longer in memory cannot be read from the journal.
    pub async fn next(&mut self) -> Result<Option<Frame>, codetether_journal::Error> {
        loop {
            if let Some(up_to) = self.missing.take() {
                self.read_journal(up_to)?;
            }
            if let Some(frame) = self.backlog.pop_front() {
                if let Some(frame) = self.news(frame) {
                    return Ok(Some(frame));
                }
                continue;
            }
            let Some(tail) = &mut self.tail else { return Ok(None) };
            match tail.recv().await {
                Ok(frame) => {
                    if let Some(frame) = self.news(frame) {
                        return Ok(Some(frame));
                    }
                }
                Err(broadcast::error::RecvError::Lagged(_)) => self.catch_up(),
                Err(broadcast::error::RecvError::Closed) => {
                    self.tail = None;
                    return Ok(None);
                }
            }
        }
    }

    /// Where the reader stands after the frames it was given.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        Cursor { after: self.after, open: self.seen.iter().map(|(item, end)| (*item, *end)).collect() }
    }

    /// Takes what there is in memory, and the live tail from here on.
    fn catch_up(&mut self) {
        let inner = self.hub.lock();
        self.tail = inner.tail.as_ref().map(broadcast::Sender::subscribe);
        let oldest = inner.recent.front().map_or(inner.last.plus(1), |record| record.seq);
        self.missing = (oldest > self.after.plus(1)).then(|| Seq(oldest.0 - 1));
        self.backlog.clear();
        self.backlog
            .extend(inner.recent.iter().filter(|record| record.seq > self.after).cloned().map(Frame::Record));
        self.backlog
            .extend(inner.partials.values().flat_map(|partial| &partial.pieces).cloned().map(Frame::Delta));
        self.backlog.push_back(Frame::CaughtUp(inner.last));
    }

    fn read_journal(&mut self, up_to: Seq) -> Result<(), codetether_journal::Error> {
        let mut follow = codetether_journal::follow::<Event>(&self.hub.journal, self.after)?;
        let mut frames = VecDeque::new();
        loop {
            let records = follow.poll()?;
            let done = records.last().is_none_or(|record| record.seq >= up_to);
            let wanted = records.into_iter().filter(|record| record.seq <= up_to);
            frames.extend(wanted.map(|record| Frame::Record(Arc::new(record))));
            if done {
                break;
            }
        }
        frames.append(&mut self.backlog);
        self.backlog = frames;
        Ok(())
    }

    /// The frame, or what of it was not given yet.
    fn news(&mut self, frame: Frame) -> Option<Frame> {
        match frame {
            Frame::Record(record) => {
                if record.seq <= self.after {
                    return None;
                }
                self.after = record.seq;
                if let Some(item) = ended(&record.event) {
                    self.seen.remove(&item);
                }
                Some(Frame::Record(record))
            }
            Frame::Delta(Delta { item, offset, piece }) => {
                let end = offset + piece.text().len() as u64;
                let seen = self.seen.get(&item).copied().unwrap_or(0);
                if end <= seen {
                    return None;
                }
                self.seen.insert(item, end);
                let skip = usize::try_from(seen.saturating_sub(offset)).unwrap_or(0);
                Some(Frame::Delta(Delta { item, offset: offset + skip as u64, piece: tail_of(piece, skip) }))
            }
            Frame::CaughtUp(seq) => Some(Frame::CaughtUp(seq)),
        }
    }
}

/// The piece without its first `skip` bytes (which end at a character, since they were given before).
fn tail_of(piece: Piece, skip: usize) -> Piece {
    if skip == 0 {
        return piece;
    }
    let cut = |text: String| text.get(skip..).map_or(text.clone(), str::to_owned);
    match piece {
        Piece::Text(text) => Piece::Text(cut(text)),
        Piece::Reasoning(text) => Piece::Reasoning(cut(text)),
        Piece::Arguments(text) => Piece::Arguments(cut(text)),
        Piece::Output(text) => Piece::Output(cut(text)),
    }
}

#[cfg(test)]
mod tests {
    use codetether_event::{Attempt, Cause, NoteEvent, Timing, ToolResult, UnixMillis};

    use super::*;

    fn record(seq: u64, event: Event) -> Arc<Record> {
        Arc::new(Record {
            seq: Seq(seq),
            attempt: Attempt(1),
            at: UnixMillis(seq),
            turn: None,
            cause: Cause::Timer,
            event,
        })
    }

    fn note(seq: u64) -> Arc<Record> {
        record(seq, Event::Note(NoteEvent::Warned { text: seq.to_string() }))
    }

    fn end(seq: u64, item: ItemId) -> Arc<Record> {
        let result = ToolResult { call: "c".into(), text: String::new(), error: false };
        let timing = Some(Timing::default());
        let (whole, wrote, known, after) = (None, Vec::new(), Vec::new(), None);
        record(seq, Event::Call(CallEvent::Ended { item, result, whole, wrote, known, timing, after }))
    }

    async fn drain(subscription: &mut Subscription) -> Vec<String> {
        let mut seen = Vec::new();
        while let Some(frame) = subscription.next().await.unwrap() {
            seen.push(match frame {
                Frame::Record(record) => format!("r{}", record.seq),
                Frame::Delta(delta) => format!("{}@{}", delta.piece.text(), delta.offset),
                Frame::CaughtUp(seq) => format!("live{seq}"),
            });
        }
        seen
    }

    fn hub(records: impl IntoIterator<Item = u64>) -> Arc<Hub> {
        Hub::new(PathBuf::from("/nonexistent"), records.into_iter().map(note))
    }

    #[tokio::test]
    async fn a_late_reader_gets_the_half_sentence_once() {
        let hub = hub(1..=2);
        let item = ItemId::at(Seq(2));
        hub.piece(item, Piece::Text("half a ".into()));
        hub.piece(item, Piece::Text("sen".into()));
        let mut late = hub.subscribe(Cursor { after: Seq(1), open: Vec::new() });
        hub.piece(item, Piece::Text("tence".into()));
        hub.record(end(3, item));
        hub.close();
        assert_eq!(drain(&mut late).await, ["r2", "half a sen@0", "live2", "tence@10", "r3"]);
    }

    #[tokio::test]
    async fn a_reader_that_returns_gets_only_what_it_missed() {
        let hub = hub(1..=1);
        let item = ItemId::at(Seq(1));
        hub.piece(item, Piece::Text("ab".into()));
        let cursor = Cursor { after: Seq(1), open: vec![(item, 2)] };
        hub.piece(item, Piece::Text("cd".into()));
        let mut reader = hub.subscribe(cursor);
        hub.close();
        assert_eq!(drain(&mut reader).await, ["cd@2", "live1"]);
    }

    #[tokio::test]
    async fn a_slow_reader_loses_pieces_but_no_record() {
        let hub = hub(1..=1);
        let mut slow = hub.subscribe(Cursor { after: Seq(1), open: Vec::new() });
        for seq in 2..=100 {
            let item = ItemId::at(Seq(seq));
            for _ in 0..50 {
                hub.piece(item, Piece::Text("x".into()));
            }
            hub.record(end(seq, item));
        }
        hub.close();
        let seen = drain(&mut slow).await;
        let records: Vec<_> = seen.iter().filter(|frame| frame.starts_with('r')).cloned().collect();
        assert_eq!(records, (2..=100).map(|seq| format!("r{seq}")).collect::<Vec<_>>());
        assert!(seen.len() < 99 * 51, "pieces were lost: {}", seen.len());
    }

    #[test]
    fn an_endless_item_holds_a_bounded_text() {
        let mut partial = Partial::default();
        let item = ItemId::at(Seq(1));
        for _ in 0..3_000 {
            partial.push(item, Piece::Output("x".repeat(1_000)));
        }
        assert!(partial.held <= PARTIAL + PARTIAL / 16);
        assert_eq!(partial.end, 3_000_000);
    }
}
