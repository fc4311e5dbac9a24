//! The table of nodes without Node.js, which the binding's own tests would need: its modules, with their tests.

#![expect(dead_code, reason = "the binding uses the rest")]

#[path = "../src/nodes"]
mod nodes {
    mod file_handle;
    mod opens;
    mod table;
}
