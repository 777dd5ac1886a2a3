//! One connection asks to go somewhere: the rules are asked, then the dialler; where someone can allow more, it waits a
//! while for that. Knows no protocol.

use std::io;

use codetether_net::{DialError, Dialled, Dialler, Purpose};
use tokio::net::tcp::OwnedReadHalf;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::allow::{Allow, Claim, Verdict};
use super::denied::{Denied, Reporter, Why};
use super::host::Target;
use super::limits::Limits;
use super::stream::Reader;

/// What all connections of a proxy share.
pub(super) struct Shared {
    pub(super) allow: Allow,
    pub(super) dialler: Dialler,
    pub(super) limits: Limits,
    pub(super) reporter: Reporter,
    pub(super) waiting: Semaphore,
}

/// Why a client gets no connection.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The rules.
    Denied(Denied),
    /// The world.
    Dial(DialError),
    /// It did not wait for the answer.
    HungUp,
}

impl Shared {
    /// Tells of a denial.
    pub(super) fn tell(&self, denied: Denied) {
        self.reporter.renew(self.allow.told_anew());
        self.reporter.tell(denied);
    }

    /// A connection to the target.
    pub(super) async fn reach(
        &self,
        target: &Target,
        purpose: Purpose,
        client: &mut Reader<OwnedReadHalf>,
    ) -> Result<Dialled, Refusal> {
        let mut changed = self.allow.watch();
        let start = Instant::now();
        let mut place = None;
        loop {
            // Before the rules are asked, so that no change is missed.
            changed.borrow_and_update();
            let denied = match self.attempt(target, purpose).await {
                Err(Refusal::Denied(denied)) => denied,
                done => return done,
            };
            let may_wait = denied.rule.is_some() && self.allow.is_attended();
            let deadline = self.limits.wait.filter(|_| may_wait).map(|wait| start + wait);
            if place.is_none() && deadline.is_some() {
                place = self.waiting.try_acquire().ok();
            }
            let deadline = deadline.filter(|_| place.is_some());
            self.tell(Denied { is_waiting: deadline.is_some(), ..denied.clone() });
            let Some(deadline) = deadline else { return Err(Refusal::Denied(denied)) };
            tokio::select! {
                // The rules live as long as `self`, so the only other end of this is the deadline.
                waited = timeout_at(deadline, changed.changed()) => match waited {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) | Err(_) => return Err(Refusal::Denied(denied)),
                },
                () = hang_up(client) => return Err(Refusal::HungUp),
            }
        }
    }

    async fn attempt(&self, target: &Target, purpose: Purpose) -> Result<Dialled, Refusal> {
        let rule = match self.allow.claim(target) {
            Claim::Rule(rule) => rule,
            Claim::Once(rule) => {
                // Others that wait for the same host need an answer of their own.
                self.reporter.forget(target);
                self.allow.wake();
                rule
            }
            Claim::No(verdict) => {
                let why = match verdict {
                    Verdict::OtherPort => Why::OtherPort,
                    Verdict::Refused => Why::Refused,
                    Verdict::NoRule | Verdict::Allowed(_) => Why::NoRule,
                };
                return Err(Refusal::Denied(Denied::of(target.clone(), why)));
            }
        };
        let host = target.host.plain();
        match self.dialler.dial(&host, target.port, purpose, rule.addresses()).await {
            Ok(dialled) => Ok(dialled),
            Err(DialError::Forbidden { address, kind, .. }) => {
                Err(Refusal::Denied(Denied::of(target.clone(), Why::Address(address, kind))))
            }
            Err(problem) => Err(Refusal::Dial(problem)),
        }
    }
}

/// Returns when the client is gone. One that has already sent more is taken to be there.
async fn hang_up(client: &mut Reader<OwnedReadHalf>) {
    let is_gone = match client.source().peek(&mut [0]).await {
        Ok(length) => length == 0,
        Err(error) => error.kind() != io::ErrorKind::Interrupted,
    };
    if !is_gone {
        std::future::pending::<()>().await;
    }
}
