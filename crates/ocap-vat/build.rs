//! Compiles the engine's own scripts, `js/`, to the engine's bytecode: a zygote loads that in a
//! fraction of the time it would take to parse them. It is part of the program, so that it is as
//! trustworthy as the program.

use std::error::Error;
use std::ffi::CString;
use std::path::{Path, PathBuf};
use std::{env, fs};

use bytecode::Texts;
use rquickjs::{Context, Ctx, Runtime};

#[path = "src/bytecode.rs"]
#[allow(dead_code, unreachable_pub, reason = "nothing is run here")]
mod bytecode;

/// Where scripts are.
const FOLDERS: &[&str] = &["realm", "supervisor", "endowments"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=js");
    let compiled = PathBuf::from(env::var("OUT_DIR")?);
    let runtime = Runtime::new()?;
    let context = Context::full(&runtime)?;
    for folder in FOLDERS {
        fs::create_dir_all(compiled.join(folder))?;
        for script in fs::read_dir(Path::new("js").join(folder))? {
            let path = script?.path();
            let name = path.strip_prefix("js")?;
            let text = fs::read_to_string(&path)?;
            let bytes = context.with(|ctx| compile(&ctx, name, text))?;
            fs::write(compiled.join(name), bytes)?;
        }
    }
    Ok(())
}

fn compile(ctx: &Ctx<'_>, name: &Path, text: String) -> Result<Vec<u8>, Box<dyn Error>> {
    let shown = name.to_str().ok_or("the name of a script is not UTF-8")?;
    bytecode::compile(ctx, &CString::new(shown)?, text, Texts::Kept).map_err(|error| {
        let thrown = ctx.catch().into_exception().map(|thrown| thrown.to_string());
        format!("js/{shown}: {}", thrown.unwrap_or_else(|| error.to_string())).into()
    })
}
