//! The one call that JavaScript makes for each batch of requests, without the wrapper that `napi` puts around a
//! method: that takes longer than all that is done here. It has no arguments and no result; what it is told and what
//! it tells lies in the [`Exchange`](crate::exchange::Exchange).
#![expect(unsafe_code, reason = "calls Node-API")]

use std::cell::RefCell;
use std::ffi::c_void;
use std::ptr;
use std::rc::Rc;

use napi::bindgen_prelude::{FromNapiValue, Function};
use napi::{Env, JsError, Result, check_status, sys};

use crate::channel::Serving;

/// Makes the function that turns a channel.
pub(crate) fn turn_function<'env>(
    env: Env,
    serving: &Rc<RefCell<Serving>>,
) -> Result<Function<'env, (), ()>> {
    let data = Rc::into_raw(Rc::clone(serving)).cast_mut().cast::<c_void>();
    let mut value = ptr::null_mut();
    // SAFETY: `turn` is a callback of the right type, which reads `data` as what it is; the name has no bytes.
    let status =
        unsafe { sys::napi_create_function(env.raw(), ptr::null(), 0, Some(turn), data, &raw mut value) };
    if status == sys::Status::napi_ok {
        // SAFETY: `value` was just made in the caller's handle scope; the function is the only one that uses
        // `data`, so nothing does once it is collected.
        let status = unsafe {
            sys::napi_add_finalizer(env.raw(), value, data, Some(finalize), ptr::null_mut(), ptr::null_mut())
        };
        if status != sys::Status::napi_ok {
            // SAFETY: nobody gets the function, so nothing calls it; it is the pointer that `into_raw` gave.
            drop(unsafe { Rc::from_raw(data.cast::<RefCell<Serving>>()) });
        }
        check_status!(status, "napi_add_finalizer")?;
    } else {
        // SAFETY: no function was made that could use it; it is the pointer that `into_raw` gave.
        drop(unsafe { Rc::from_raw(data.cast::<RefCell<Serving>>()) });
    }
    check_status!(status, "napi_create_function")?;
    // SAFETY: `value` is a function of this environment, in the caller's handle scope.
    unsafe { Function::from_napi_value(env.raw(), value) }
}

unsafe extern "C" fn turn(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    let mut data = ptr::null_mut();
    // SAFETY: Node-API passes the environment and the call; of the call only `data` is asked for.
    let status = unsafe {
        sys::napi_get_cb_info(env, info, ptr::null_mut(), ptr::null_mut(), ptr::null_mut(), &raw mut data)
    };
    if status == sys::Status::napi_ok {
        // SAFETY: the `data` of `turn_function`, which lives until the function is collected, on this thread.
        let serving = unsafe { &*data.cast::<RefCell<Serving>>() };
        // Turning a channel calls no JavaScript, so nothing else has borrowed it.
        let turned = serving.borrow_mut().turn(Env::from_raw(env));
        if let Err(error) = turned {
            // SAFETY: this is the environment's thread, in a callback that may throw.
            unsafe { JsError::from(error).throw_into(env) };
        }
    }
    ptr::null_mut()
}

/// Runs when the function was collected.
unsafe extern "C" fn finalize(_env: sys::napi_env, data: *mut c_void, _hint: *mut c_void) {
    // SAFETY: the pointer that `turn_function` took out of an `Rc`; Node-API calls this once, on the environment's
    // thread.
    drop(unsafe { Rc::from_raw(data.cast::<RefCell<Serving>>()) });
}
