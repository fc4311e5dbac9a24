//! The watchdog's reports for JavaScript.

use std::sync::Arc;

use napi::Result;
use napi::bindgen_prelude::Function;
use napi::threadsafe_function::ThreadsafeFunctionCallMode;
use napi_derive::napi;
use ringfuse::stall::{Caller, Outcome, Pulse, Stall};

/// A stall: see `ringfuse::stall::Stall`.
#[napi(object)]
pub struct NativeStall {
    pub path: String,
    pub milliseconds: f64,
    pub waiting: Option<f64>,
    pub cause: String,
    pub outcome: String,
    pub message: String,
    pub requests: Vec<NativeHeldRequest>,
    pub callers: Vec<NativeCaller>,
}

/// A request that was taken and not answered.
#[napi(object)]
pub struct NativeHeldRequest {
    pub slot: u32,
    /// Rounded, as the greatest are ids of requests that were sent again.
    pub unique: f64,
    pub opcode: u32,
    pub pid: u32,
}

/// A thread that waits for a FUSE filesystem.
#[napi(object)]
pub struct NativeCaller {
    pub pid: i32,
    pub program: String,
    pub call: Option<String>,
}

/// Passes stalls to `told`, and gives a sign of life when it is called.
pub(crate) fn teller(
    told: &Function<'_, Option<NativeStall>, ()>,
    pulse: Arc<Pulse>,
) -> Result<Box<dyn Fn(Option<Stall>) + Send>> {
    let function =
        told.build_threadsafe_function::<Option<Stall>>().weak::<true>().build_callback(move |context| {
            pulse.give();
            Ok(context.value.map(NativeStall::from))
        })?;
    Ok(Box::new(move |stall| {
        // This fails if the environment has ended.
        let _ = function.call(stall, ThreadsafeFunctionCallMode::NonBlocking);
    }))
}

impl From<Stall> for NativeStall {
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53, where numbers are exact")]
    fn from(stall: Stall) -> Self {
        let message = stall.to_string();
        let requests = stall.requests.iter().map(|request| NativeHeldRequest {
            slot: request.slot,
            unique: request.unique as f64,
            opcode: request.opcode,
            pid: request.pid,
        });
        let callers = stall.callers.into_iter().map(|Caller { process, program, call, .. }| NativeCaller {
            pid: process.as_raw(),
            program,
            call,
        });
        Self {
            path: stall.path.to_string_lossy().into_owned(),
            milliseconds: stall.waited.as_secs_f64() * 1000.0,
            waiting: stall.waiting.map(|count| count as f64),
            cause: stall.cause.name().to_owned(),
            outcome: match stall.outcome {
                Outcome::Waiting => "waiting",
                Outcome::Answered => "answered",
                Outcome::Ended => "ended",
            }
            .to_owned(),
            message,
            requests: requests.collect(),
            callers: callers.collect(),
        }
    }
}
