//! `codetether local-engine`: the process that has a local model. It belongs to nobody who started it: it leaves their
//! group and terminal, and ends by itself.

use crate::args::LocalEngineArgs;
use crate::exit::{Exit, Failure};

#[cfg(feature = "local")]
pub(crate) fn run(args: LocalEngineArgs) -> Result<Exit, Failure> {
    use codetether_local::{Engine, Forms, IDLE, KEPT_MAX, Kept, Loaded, Refused, open, serve};

    // Fails where it leads a group already, which is as good.
    let _ = rustix::process::setsid();
    let LocalEngineArgs { socket, model, kept } = args;
    let load = move || {
        let (engine, forms) = open(&model, Forms::new)?;
        let forms = forms.map_err(Refused)?;
        let kept = Kept::new(kept, engine.facts().id.clone(), KEPT_MAX);
        Ok(Loaded { engine, kept: Some(kept), former: Box::new(move |request| forms.hold(request)) })
    };
    serve(&socket, IDLE, load).map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
    Ok(Exit::Done)
}

#[cfg(not(feature = "local"))]
pub(crate) fn run(args: LocalEngineArgs) -> Result<Exit, Failure> {
    let LocalEngineArgs { model, .. } = args;
    let message =
        format!("`{}` cannot be loaded: this build has no engine for local models", model.display());
    Err(Failure::with_help(Exit::Failed, message, codetether_local::NO_ENGINE))
}
