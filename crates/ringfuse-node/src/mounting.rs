//! A mount that is being made.

use std::sync::{Arc, Weak, mpsc};

use napi::bindgen_prelude::Object;
use napi::{Env, Result};
use napi_derive::napi;
use ringfuse::Connection;

use crate::error::to_javascript;
use crate::file_descriptor::take_over;
use crate::mount::{FORCED_UNMOUNT_TIMEOUT, NativeMount, force_unmount};
use crate::options::NativeOptions;
use crate::promise::promise;
use crate::shared::Shared;

/// Makes one mount. Another thread does all that may wait for a filesystem, as the mountpoint may be in a mount that
/// this environment's thread serves.
#[napi]
#[derive(Default)]
pub struct NativeMounting {
    /// Gives the connection once there is one.
    made: Option<mpsc::Receiver<Weak<Connection>>>,
}

#[napi]
impl NativeMounting {
    /// Nothing is done yet.
    #[napi(constructor)]
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Mounts on `path`, or takes over the descriptor of this number: a promise of the mount, whose FUSE_INIT is
    /// still to be answered. To be called once.
    #[napi(ts_return_type = "Promise<NativeMount>")]
    pub fn begin<'env>(
        &mut self,
        env: &'env Env,
        path: String,
        options: NativeOptions,
        descriptor: Option<i32>,
    ) -> Result<Object<'env>> {
        let descriptor = descriptor.map(take_over).transpose();
        let descriptor = descriptor.map_err(|error| to_javascript(*env, &error))?;
        let (sender, receiver) = mpsc::channel();
        self.made = Some(receiver);
        let prepare = move || {
            let shared = Shared::new(&path, descriptor, &options)?;
            // The receiver lives as long as its environment.
            let _ = sender.send(Arc::downgrade(shared.connection()));
            Ok(shared)
        };
        promise(env, "ringfuse-mount", prepare, |shared| Ok(NativeMount::new(shared)))
    }

    /// Takes away what was mounted, for a process that ends before the promise has told.
    #[napi]
    pub fn abandon(&mut self) {
        let made = self.made.take().and_then(|made| made.recv_timeout(FORCED_UNMOUNT_TIMEOUT).ok());
        if let Some(connection) = made.and_then(|connection| connection.upgrade()) {
            force_unmount(&connection);
        }
    }
}
