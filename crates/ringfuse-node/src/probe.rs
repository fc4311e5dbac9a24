//! What this machine allows, for `ringfuse doctor`.

use napi_derive::napi;

/// Tries what the ring transport needs of io_uring: nothing if it works, otherwise why it does not.
#[napi]
#[must_use]
pub fn probe_io_uring() -> Option<String> {
    ringfuse::probe_io_uring().err().map(|error| error.to_string())
}
