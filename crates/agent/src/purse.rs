//! What samples cost: before a request is sent, the most that it can cost is set aside in the ledger that all of the
//! user's sessions share; when it has ended, what it did cost is recorded. Without a limit, a ledger that does not work
//! stops nothing. Never sends a request, and never guesses a price.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use codetether_event::{ItemId, ModelId, Money, SessionId, UnixMillis, Usage};
use codetether_ledger::{Lease, Ledger, Limit, Reservation, ReserveError, Scope, Spent};
use codetether_provider::ModelFacts;

/// An answer of fewer tokens is not worth its prompt.
const ANSWER_MIN: u64 = 1_024;
/// Most tokens of an answer of a model that is not known, under a limit of money: those that follow are cut.
const ANSWER_MAX: u32 = 32_768;

/// A child's request takes one of so many parts of what is left.
const SHARES: i64 = 4;

/// Finds what is known of a model: its prices, and how long its answers may be.
pub type FindFacts = dyn Fn(&ModelId) -> Option<ModelFacts> + Send + Sync;

/// What is spent from.
#[derive(Clone)]
pub struct Purse {
    facts: Arc<FindFacts>,
    ledger: Arc<Mutex<Book>>,
}

/// The ledger, opened when it is first needed.
enum Book {
    At(PathBuf),
    Open(Box<Ledger>),
    /// It does not work; the reason was told.
    Broken,
}

/// A request that is about to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) at: UnixMillis,
    pub(crate) session: SessionId,
    /// The session at the top, which the money counts as spent by.
    pub(crate) root: SessionId,
    pub(crate) item: ItemId,
    pub(crate) project: String,
    pub(crate) model: ModelId,
    /// A bound of the prompt's tokens.
    pub(crate) most_input: u64,
    /// Most tokens of the answer, if that is said.
    pub(crate) max_output: Option<u32>,
    pub(crate) limit: Option<MoneyLimit>,
    /// For a child: what the turn of the session at the top may cost, all its children together.
    pub(crate) above: Option<MoneyLimit>,
}

impl Request {
    /// The limits that hold, and what each is about.
    fn limits(&self) -> Vec<(Scope, MoneyLimit)> {
        let run = |limit: MoneyLimit| (Scope::Run { root: self.root, since: limit.since }, limit);
        let own = |limit| {
            if self.root == self.session { run(limit) } else { (Scope::Session(self.session), limit) }
        };
        self.limit.map(own).into_iter().chain(self.above.map(run)).collect()
    }
}

/// What the turn may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MoneyLimit {
    pub(crate) max: Money,
    /// When the turn began.
    pub(crate) since: UnixMillis,
    pub(crate) allow_unknown_price: bool,
}

/// Leave to send a request.
pub(crate) struct Grant {
    request: Request,
    lease: Option<Lease>,
    facts: Option<ModelFacts>,
    /// Most tokens of the answer now.
    pub(crate) max_output: Option<u32>,
    /// What the user should know.
    pub(crate) warning: Option<String>,
}

/// What is told of a sample that has ended.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Told {
    pub(crate) usage: Usage,
    /// What the provider itself says that it cost.
    pub(crate) cost: Option<Money>,
}

/// The version of a price that the provider told itself.
const PROVIDERS: &str = "provider";

/// What a sample did cost.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Bill {
    pub(crate) usage: Usage,
    pub(crate) cost: Option<Money>,
    pub(crate) prices: Option<String>,
    pub(crate) warning: Option<String>,
}

impl Bill {
    /// Of a request that was never sent.
    pub(crate) fn free() -> Self {
        Self { cost: Some(Money(0)), ..Self::default() }
    }

    fn is_nothing(&self) -> bool {
        self.usage.total() == 0 && self.cost.is_none_or(|cost| cost == Money(0))
    }
}

impl Purse {
    /// Prices by these facts; records in the ledger at this path, which is opened when it is first needed.
    #[must_use]
    pub fn new(facts: Arc<FindFacts>, ledger: PathBuf) -> Self {
        Self { facts, ledger: Arc::new(Mutex::new(Book::At(ledger))) }
    }

    /// Whether a model is known to take images.
    pub(crate) fn sees(&self, model: &ModelId) -> bool {
        (self.facts)(model).is_some_and(|facts| facts.images == Some(true))
    }

    /// Sets aside what the request can cost at most. Blocks. An error says why it must not be sent.
    pub(crate) fn reserve(&self, mut request: Request) -> Result<Grant, String> {
        let facts = (self.facts)(&request.model);
        // A longer prompt is refused, and costs nothing.
        if let Some(window) = facts.as_ref().and_then(|facts| facts.window) {
            request.most_input = request.most_input.min(window.into());
        }
        let mut grant = Grant { max_output: request.max_output, request, lease: None, facts, warning: None };
        let mut book = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        let (ledger, mut warning) = book.open();
        let limits = grant.request.limits();
        match (ledger, limits.first()) {
            (None, None) => {}
            (None, Some(_)) => {
                return Err("what was spent cannot be known, so no limit of money can hold".into());
            }
            (Some(ledger), None) => match grant.set_aside(ledger) {
                Ok(()) => {}
                Err(ReserveError::Refused(refused)) => return Err(refused.to_string()),
                Err(ReserveError::Ledger(error)) => {
                    *book = Book::Broken;
                    warning = Some(lost(&error));
                }
            },
            (Some(ledger), Some(_)) => grant.fit(ledger, &limits)?,
        }
        grant.warning = warning;
        Ok(grant)
    }

    /// Records what the request came to. Blocks.
    pub(crate) fn settle(&self, grant: Grant, at: UnixMillis, told: Told) -> Bill {
        let mut bill = grant.bill(told);
        let usage = &bill.usage;
        let Grant { request, lease, .. } = grant;
        let mut book = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        let Book::Open(ledger) = &mut *book else { return bill };
        let spent = Spent {
            at,
            session: request.session,
            root: request.root,
            item: request.item,
            project: request.project,
            model: request.model,
            usage: *usage,
            cost: bill.cost,
            price_version: bill.prices.clone(),
        };
        let settled = match lease {
            Some(lease) if bill.is_nothing() => ledger.release(lease),
            Some(lease) => ledger.settle(lease, &spent),
            None if bill.is_nothing() => Ok(()),
            None => ledger.record(&spent),
        };
        if let Err(error) = settled {
            *book = Book::Broken;
            bill.warning = Some(lost(&error));
        }
        bill
    }
}

impl Book {
    /// The ledger, and what went wrong with it just now.
    fn open(&mut self) -> (Option<&mut Ledger>, Option<String>) {
        let mut warning = None;
        if let Self::At(path) = self {
            *self = match Ledger::open(path) {
                Ok(ledger) => Self::Open(Box::new(ledger)),
                Err(error) => {
                    warning = Some(lost(&error));
                    Self::Broken
                }
            };
        }
        let Self::Open(ledger) = self else { return (None, warning) };
        let rebuilt = ledger.take_rebuilt();
        let aside = rebuilt.map(|rebuilt| {
            format!(
                "the ledger was damaged: it is kept as `{}`, and a new one begun",
                rebuilt.aside.display()
            )
        });
        (Some(ledger), aside.or(warning))
    }
}

impl Grant {
    /// Sets money aside under the limits, and lowers the answer's limit to what is left.
    fn fit(&mut self, ledger: &mut Ledger, limits: &[(Scope, MoneyLimit)]) -> Result<(), String> {
        let Request { model, most_input, .. } = self.request.clone();
        let Some(prices) = self.facts.as_ref().and_then(|facts| facts.prices.clone()) else {
            if limits.iter().all(|(_, limit)| limit.allow_unknown_price) {
                return self.set_aside(ledger).map_err(|error| error.to_string());
            }
            return Err(format!(
                "the price of `{model}` is not known, so no limit of money can hold: say it with \
                 `[models.\"{model}\"]`, or set `limits.allow_unknown_price`"
            ));
        };
        let wanted = self.most_output();
        // Others may spend between the look and the reservation; then it is looked at again.
        for _ in 0..3 {
            // The tightest counts.
            let mut tightest: Option<(Money, Money)> = None;
            for (scope, limit) in limits {
                let left = ledger.left(*scope, limit.max).map_err(|error| error.to_string())?;
                tightest = Some(tightest.map_or((left, limit.max), |before| before.min((left, limit.max))));
            }
            let Some((left, max)) = tightest else { break };
            let most = |wanted, left| affordable(wanted, |output| prices.worst(most_input, output) <= left);
            // A child leaves something to the others that ask meanwhile, as long as an answer fits into its share.
            let output = match self.request.root == self.request.session {
                true => most(wanted, left),
                false => most(wanted, Money(left.0 / SHARES)).max(most(ANSWER_MIN.min(wanted), left)),
            };
            if output < ANSWER_MIN.min(wanted) {
                return Err(format!(
                    "{left} of {max} is left, and a prompt of up to {most_input} tokens with an answer of \
                     {} could cost {}",
                    ANSWER_MIN.min(wanted),
                    prices.worst(most_input, ANSWER_MIN.min(wanted)),
                ));
            }
            self.max_output = Some(u32::try_from(output).unwrap_or(u32::MAX));
            match self.set_aside(ledger) {
                Ok(()) => return Ok(()),
                Err(ReserveError::Refused(_)) => {}
                Err(ReserveError::Ledger(error)) => return Err(error.to_string()),
            }
        }
        Err("other sessions spend what is left".into())
    }

    /// What the request came to: as the provider says, else by its tokens. One that may be billed although nothing was
    /// heard of it counts as what it can cost at most.
    fn bill(&self, Told { usage, cost }: Told) -> Bill {
        let prices = self.facts.as_ref().and_then(|facts| facts.prices.as_ref());
        let version = || self.facts.as_ref().map(|facts| facts.price_version().to_owned());
        let most_input = self.request.most_input;
        match (usage.total(), cost, prices) {
            (_, Some(cost), _) => {
                Bill { usage, cost: Some(cost), prices: Some(PROVIDERS.to_owned()), warning: None }
            }
            (0, None, Some(prices)) if usage.estimated => {
                let output = self.most_output();
                let cost = Some(prices.worst(most_input, output));
                let usage = Usage { input: most_input, output, ..usage };
                Bill { usage, cost, prices: version(), warning: None }
            }
            (0, None, None) if usage.estimated => {
                Bill { usage: Usage { input: most_input, ..usage }, ..Bill::default() }
            }
            (0, None, _) => Bill::free(),
            (_, None, Some(prices)) => {
                Bill { usage, cost: Some(prices.cost(&usage)), prices: version(), warning: None }
            }
            (_, None, None) => Bill { usage, ..Bill::default() },
        }
    }

    /// What there is to say of an answer that was cut where the limit of money, and nothing else, had its end.
    pub(crate) fn lowered(&self) -> Option<String> {
        let limit =
            self.request.limits().into_iter().map(|(_, limit)| limit).min_by_key(|limit| limit.max)?;
        let most = self.max_output?;
        let usual = self.request.max_output.or(self.facts.as_ref().and_then(|facts| facts.max_output));
        (most < usual.unwrap_or(ANSWER_MAX)).then(|| {
            format!(
                "the answer was cut at {most} tokens: what was left of {} was not enough for more",
                limit.max
            )
        })
    }

    /// Most tokens of the answer.
    fn most_output(&self) -> u64 {
        let known = self.facts.as_ref().and_then(|facts| facts.max_output);
        self.max_output.or(known).unwrap_or(ANSWER_MAX).into()
    }

    fn set_aside(&mut self, ledger: &mut Ledger) -> Result<(), ReserveError> {
        let Request { at, session, root, item, project, model, most_input, .. } = &self.request;
        let prices = self.facts.as_ref().and_then(|facts| facts.prices.as_ref());
        let upper = prices.map_or(Money(0), |prices| prices.worst(*most_input, self.most_output()));
        let limits: Vec<Limit> = self
            .request
            .limits()
            .iter()
            .map(|(scope, limit)| Limit { scope: *scope, max: limit.max })
            .collect();
        let lease = ledger.reserve(&Reservation {
            at: *at,
            session: *session,
            root: *root,
            item: *item,
            project,
            model,
            upper,
            limits: &limits,
        })?;
        self.lease = Some(lease);
        Ok(())
    }
}

/// The most tokens up to `wanted` that fit; prices only grow with tokens.
fn affordable(wanted: u64, fits: impl Fn(u64) -> bool) -> u64 {
    let (mut low, mut high) = (0, wanted);
    if fits(wanted) {
        return wanted;
    }
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if fits(middle) { low = middle } else { high = middle }
    }
    low
}

fn lost(error: &codetether_ledger::Error) -> String {
    format!("what this costs is not recorded in the ledger: {error}")
}

#[cfg(test)]
mod tests {
    use codetether_event::Seq;
    use codetether_provider::{Prices, Rates};
    use uuid::Uuid;

    use super::*;

    /// A model of a dollar per million tokens, either way.
    fn purse(dir: &std::path::Path) -> Purse {
        let facts = |model: &ModelId| {
            let rates = Rates { input: 1_000_000, output: 1_000_000, cache_read: None, cache_write: None };
            let prices = (model.provider() == "known").then(|| Prices { base: rates, tiers: Vec::new() });
            Some(ModelFacts { prices, ..ModelFacts::unknown(model) })
        };
        Purse::new(Arc::new(facts), dir.join("ledger.sqlite"))
    }

    fn request(item: u64, model: &str, max: Option<i64>) -> Request {
        Request {
            at: UnixMillis(5),
            session: SessionId(Uuid::from_u128(1)),
            root: SessionId(Uuid::from_u128(1)),
            above: None,
            item: ItemId::at(Seq(item)),
            project: "/p".into(),
            model: ModelId::new(model),
            most_input: 1_000,
            max_output: None,
            limit: max.map(|max| MoneyLimit {
                max: Money(max),
                since: UnixMillis(0),
                allow_unknown_price: false,
            }),
        }
    }

    fn told(input: u64, output: u64) -> Told {
        Told { usage: Usage { input, output, ..Usage::default() }, cost: None }
    }

    #[test]
    fn an_answer_may_be_as_long_as_the_money_lasts() {
        let dir = tempfile::tempdir().unwrap();
        let purse = purse(dir.path());
        let grant = purse.reserve(request(1, "known/m", Some(6_000))).unwrap();
        assert_eq!(grant.max_output, Some(5_000));
        let bill = purse.settle(grant, UnixMillis(6), told(900, 1_100));
        assert_eq!((bill.cost, bill.warning), (Some(Money(2_000)), None));
        let grant = purse.reserve(request(2, "known/m", Some(6_000))).unwrap();
        assert_eq!(grant.max_output, Some(3_000));
        // What is set aside is not there for others.
        let problem = purse.reserve(request(3, "known/m", Some(6_000))).err().unwrap();
        assert_eq!(
            problem,
            "$0.00 of $0.006 is left, and a prompt of up to 1000 tokens with an answer of 1024 could cost $0.002024"
        );
        let bill = purse.settle(grant, UnixMillis(7), Told::default());
        assert_eq!(bill.cost, Some(Money(0)), "it was never sent");
        assert!(purse.reserve(request(4, "known/m", Some(6_000))).is_ok());
    }

    #[test]
    fn a_price_that_is_not_known_is_no_price_and_no_limit_holds_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let purse = purse(dir.path());
        let grant = purse.reserve(request(1, "own/m", None)).unwrap();
        assert_eq!(
            purse.settle(grant, UnixMillis(6), told(1, 1)),
            Bill { usage: told(1, 1).usage, ..Bill::default() }
        );
        let problem = purse.reserve(request(2, "own/m", Some(9))).err().unwrap();
        assert!(problem.contains("the price of `own/m` is not known"), "{problem}");
        let mut allowed = request(3, "own/m", Some(9));
        allowed.limit = allowed.limit.map(|limit| MoneyLimit { allow_unknown_price: true, ..limit });
        assert!(purse.reserve(allowed).is_ok());
    }

    #[test]
    fn a_ledger_that_does_not_work_stops_only_what_needs_it() {
        let dir = tempfile::tempdir().unwrap();
        codetether_files::create_dir_all(dir.path().join("ledger.sqlite")).unwrap();
        let purse = purse(dir.path());
        let grant = purse.reserve(request(1, "known/m", None)).unwrap();
        assert!(grant.warning.as_ref().unwrap().contains("not recorded in the ledger"));
        assert_eq!(purse.settle(grant, UnixMillis(6), told(1, 1)).cost, Some(Money(2)));
        assert_eq!(purse.reserve(request(2, "known/m", None)).unwrap().warning, None, "it is said once");
        assert!(purse.reserve(request(3, "known/m", Some(9))).is_err());
    }

    #[test]
    fn what_the_provider_says_it_cost_is_what_it_cost() {
        let dir = tempfile::tempdir().unwrap();
        let purse = purse(dir.path());
        for model in ["known/m", "own/m"] {
            let grant = purse.reserve(request(1, model, None)).unwrap();
            let bill = purse.settle(grant, UnixMillis(6), Told { cost: Some(Money(77)), ..told(1, 1) });
            assert_eq!((bill.cost, bill.prices.as_deref()), (Some(Money(77)), Some("provider")));
        }
    }

    #[test]
    fn children_that_ask_at_once_share_what_is_left_under_the_limit_above_them() {
        let dir = tempfile::tempdir().unwrap();
        let purse = purse(dir.path());
        let child = |n: u64| {
            let mut request = request(n, "known/m", Some(40_000));
            request.session = SessionId(Uuid::from_u128(100 + u128::from(n)));
            Request { above: request.limit.take(), ..request }
        };
        // A prompt of 1000 tokens, a dollar per million: what is set aside is a quarter of what was left.
        let grants: Vec<_> = (1..=4).map(|n| purse.reserve(child(n)).unwrap()).collect();
        let most: Vec<_> = grants.iter().map(|grant| grant.max_output.unwrap()).collect();
        assert_eq!(most, [9_000, 6_500, 4_625, 3_218]);
        // Each may have a limit of its own besides, which others of its kin do not touch.
        let own = Request {
            limit: child(5).above.map(|limit| MoneyLimit { max: Money(1_500), ..limit }),
            ..child(5)
        };
        let problem = purse.reserve(own).err().unwrap();
        assert!(problem.starts_with("$0.0015 of $0.0015 is left"), "{problem}");
    }

    #[test]
    fn a_request_that_nobody_answered_counts_as_what_it_can_cost() {
        let dir = tempfile::tempdir().unwrap();
        let purse = purse(dir.path());
        let unheard = Told { usage: Usage { estimated: true, ..Usage::default() }, cost: None };
        let grant = purse.reserve(request(1, "known/m", Some(6_000))).unwrap();
        let bill = purse.settle(grant, UnixMillis(6), unheard);
        let usage = Usage { input: 1_000, output: 5_000, estimated: true, ..Usage::default() };
        assert_eq!((bill.usage, bill.cost), (usage, Some(Money(6_000))));
        assert!(purse.reserve(request(2, "known/m", Some(6_000))).is_err(), "it is spent");
        let grant = purse.reserve(request(3, "own/m", None)).unwrap();
        let bill = purse.settle(grant, UnixMillis(7), unheard);
        assert_eq!((bill.usage.total(), bill.usage.estimated, bill.cost), (1_000, true, None));
    }

    #[test]
    fn only_a_limit_that_money_lowered_is_told_of() {
        let dir = tempfile::tempdir().unwrap();
        let purse = purse(dir.path());
        let lowered = |item, max_output, max| {
            let grant = purse.reserve(Request { max_output, ..request(item, "known/m", max) }).unwrap();
            let lowered = grant.lowered();
            purse.settle(grant, UnixMillis(6), Told::default());
            lowered
        };
        let cut = "the answer was cut at 5000 tokens: what was left of $0.006 was not enough for more";
        assert_eq!(lowered(1, None, Some(6_000)).as_deref(), Some(cut));
        assert_eq!(lowered(2, Some(5_000), Some(6_000)), None);
        assert_eq!(lowered(3, None, Some(6_000_000)), None);
        assert_eq!(lowered(4, Some(5_001), None), None);
    }

    #[test]
    fn the_most_that_fits_is_found() {
        for (wanted, most) in [(10, 7), (7, 7), (3, 7), (1_000_000, 0), (1_000_000, 999_999)] {
            assert_eq!(affordable(wanted, |n| n <= most), wanted.min(most));
        }
    }
}
