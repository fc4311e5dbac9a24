//! Promises of what other threads do.

use std::sync::mpsc;

use napi::bindgen_prelude::{Object, ToNapiValue};
use napi::{Env, JsDeferred, Result};
use ringfuse::SHORT_STACK;

use crate::error::to_javascript;

/// Does `work` on a thread named `name`, then `then` with what came of it on the environment's thread: a promise of
/// what that returns. If the environment ends meanwhile, what came of it is dropped.
pub(crate) fn promise<'env, T, U>(
    env: &'env Env,
    name: &str,
    work: impl FnOnce() -> ringfuse::Result<T> + Send + 'static,
    then: impl FnOnce(T) -> ringfuse::Result<U> + Send + 'static,
) -> Result<Object<'env>>
where
    T: Send + 'static,
    U: ToNapiValue + 'static,
{
    // The thread comes first: what is deferred and never resolved keeps the event loop alive.
    let (give, take) = mpsc::sync_channel::<JsDeferred<U, _>>(1);
    let body = move || {
        let Ok(deferred) = take.recv() else { return };
        let outcome = work();
        deferred.resolve(move |env| outcome.and_then(then).map_err(|error| to_javascript(env, &error)));
    };
    std::thread::Builder::new()
        .name(name.to_owned())
        .stack_size(SHORT_STACK)
        .spawn(body)
        .map_err(|error| to_javascript(*env, &ringfuse::Error::Thread(error)))?;
    let (deferred, promise) = env.create_deferred()?;
    // The thread is there, and receives it.
    let _ = give.send(deferred);
    Ok(promise)
}
