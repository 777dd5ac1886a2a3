//! The journal against its promise: what was written survives a kill, what was synced survives a loss of power.

use codetether_event::{BlobId, Record};
use codetether_journal::{Durable, Handle, Opened, encode};
use proptest::prelude::*;

use crate::fact::{Fact, Home, fact, id};

#[derive(Debug, Clone)]
enum Step {
    Append {
        texts: Vec<String>,
        durable: Durable,
    },
    Sync,
    Put(String),
    /// The process ends, perhaps in the middle of writing one more record.
    Kill {
        half: u16,
    },
    /// The machine ends, and of what was not synced some beginning is left, and no blob.
    PowerLoss {
        kept: u16,
        zeros: u8,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let texts = || prop::collection::vec("[a-zé\"\\\\\n]{0,40}", 1..4);
    prop_oneof![
        4 => texts().prop_map(|texts| Step::Append { texts, durable: Durable::Written }),
        2 => texts().prop_map(|texts| Step::Append { texts, durable: Durable::Synced }),
        1 => Just(Step::Sync),
        2 => "[a-z]{1,2}".prop_map(Step::Put),
        2 => any::<u16>().prop_map(|half| Step::Kill { half }),
        2 => (any::<u16>(), 0_u8..20).prop_map(|(kept, zeros)| Step::PowerLoss { kept, zeros }),
    ]
}

/// `part` of `whole`, as a share of 65536.
fn share(part: u16, whole: usize) -> usize {
    whole * usize::from(part) / 65_536
}

struct Model<'a> {
    home: &'a Home,
    written: Vec<Record<Fact>>,
    /// Records and bytes that the disk has.
    synced: (usize, usize),
    blobs: Vec<(BlobId, String)>,
    /// Those that the disk has.
    synced_blobs: Vec<(BlobId, String)>,
}

impl Model<'_> {
    fn length(&self) -> usize {
        self.home.bytes(1).len()
    }

    fn next(&self, text: &str) -> Record<Fact> {
        fact(self.written.len() as u64 + 1, text)
    }

    /// Opens the session again, which must hold what it did but for records that were never synced.
    fn reopen(&mut self, at_least: usize) -> Handle<Fact> {
        let Opened { handle, records, .. } =
            self.home.journals.open(&self.home.layout, id(1), "model").unwrap();
        assert!(records.len() >= at_least, "{} of {at_least}", records.len());
        assert_eq!(records, self.written[..records.len()]);
        self.written = records;
        for (blob, text) in &self.blobs {
            assert_eq!(handle.blobs().get(blob).unwrap(), text.as_bytes());
        }
        handle
    }

    fn is_synced(&mut self) {
        self.synced = (self.written.len(), self.length());
        self.synced_blobs.clone_from(&self.blobs);
    }

    async fn take(&mut self, mut handle: Handle<Fact>, step: Step) -> Handle<Fact> {
        match step {
            Step::Append { texts, durable } => {
                let mut records = Vec::new();
                for text in texts {
                    records.push(Record {
                        seq: self.next("").seq.plus(records.len() as u64),
                        ..self.next(&text)
                    });
                }
                handle.append(&records, durable).await.unwrap();
                self.written.extend(records);
                if durable == Durable::Synced {
                    self.is_synced();
                }
                handle
            }
            Step::Sync => {
                handle.sync().await.unwrap().unwrap();
                self.is_synced();
                handle
            }
            Step::Put(text) => {
                self.blobs.push((handle.blobs().put(text.as_bytes()).unwrap(), text));
                handle
            }
            Step::Kill { half } => {
                drop(handle);
                let mut line = Vec::new();
                encode(&self.next("never acknowledged"), &mut line).unwrap();
                let mut bytes = self.home.bytes(1);
                bytes.extend(&line[..share(half, line.len())]);
                self.home.set_bytes(1, &bytes);
                self.reopen(self.written.len())
            }
            Step::PowerLoss { kept, zeros } => {
                drop(handle);
                let mut bytes = self.home.bytes(1);
                let end = self.synced.1 + share(kept, bytes.len() - self.synced.1 + 1);
                bytes.truncate(end);
                bytes.extend(std::iter::repeat_n(0, usize::from(zeros)));
                self.home.set_bytes(1, &bytes);
                for lost in self.home.unsynced_blobs(1) {
                    std::fs::remove_file(lost).unwrap();
                }
                self.blobs.clone_from(&self.synced_blobs);
                self.reopen(self.synced.0)
            }
        }
    }
}

/// As many cases as `PROPTEST_CASES` says; without it few, since each syncs real files.
fn config() -> ProptestConfig {
    let config = ProptestConfig::default();
    if std::env::var_os("PROPTEST_CASES").is_some() { config } else { ProptestConfig { cases: 48, ..config } }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_journal_keeps_its_promise(steps in prop::collection::vec(step(), 1..24)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let home = Home::new();
            let mut handle = home.session(1, &[]).await;
            let mut model = Model { home: &home, written: Vec::new(), synced: (0, 0), blobs: Vec::new(), synced_blobs: Vec::new() };
            for step in steps {
                handle = model.take(handle, step).await;
            }
            drop(handle);
            model.reopen(model.written.len());
        });
    }
}
