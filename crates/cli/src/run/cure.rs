//! What a person can do when a provider has failed for good: one cure for each class of failure. Words alone.

use codetether_event::{ModelId, ProviderFailure, ProviderFailureKind as Kind, SessionId};

/// What to do, and how to go on.
/// `named` are models that the user's settings know of.
pub(crate) fn of(failure: &ProviderFailure, model: &ModelId, named: &[ModelId], id: SessionId) -> String {
    let provider = model.provider();
    let asked = failure.retry_after_ms.map(|wait| wait.div_ceil(1_000)).filter(|wait| *wait > 0);
    let asked = asked.map(|seconds| format!(" (it asks for {seconds} s)")).unwrap_or_default();
    let cure = match failure.kind {
        Kind::Connection => format!(
            "check the network, proxies (`HTTPS_PROXY`) and `base_url` of `{provider}`, and that its server is running"
        ),
        Kind::Cut => "something between here and the server ends long answers: check the network and proxies".into(),
        Kind::Timeout => format!(
            "where it just needs longer, raise `idle_timeout` of `[providers.{provider}]`; else choose another model with `-m`"
        ),
        Kind::RateLimited => format!(
            "wait until the limit is whole again{asked}, ask the provider for a higher one, or choose another model with `-m`"
        ),
        Kind::Overloaded => format!(
            "wait until the provider has less to do{asked}, or choose another model with `-m`"
        ),
        Kind::Server => {
            "the fault is the provider's: see whether it knows of one, wait, or choose another model with `-m`".into()
        }
        Kind::Protocol => format!(
            "check that `base_url` and `wire` of `[providers.{provider}]` are those of the endpoint, or choose another model with `-m`"
        ),
        Kind::Auth => format!(
            "`codetether auth status` shows which key is used; keep another with `codetether auth login {provider}`, or have this one allowed to use the model"
        ),
        Kind::Quota => "add credit at the provider's, or choose a model of another one with `-m`".into(),
        Kind::ContextTooLong => {
            return format!(
                "choose a model with a longer context: `codetether run --resume {id} -m PROVIDER/MODEL \"go on\"`, or begin a new session with less to read"
            );
        }
        Kind::BadRequest if is_of_the_model(failure, model) && !near(model, named).is_empty() => {
            let near: Vec<String> =
                near(model, named).iter().map(|near| format!("`-m {near}`")).collect();
            format!(
                "nothing is known of `{model}`: did you mean {}? `codetether models list --provider {provider}` shows what it \
                 offers",
                near.join(" or ")
            )
        }
        Kind::BadRequest => format!(
            "`codetether models list --provider {provider}` shows what it offers; leave out what the model does not take (`effort`, `temperature`, `max_output`)"
        ),
        Kind::Declined => {
            return format!(
                "say it in other words, or choose another model: `codetether run --resume {id} -m PROVIDER/MODEL \"…\"`"
            );
        }
    };
    format!("{cure};\nthen go on with `codetether run --resume {id} \"go on\"`")
}

/// Whether it may be the model's name that is wrong, and not what else was asked for.
fn is_of_the_model(failure: &ProviderFailure, model: &ModelId) -> bool {
    failure.status == Some(404) || failure.message.contains(model.model())
}

/// The models that may have been meant by one of which nothing is known.
fn near(model: &ModelId, named: &[ModelId]) -> Vec<ModelId> {
    if named.contains(model) || codetether_provider::facts(model).is_some() {
        return Vec::new();
    }
    codetether_provider::nearest(model, named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_that_nobody_knows_is_a_slip_perhaps() {
        let id: SessionId = "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap();
        let cure = |model: &str, named: &[&str]| {
            let failure = ProviderFailure {
                kind: Kind::BadRequest,
                status: Some(404),
                message: "x".into(),
                retry_after_ms: None,
            };
            let named: Vec<ModelId> = named.iter().map(|name| ModelId::new(*name)).collect();
            of(&failure, &ModelId::new(model), &named, id)
        };
        assert!(cure("openai/gtp-5", &[]).contains("did you mean `-m openai/gpt-5`"));
        assert!(cure("own/larg", &["own/large"]).contains("did you mean `-m own/large`?"));
        for (model, named) in
            [("openai/gpt-5", &[][..]), ("own/larg", &["own/large", "own/larg"]), ("own/z", &[])]
        {
            assert!(!cure(model, named).contains("did you mean"), "{model}");
        }
    }

    #[test]
    fn each_class_has_a_cure_of_its_own_that_names_the_session() {
        let id: SessionId = "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap();
        let kinds = [
            Kind::Connection,
            Kind::Cut,
            Kind::Timeout,
            Kind::RateLimited,
            Kind::Overloaded,
            Kind::Server,
            Kind::Protocol,
            Kind::Auth,
            Kind::Quota,
            Kind::ContextTooLong,
            Kind::BadRequest,
            Kind::Declined,
        ];
        let cure = |kind, retry_after_ms| {
            let failure = ProviderFailure { kind, status: None, message: "x".into(), retry_after_ms };
            of(&failure, &ModelId::new("acme/m"), &[], id)
        };
        let mut cures: Vec<String> = kinds.iter().map(|kind| cure(*kind, None)).collect();
        assert!(cures.iter().all(|cure| cure.contains(&format!("--resume {id}"))), "{cures:#?}");
        cures.sort();
        cures.dedup();
        assert_eq!(cures.len(), kinds.len());
        assert!(cure(Kind::RateLimited, Some(400_001)).contains("whole again (it asks for 401 s), ask"));
    }
}
