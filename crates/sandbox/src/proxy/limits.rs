//! The bounds of the proxy, and the clock of what is idle.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// What one proxy takes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once; one more is answered with 503.
    pub connections: usize,
    /// How long a head may take from its first byte, and the first byte of a connection.
    pub head: Duration,
    /// How long a tunnel or an exchange may be silent in both directions, and a kept connection between requests.
    pub idle: Duration,
    /// How long a connection waits for someone to allow its host. With `None` there is nobody to ask: it is denied at
    /// once.
    pub wait: Option<Duration>,
    /// How many connections wait for that at once; one more is denied at once.
    pub waiting: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 256,
            head: Duration::from_secs(10),
            idle: Duration::from_secs(300),
            wait: None,
            waiting: 32,
        }
    }
}

/// When something last moved.
pub(super) struct Activity {
    start: Instant,
    millis: AtomicU64,
}

impl Activity {
    pub(super) fn new() -> Self {
        Self { start: Instant::now(), millis: AtomicU64::new(0) }
    }

    /// Something moved.
    pub(super) fn touch(&self) {
        let millis = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.millis.store(millis, Ordering::Relaxed);
    }

    /// Returns when nothing has moved for so long.
    pub(super) async fn idle(&self, limit: Duration) {
        loop {
            let last = Duration::from_millis(self.millis.load(Ordering::Relaxed));
            let silent = self.start.elapsed().saturating_sub(last);
            if silent >= limit {
                return;
            }
            sleep(limit - silent).await;
        }
    }
}
