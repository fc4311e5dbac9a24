//! The TypeScript layout is the one that the Rust structs have.

use std::path::Path;

use fuse_abi::{LayoutInfo, typescript};
use ringfuse::slot::SlotRecord;

#[test]
fn the_generated_typescript_layout_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packages/ringfuse/src/generated/layout.ts");
    let expected = typescript::module(&[LayoutInfo::of::<SlotRecord>()]);
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, &expected).expect("the layout can be written");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == expected, "{} is stale: run `{}`", path.display(), typescript::COMMAND);
}
