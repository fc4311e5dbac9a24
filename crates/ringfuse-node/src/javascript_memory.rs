//! Mappings shown to JavaScript as `ArrayBuffer`s, without a copy.
#![expect(unsafe_code, reason = "calls Node-API")]

use std::ffi::c_void;
use std::sync::Arc;

use napi::bindgen_prelude::{FromNapiValue, Unknown};
use napi::{Env, Error, Result, Status, check_status, sys};
use ringfuse::Region;

/// Shows a region to JavaScript. The region lives until the `ArrayBuffer`, and every view of it, is collected.
///
/// # Errors
/// `ERR_RINGFUSE_EXTERNAL_MEMORY` where the runtime forbids memory that it did not allocate (Electron).
pub(crate) fn array_buffer<'env>(env: Env, region: &Arc<Region>) -> Result<Unknown<'env>> {
    let hint = Arc::into_raw(Arc::clone(region)).cast_mut().cast::<c_void>();
    let mut value = std::ptr::null_mut();
    // SAFETY: the data is a mapping that `hint`, an `Arc` of it, keeps alive until `finalize` runs; JavaScript
    // runs on the thread of the channel that shares the memory, see `ringfuse::Region`.
    let status = unsafe {
        sys::napi_create_external_arraybuffer(
            env.raw(),
            region.as_ptr().cast(),
            region.len(),
            Some(finalize),
            hint,
            &raw mut value,
        )
    };
    if status != sys::Status::napi_ok {
        // SAFETY: Node-API did not take the hint over; it is the pointer that `into_raw` gave.
        drop(unsafe { Arc::from_raw(hint.cast::<Region>()) });
    }
    if status == sys::Status::napi_no_external_buffers_allowed {
        return Err(Error::new(
            Status::NoExternalBuffersAllowed,
            "this runtime does not allow JavaScript to see native memory (Electron's memory cage): run the \
             filesystem in a Node.js process",
        ));
    }
    check_status!(status, "the slots cannot be shown to JavaScript")?;
    // SAFETY: `value` is what Node-API just made in this environment, in the caller's handle scope.
    unsafe { Unknown::from_napi_value(env.raw(), value) }
}

/// Runs when the `ArrayBuffer` and all views of it were collected.
unsafe extern "C" fn finalize(_env: sys::napi_env, _data: *mut c_void, hint: *mut c_void) {
    // SAFETY: `hint` is the pointer that `array_buffer` took out of an `Arc`, and Node-API calls this once.
    drop(unsafe { Arc::from_raw(hint.cast::<Region>()) });
}
