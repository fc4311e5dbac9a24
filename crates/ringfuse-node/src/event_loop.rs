//! A file descriptor watched by the libuv loop of a JavaScript environment.
//!
//! libuv and Node-API are called directly: `napi` has no wrapper of either. Node.js exports libuv's functions
//! to addons; libuv keeps its ABI within a major version, and Node.js 20 to 26 all have libuv 1.
#![expect(unsafe_code, reason = "calls libuv and Node-API")]

use std::ffi::{c_int, c_void};
use std::os::fd::RawFd;
use std::ptr::{self, NonNull};

use napi::bindgen_prelude::{Function, JsValue, Object};
use napi::{Env, Error, Result, Status, check_status, sys};

/// `UV_POLL` of `enum uv_handle_type`.
const UV_POLL: c_int = 8;
/// `UV_READABLE` of `enum uv_poll_event`.
const UV_READABLE: c_int = 1;
/// `UV_DISCONNECT` of `enum uv_poll_event`. An error of the descriptor is told as well, as always.
const UV_DISCONNECT: c_int = 4;

type Handle = c_void;
type PollCallback = unsafe extern "C" fn(*mut Handle, c_int, c_int);
type CloseCallback = unsafe extern "C" fn(*mut Handle);

unsafe extern "C" {
    fn uv_handle_size(kind: c_int) -> usize;
    fn uv_handle_set_data(handle: *mut Handle, data: *mut c_void);
    fn uv_handle_get_data(handle: *const Handle) -> *mut c_void;
    fn uv_poll_init(event_loop: *mut sys::uv_loop_s, handle: *mut Handle, fd: c_int) -> c_int;
    fn uv_poll_start(handle: *mut Handle, events: c_int, callback: PollCallback) -> c_int;
    fn uv_ref(handle: *mut Handle);
    fn uv_unref(handle: *mut Handle);
    fn uv_close(handle: *mut Handle, callback: CloseCallback);
}

/// A watch that calls a JavaScript function when its descriptor is readable.
///
/// It must be closed on its environment's thread; an environment that ends closes it first.
pub(crate) struct Watch {
    state: NonNull<State>,
    active: bool,
}

/// What a watch's callbacks need. Lives until libuv has let go of the handle.
struct State {
    env: sys::napi_env,
    /// Memory of the `uv_poll_t`, whose size only libuv knows.
    handle: Box<[u128]>,
    /// The async context in which JavaScript is called.
    context: sys::napi_async_context,
    /// The function, and the object that is its `this` and the context's resource.
    function: sys::napi_ref,
    resource: sys::napi_ref,
    cleanup_hook: sys::napi_async_cleanup_hook_handle,
    take_signal: Box<dyn Fn()>,
    /// To be done when the environment ends with the watch open.
    at_environment_end: Option<Box<dyn FnOnce()>>,
    closing: bool,
}

impl State {
    fn handle(&mut self) -> *mut Handle {
        self.handle.as_mut_ptr().cast()
    }

    fn close(&mut self) {
        if !self.closing {
            self.closing = true;
            // SAFETY: the handle is initialised and not closing; libuv calls `on_close` once, after which
            // nothing uses it.
            unsafe { uv_close(self.handle(), on_close) };
        }
    }
}

impl Drop for State {
    /// Gives Node-API back what was made: all of it, or what there was when something failed.
    fn drop(&mut self) {
        for reference in [self.function, self.resource] {
            if !reference.is_null() {
                // SAFETY: made by `Watch::new` in this environment, and deleted once; this is its thread.
                unsafe { sys::napi_delete_reference(self.env, reference) };
            }
        }
        if !self.context.is_null() {
            // SAFETY: made by `Watch::new` in this environment, and destroyed once.
            unsafe { sys::napi_async_destroy(self.env, self.context) };
        }
        if !self.cleanup_hook.is_null() {
            // SAFETY: added by `Watch::new`; removing it tells an environment that ends that this is done.
            unsafe { sys::napi_remove_async_cleanup_hook(self.cleanup_hook) };
        }
    }
}

impl Watch {
    /// Watches `fd` and, when it is readable, calls `take_signal`, and `function` on `resource`. If the environment ends
    /// first, `at_environment_end` runs.
    pub(crate) fn new(
        env: Env,
        fd: RawFd,
        take_signal: Box<dyn Fn()>,
        function: &Function<'_, (), ()>,
        resource: &Object<'_>,
        at_environment_end: Box<dyn FnOnce()>,
    ) -> Result<Self> {
        let event_loop = env.get_uv_event_loop()?;
        let raw = env.raw();
        // SAFETY: takes a number, returns a number.
        let size = unsafe { uv_handle_size(UV_POLL) };
        let mut state = Box::new(State {
            env: raw,
            handle: vec![0; size.div_ceil(size_of::<u128>())].into_boxed_slice(),
            context: ptr::null_mut(),
            function: ptr::null_mut(),
            resource: ptr::null_mut(),
            cleanup_hook: ptr::null_mut(),
            take_signal,
            at_environment_end: Some(at_environment_end),
            closing: false,
        });
        state.function = reference(raw, function.value().value)?;
        state.resource = reference(raw, resource.value().value)?;
        let name = env.create_string("ringfuse")?;
        let (resource_value, name_value) = (resource.value().value, name.value().value);
        // SAFETY: both values are live handles of this environment; `context` is written to.
        let status = unsafe { sys::napi_async_init(raw, resource_value, name_value, &raw mut state.context) };
        check_status!(status, "napi_async_init")?;
        // SAFETY: the handle's memory has libuv's size and `u128`'s alignment, and stays where it is (boxed).
        uv_check("uv_poll_init", unsafe { uv_poll_init(event_loop, state.handle(), fd) })?;
        // From here on only `on_close` frees the state.
        let mut state = NonNull::from(Box::leak(state));
        // SAFETY: just made from a live box; the only reference at this time.
        let shared = unsafe { state.as_mut() };
        // SAFETY: the handle is initialised; the pointer is valid until `on_close`.
        unsafe { uv_handle_set_data(shared.handle(), state.as_ptr().cast()) };
        // SAFETY: the hook's argument is valid until `on_close` has removed the hook.
        let status = unsafe {
            sys::napi_add_async_cleanup_hook(
                raw,
                Some(on_environment_end),
                state.as_ptr().cast(),
                &raw mut shared.cleanup_hook,
            )
        };
        // SAFETY: the handle is initialised.
        let started = unsafe { uv_poll_start(shared.handle(), UV_READABLE, on_readable) };
        if status != sys::Status::napi_ok || started != 0 {
            shared.close();
        }
        check_status!(status, "napi_add_async_cleanup_hook")?;
        uv_check("uv_poll_start", started)?;
        Ok(Self { state, active: true })
    }

    /// Whether the descriptor is watched for input: so it is at first. A descriptor that stays readable while nobody
    /// can read it would keep the loop spinning. Its end is watched for in any case.
    pub(crate) fn set_active(&mut self, active: bool) {
        if active != self.active {
            self.active = active;
            // SAFETY: the state lives until `close`, which consumes this watch, and this is the loop's thread.
            let handle = unsafe { self.state.as_mut() }.handle();
            let events = if active { UV_READABLE } else { UV_DISCONNECT };
            // SAFETY: the handle is initialised and not closing. This fails only for a closing handle.
            let _status = unsafe { uv_poll_start(handle, events, on_readable) };
        }
    }

    /// Whether the watch keeps the loop, and so the process, alive: as sockets do, it does at first.
    pub(crate) fn set_ref(&mut self, keep_alive: bool) {
        // SAFETY: the state lives until `close`, which consumes this watch, and this is the loop's thread.
        let handle = unsafe { self.state.as_mut() }.handle();
        if keep_alive {
            // SAFETY: the handle is initialised.
            unsafe { uv_ref(handle) };
        } else {
            // SAFETY: as above.
            unsafe { uv_unref(handle) };
        }
    }

    /// Ends the watch. The descriptor may be closed as soon as this returns.
    pub(crate) fn close(mut self) {
        // SAFETY: as in `set_ref`. If the environment's end closed the handle already, `State::close` does
        // nothing; the owner's end comes before libuv runs `on_close`, or the state would be gone: see `mount`.
        unsafe { self.state.as_mut() }.close();
    }
}

fn reference(env: sys::napi_env, value: sys::napi_value) -> Result<sys::napi_ref> {
    let mut reference = ptr::null_mut();
    // SAFETY: `value` is a live handle of this environment.
    let status = unsafe { sys::napi_create_reference(env, value, 1, &raw mut reference) };
    check_status!(status, "napi_create_reference")?;
    Ok(reference)
}

fn referenced(env: sys::napi_env, reference: sys::napi_ref) -> sys::napi_value {
    let mut value = ptr::null_mut();
    // SAFETY: the reference is strong and lives until `on_close`; a handle scope is open.
    unsafe { sys::napi_get_reference_value(env, reference, &raw mut value) };
    value
}

fn uv_check(operation: &str, status: c_int) -> Result<()> {
    if status == 0 {
        Ok(())
    } else {
        Err(Error::new(
            Status::GenericFailure,
            format!("{operation}: {}", std::io::Error::from_raw_os_error(-status)),
        ))
    }
}

unsafe extern "C" fn on_readable(handle: *mut Handle, _status: c_int, _events: c_int) {
    // SAFETY: libuv passes the handle that `Watch::new` set the data of.
    let state = unsafe { uv_handle_get_data(handle) }.cast::<State>();
    // SAFETY: the state lives until `on_close`, after which libuv calls nothing more. Only copies are left when JavaScript
    // is called, as it may close the watch.
    let &State { env, context, function, resource, ref take_signal, .. } = unsafe { &*state };
    take_signal();
    let mut scope = ptr::null_mut();
    // SAFETY: this is the environment's thread, and libuv calls with no scope open.
    if unsafe { sys::napi_open_handle_scope(env, &raw mut scope) } != sys::Status::napi_ok {
        return;
    }
    let (receiver, function) = (referenced(env, resource), referenced(env, function));
    // SAFETY: both values are live in this scope. Making a callback, not a plain call, runs microtasks and
    // `process.nextTick` when it returns.
    let status =
        unsafe { sys::napi_make_callback(env, context, receiver, function, 0, ptr::null(), ptr::null_mut()) };
    if status == sys::Status::napi_pending_exception {
        let mut error = ptr::null_mut();
        // SAFETY: writes the exception's handle.
        unsafe { sys::napi_get_and_clear_last_exception(env, &raw mut error) };
        // SAFETY: `error` is live in this scope. This ends in 'uncaughtException'.
        unsafe { sys::napi_fatal_exception(env, error) };
    }
    // SAFETY: the scope opened above, the innermost.
    unsafe { sys::napi_close_handle_scope(env, scope) };
}

unsafe extern "C" fn on_environment_end(_hook: sys::napi_async_cleanup_hook_handle, state: *mut c_void) {
    // SAFETY: the argument given to Node-API with this hook; `on_close` removes the hook before it frees it.
    let state = unsafe { &mut *state.cast::<State>() };
    if let Some(at_environment_end) = state.at_environment_end.take() {
        at_environment_end();
    }
    state.close();
}

unsafe extern "C" fn on_close(handle: *mut Handle) {
    // SAFETY: libuv passes the handle that `Watch::new` set the data of.
    let state = unsafe { uv_handle_get_data(handle) }.cast::<State>();
    // SAFETY: leaked from a box by `Watch::new`; libuv calls this once, as the last use of the handle.
    drop(unsafe { Box::from_raw(state) });
}
