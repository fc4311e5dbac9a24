//! Errors as Node.js programs know them: `code`, `errno`, `syscall`.

use napi::bindgen_prelude::{JsObjectValue, JsValue};
use napi::{Env, Error, Status};

/// Makes a JavaScript error of the core's: `code` is its stable name, `errno` negative as Node.js has it.
pub(crate) fn to_javascript(env: Env, error: &ringfuse::Error) -> Error {
    let make = || {
        let mut object = env.create_error(Error::new(Status::GenericFailure, error.to_string()))?;
        object.set_named_property("code", error.code())?;
        if let Some(errno) = error.errno() {
            object.set_named_property("errno", -(errno as i32))?;
        }
        if let Some(syscall) = error.syscall() {
            object.set_named_property("syscall", syscall)?;
        }
        Ok(Error::from(object.to_unknown()))
    };
    make().unwrap_or_else(|failed: Error| failed)
}
