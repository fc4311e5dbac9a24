//! Errors as Node.js programs know them: `code`, `errno`, `syscall`.

use napi::bindgen_prelude::{JsObjectValue, JsValue};
use napi::{Env, Error, Status};

/// Makes a JavaScript error of the core's: `code` is its stable name, `errno` negative as Node.js has it.
pub(crate) fn to_javascript(env: Env, error: &ringfuse::Error) -> Error {
    let message = match error {
        ringfuse::Error::InvalidOption { option, problem } => {
            format!("option {}: {problem}", camel_case(option))
        }
        error => error.to_string(),
    };
    let make = || {
        let mut object = env.create_error(Error::new(Status::GenericFailure, message))?;
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

/// The name that TypeScript has for an option of the core's.
fn camel_case(option: &str) -> String {
    let mut words = option.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| {
        let (initial, rest) = word.split_at(1.min(word.len()));
        name + &initial.to_ascii_uppercase() + rest
    })
}
