//! Rebuilds the gateway when the console was built, as the binary holds it (src/serve/graphiql.rs). Lists the modules of
//! `src/`, which are the targets of log lines (src/config/log_targets.rs).

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=console/dist");
    println!("cargo::rerun-if-changed=src");
    let mut modules = vec!["sluice".to_owned()];
    collect(Path::new("src"), "sluice", &mut modules)?;
    modules.sort();
    let mut code = format!("/// The modules of sluice.\nconst MODULES: [&str; {}] = [\n", modules.len());
    for module in &modules {
        // A text in memory takes everything.
        _ = writeln!(code, "    {module:?},");
    }
    code.push_str("];\n");
    let directory = env::var_os("OUT_DIR").map(PathBuf::from).unwrap_or_default();
    fs::write(directory.join("modules.rs"), code)
}

/// Adds the modules below a directory, whose own module is `parent`.
fn collect(directory: &Path, parent: &str, modules: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let Some(name) = path.file_stem().and_then(|name| name.to_str()) else { continue };
        let module = format!("{parent}::{name}");
        if path.is_dir() {
            collect(&path, &module, modules)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") && name != "lib" && name != "main" {
            modules.push(module);
        }
    }
    Ok(())
}
