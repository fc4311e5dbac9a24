//! Promises of what other threads do.

use napi::bindgen_prelude::{Object, ToNapiValue};
use napi::{Env, Result};

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
    let (deferred, promise) = env.create_deferred()?;
    let body = move || {
        let outcome = work();
        deferred.resolve(move |env| outcome.and_then(then).map_err(|error| to_javascript(env, &error)));
    };
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(body)
        .map_err(|error| to_javascript(*env, &ringfuse::Error::Thread(error)))?;
    Ok(promise)
}
