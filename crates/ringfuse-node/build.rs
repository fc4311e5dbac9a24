//! Tells the linker what a Node.js addon needs.

fn main() {
    napi_build::setup();
    // The close callback of a libuv handle may run after Node.js has closed the addon of a worker: the image
    // stays mapped.
    println!("cargo:rustc-link-arg-cdylib=-Wl,-z,nodelete");
}
