//! What this machine allows, for `ringfuse doctor`.

use napi_derive::napi;

/// Tries what the ring transport needs of io_uring: nothing if it works, otherwise why it does not.
#[napi]
#[must_use]
pub fn probe_io_uring() -> Option<String> {
    ringfuse::probe_io_uring().err().map(|error| error.to_string())
}

/// Whether `fusermount3` can mount for this process.
#[napi(object)]
pub struct NativeFusermount {
    /// Its version and place; nothing if it cannot.
    pub found: Option<String>,
    /// Why it cannot.
    pub problem: Option<String>,
    /// What mends that.
    pub remedy: Option<String>,
}

/// Looks for `fusermount3`.
#[napi]
#[must_use]
pub fn probe_fusermount() -> NativeFusermount {
    match ringfuse::probe_fusermount() {
        Ok(found) => NativeFusermount { found: Some(found), problem: None, remedy: None },
        Err(ringfuse::Helplessness { problem, remedy }) => {
            NativeFusermount { found: None, problem: Some(problem), remedy: Some(remedy) }
        }
    }
}
