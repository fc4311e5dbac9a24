//! What the tasks work with: made once for a run, on the machine's own filesystem.

use std::{
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    ending::{self, Guard},
    error::Error,
    profile::Profile,
    work::program::{Limit, run},
};

/// Files larger than this are left out of the source tree, which stands for one that people write.
const LARGEST_SOURCE: u64 = 256 << 10;
/// What sources are called.
const EXTENSIONS: [&str; 7] = ["ts", "js", "mjs", "json", "md", "rs", "toml"];
/// The package that `npm install` installs, of the version that this repository has.
const NPM_PACKAGE: &str = "ava";
/// The crate that the small Rust program depends on.
const CRATE: &str = "bitflags";

/// The inputs' directories. Dropping it removes them.
#[derive(Debug)]
pub struct Inputs {
    _guard: Guard,
    home: PathBuf,
    /// How many files the tree has.
    pub files: usize,
    /// Bytes of the large file.
    pub large_bytes: u64,
    /// Why there is no npm project, if there is none.
    npm: Result<(), String>,
    /// Why there is no Rust program, if there is none.
    cargo: Result<(), String>,
}

impl Inputs {
    /// Makes the inputs from what `repository` has.
    ///
    /// # Errors
    ///
    /// [`Error::Path`] and [`Error::Task`] if the tree, its archive or its repository cannot be made.
    pub fn make(repository: &Path, profile: Profile) -> Result<Self, Error> {
        let (most_files, large_bytes) = match profile {
            Profile::Quick => (1000, 128 << 20),
            Profile::Full => (4000, 512 << 20),
        };
        let directory = tempfile::Builder::new().prefix("ringfuse-bench-inputs-").tempdir();
        let directory =
            directory.map_err(|source| failed("make a directory in", &std::env::temp_dir(), source))?;
        let home = directory.path().to_owned();
        let guard = ending::keep("inputs", home.join("mount"), directory);

        let tree = home.join("tree");
        let mut files = Vec::new();
        for folder in ["node_modules", "crates", "packages"] {
            collect(&repository.join(folder), most_files, &mut files)?;
        }
        for file in &files {
            let relative = file.strip_prefix(repository).expect("collected below the repository");
            // `node_modules` is a name that tools pass over.
            let target = tree.join(relative.to_string_lossy().replace("node_modules", "modules"));
            let parent = target.parent().expect("a file has a directory");
            fs::create_dir_all(parent).map_err(|source| failed("create", parent, source))?;
            fs::copy(file, &target).map_err(|source| failed("copy to", &target, source))?;
        }
        make_repository(&tree)?;
        run(
            Command::new("tar")
                .args(["--create", "--exclude=.git", "--file=tree.tar", "tree"])
                .current_dir(&home),
            Limit::Generous,
        )?;
        let large = home.join("large");
        fs::write(&large, vec![0x5a; usize::try_from(large_bytes).unwrap_or(usize::MAX)])
            .map_err(|source| failed("write", &large, source))?;
        let npm = make_npm_project(&home.join("npm"), repository).map_err(|error| error.to_string());
        let cargo = make_rust_program(&home.join("rust")).map_err(|error| error.to_string());
        Ok(Self { _guard: guard, home, files: files.len(), large_bytes, npm, cargo })
    }

    /// The tree of sources, with a git repository.
    #[must_use]
    pub fn tree(&self) -> PathBuf {
        self.home.join("tree")
    }

    /// The same tree without its repository, as an archive that unpacks to `tree`.
    #[must_use]
    pub fn archive(&self) -> PathBuf {
        self.home.join("tree.tar")
    }

    /// A file of [`Self::large_bytes`].
    #[must_use]
    pub fn large(&self) -> PathBuf {
        self.home.join("large")
    }

    /// A project with a lock file, and the cache that has all its packages.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub fn npm(&self) -> Result<(PathBuf, PathBuf), Error> {
        self.npm.clone().map_err(Error::Input)?;
        Ok((self.home.join("npm/project"), self.home.join("npm/cache")))
    }

    /// A crate with one dependency, which cargo has.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub fn rust(&self) -> Result<PathBuf, Error> {
        self.cargo.clone().map_err(Error::Input)?;
        Ok(self.home.join("rust"))
    }
}

/// The sources below `directory`, in an order that does not depend on the machine, until there are `most`.
fn collect(directory: &Path, most: usize, files: &mut Vec<PathBuf>) -> Result<(), Error> {
    let cannot = |source| failed("read", directory, source);
    let entries = fs::read_dir(directory).map_err(cannot)?.collect::<io::Result<Vec<_>>>().map_err(cannot)?;
    let mut paths: Vec<_> = entries.into_iter().map(|entry| entry.path()).collect();
    paths.sort_unstable();
    for path in paths {
        if files.len() >= most {
            break;
        }
        let metadata = fs::symlink_metadata(&path).map_err(|source| failed("stat", &path, source))?;
        if metadata.is_dir() {
            collect(&path, most, files)?;
        } else if metadata.is_file() && metadata.len() <= LARGEST_SOURCE && is_source(&path) {
            files.push(path);
        }
    }
    Ok(())
}

fn is_source(path: &Path) -> bool {
    path.extension().and_then(OsStr::to_str).is_some_and(|extension| EXTENSIONS.contains(&extension))
}

fn make_repository(tree: &Path) -> Result<(), Error> {
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.args(["-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "gc.auto=0"]);
        run(command.args(arguments).current_dir(tree), Limit::Generous)
    };
    git(&["init", "--quiet"])?;
    git(&["add", "--all", "--force"])?;
    git(&["commit", "--quiet", "--message=all"])
}

/// A project whose install needs no network, once it was done with it.
fn make_npm_project(home: &Path, repository: &Path) -> Result<(), Error> {
    let project = home.join("project");
    fs::create_dir_all(&project).map_err(|source| failed("create", &project, source))?;
    let installed = repository.join("node_modules").join(NPM_PACKAGE).join("package.json");
    let text = fs::read(&installed).map_err(|source| failed("read", &installed, source))?;
    let version = serde_json::from_slice::<serde_json::Value>(&text)?["version"].clone();
    let manifest = serde_json::json!({ "private": true, "dependencies": { NPM_PACKAGE: version } });
    let file = project.join("package.json");
    fs::write(&file, manifest.to_string()).map_err(|source| failed("write", &file, source))?;
    for step in [&["install", "--package-lock-only"][..], &["ci"]] {
        let mut npm = Command::new("npm");
        npm.args(step).args(["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", "--cache"]);
        run(npm.arg(home.join("cache")).current_dir(&project), Limit::Generous)?;
    }
    let modules = project.join("node_modules");
    fs::remove_dir_all(&modules).map_err(|source| failed("remove", &modules, source))
}

fn make_rust_program(home: &Path) -> Result<(), Error> {
    let manifest = format!(
        "[workspace]\n\n[package]\nname = \"small\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\n[dependencies]\n{CRATE} = \"2\"\n"
    );
    let program = "use bitflags::bitflags;\n\nbitflags! {\n    struct Flags: u32 {\n        const A = 1;\n    }\n}\n\n\
                   fn main() {\n    println!(\"{}\", Flags::A.bits());\n}\n";
    for (name, text) in [("Cargo.toml", manifest.as_str()), ("src/main.rs", program)] {
        let file = home.join(name);
        let parent = file.parent().expect("a file has a directory");
        fs::create_dir_all(parent).map_err(|source| failed("create", parent, source))?;
        fs::write(&file, text).map_err(|source| failed("write", &file, source))?;
    }
    run(Command::new("cargo").args(["fetch", "--offline", "--quiet"]).current_dir(home), Limit::Generous)
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> Error {
    Error::Path { action, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_has_so_many_sources_in_order_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("b")).unwrap();
        for file in ["c.js", "a.ts", "b/d.md", "b/picture.png"] {
            fs::write(directory.path().join(file), "").unwrap();
        }
        fs::write(directory.path().join("huge.js"), vec![0; 300 << 10]).unwrap();
        let mut files = Vec::new();
        collect(directory.path(), 10, &mut files).unwrap();
        assert_eq!(files, ["a.ts", "b/d.md", "c.js"].map(|name| directory.path().join(name)));
        files.clear();
        collect(directory.path(), 1, &mut files).unwrap();
        assert_eq!(files.len(), 1);
    }
}
