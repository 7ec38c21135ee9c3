//! npm packages in `node_modules` folders, as Node finds them: from the importing file upwards,
//! through the package's `exports`, under the conditions `import`, `browser` and `default`.
//!
//! Everything in a package is somebody else's text. It is read with limits, and where it leads is
//! looked at like any other import.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::folder::{Found, ModuleFolder, normal};

const MANIFEST: &str = "package.json";
const PACKAGES: &str = "node_modules";

/// What a package may be imported under.
const CONDITIONS: [&str; 3] = ["import", "browser", "default"];

/// What of `package.json` matters.
#[derive(Deserialize)]
struct Manifest {
    #[serde(default, rename = "type")]
    kind: Option<Value>,
    #[serde(default)]
    exports: Option<Target>,
    #[serde(default)]
    imports: Option<Target>,
    #[serde(default)]
    module: Option<Value>,
    #[serde(default)]
    main: Option<Value>,
}

/// A target of `exports` or `imports`. The order of conditions matters.
#[derive(Deserialize)]
#[serde(untagged)]
enum Target {
    Path(String),
    Either(Vec<Target>),
    Under(IndexMap<String, Target>),
    Nothing(IgnoredAny),
}

/// The file that a bare specifier means in `referrer`; `None` if there is no such package.
pub(crate) fn find(
    folder: &ModuleFolder,
    referrer: &str,
    specifier: &str,
) -> Result<Option<Found>, String> {
    if specifier.starts_with('#') {
        return find_internal(folder, referrer, specifier);
    }
    let Some((name, rest)) = split(specifier) else { return Ok(None) };
    let start = Path::new(referrer).parent().unwrap_or(Path::new(""));
    for above in start.ancestors() {
        if above.file_name().is_some_and(|name| name == PACKAGES) {
            continue;
        }
        let package = above.join(PACKAGES).join(name);
        if let Some(manifest) = read_manifest(folder, &package)? {
            return entry(folder, &package, &manifest, rest).map(Some);
        }
    }
    Ok(None)
}

/// What `#name` means: the nearest package's own affair.
fn find_internal(
    folder: &ModuleFolder,
    referrer: &str,
    specifier: &str,
) -> Result<Option<Found>, String> {
    let Some((package, manifest)) = package_of(folder, Path::new(referrer))? else {
        return Ok(None);
    };
    let Some(imports) = &manifest.imports else { return Ok(None) };
    let Some(target) = look_up(imports, specifier) else { return Ok(None) };
    if target.starts_with("./") {
        return file(folder, &package, &target).map(Some);
    }
    if target.starts_with('#') {
        return Err(format!("{} leads {specifier} in a circle", manifest_of(&package)));
    }
    let referrer = package.join(MANIFEST);
    find(folder, &referrer.to_string_lossy(), &target)
}

/// A package's name, and what is behind it.
fn split(specifier: &str) -> Option<(&str, &str)> {
    let slash = match specifier.strip_prefix('@') {
        Some(scoped) => {
            let first = scoped.find('/')? + 1;
            specifier[first + 1..].find('/').map(|at| first + 1 + at)
        }
        None => specifier.find('/'),
    };
    let (name, rest) = specifier.split_at(slash.unwrap_or(specifier.len()));
    let is_plain = normal(Path::new(name)).is_some_and(|path| path == Path::new(name));
    let allowed = |c: char| c.is_ascii_alphanumeric() || "@/-_.~".contains(c);
    let has_name = !name.is_empty() && !name.starts_with('.') && !name.starts_with("@/");
    (is_plain && has_name && name.chars().all(allowed))
        .then(|| (name, rest.strip_prefix('/').unwrap_or("")))
}

fn manifest_of(package: &Path) -> String {
    package.join(MANIFEST).display().to_string()
}

fn read_manifest(folder: &ModuleFolder, package: &Path) -> Result<Option<Manifest>, String> {
    let Some(found) = folder.find(&package.join(MANIFEST))? else { return Ok(None) };
    let Some(path) = found.below() else {
        return Err(format!("the package {} lies outside the cluster's folder", package.display()));
    };
    let text = folder.read(path)?;
    let manifest = serde_json::from_str(&text);
    manifest.map(Some).map_err(|error| format!("{}: {error}", manifest_of(package)))
}

/// The package a file belongs to.
fn package_of(folder: &ModuleFolder, path: &Path) -> Result<Option<(PathBuf, Manifest)>, String> {
    for above in path.ancestors().skip(1) {
        if above.file_name().is_some_and(|name| name == PACKAGES) {
            break;
        }
        if let Some(manifest) = read_manifest(folder, above)? {
            return Ok(Some((above.to_path_buf(), manifest)));
        }
    }
    Ok(None)
}

/// The file a package gives for what is behind its name.
fn entry(
    folder: &ModuleFolder,
    package: &Path,
    manifest: &Manifest,
    rest: &str,
) -> Result<Found, String> {
    if let Some(exports) = &manifest.exports {
        let wanted = if rest.is_empty() { ".".to_owned() } else { format!("./{rest}") };
        let target = look_up(exports, &wanted).ok_or_else(|| {
            let conditions = CONDITIONS.join(", ");
            format!("{} exports no {wanted} under {conditions}", manifest_of(package))
        })?;
        return file(folder, package, &target);
    }
    let written = [&manifest.module, &manifest.main];
    let main = written.into_iter().flatten().find_map(Value::as_str).unwrap_or("index.js");
    let wanted = if rest.is_empty() { main } else { rest };
    let missing = || format!("{} has no file {wanted}", package.display());
    let path = normal(Path::new(wanted)).ok_or_else(missing)?;
    folder.find_module(&package.join(path))?.ok_or_else(missing)
}

/// The file that a target names.
fn file(folder: &ModuleFolder, package: &Path, target: &str) -> Result<Found, String> {
    let missing = || format!("{} names {target}, which is not there", manifest_of(package));
    let inside = target.strip_prefix("./").and_then(|target| normal(Path::new(target)));
    let inside = inside.filter(|path| path.components().all(|part| part.as_os_str() != PACKAGES));
    folder.find(&package.join(inside.ok_or_else(missing)?))?.ok_or_else(missing)
}

/// What a map of `exports` or `imports` says for a name.
fn look_up(map: &Target, wanted: &str) -> Option<String> {
    let entries = match map {
        Target::Under(entries) if entries.keys().any(|key| key.starts_with(['.', '#'])) => entries,
        whole => return (wanted == ".").then(|| choose(whole, "")).flatten(),
    };
    if let Some(target) = entries.get(wanted).filter(|_| !wanted.contains('*')) {
        return choose(target, "");
    }
    let fits = entries.iter().filter_map(|(key, target)| {
        let (before, after) = key.split_once('*')?;
        let star = wanted.strip_prefix(before)?.strip_suffix(after)?;
        (!star.is_empty()).then_some((before.len(), key.len(), star, target))
    });
    let (.., star, target) = fits.max_by_key(|(before, whole, ..)| (*before, *whole))?;
    choose(target, star)
}

/// What a target gives under our conditions.
fn choose(target: &Target, star: &str) -> Option<String> {
    match target {
        Target::Path(path) => Some(path.replace('*', star)),
        Target::Either(targets) => targets.iter().find_map(|target| choose(target, star)),
        Target::Under(conditions) => {
            let holds = |(name, _): &(&String, &Target)| CONDITIONS.contains(&name.as_str());
            let mut targets = conditions.iter().filter(holds);
            targets.find_map(|(_, target)| choose(target, star))
        }
        Target::Nothing(_) => None,
    }
}

/// Says so where a package's file is no ES module, before the engine says something less clear.
pub(crate) fn check_module(folder: &ModuleFolder, path: &Path, text: &str) -> Result<(), String> {
    if !path.components().any(|part| part.as_os_str() == PACKAGES) {
        return Ok(());
    }
    let is_common = match path.extension().and_then(|end| end.to_str()) {
        Some("cjs" | "cts") => true,
        Some("js") => {
            let says_module = match package_of(folder, path)? {
                Some((_, manifest)) => {
                    manifest.kind.as_ref().and_then(Value::as_str) == Some("module")
                }
                None => false,
            };
            !says_module && looks_common(text)
        }
        _ => false,
    };
    if is_common {
        let path = path.display();
        return Err(format!(
            "{path} is a CommonJS module, and vats are made of ES modules; use a package that has \
             ES modules, or make a bundle with another tool and name it as bundleSpec"
        ));
    }
    Ok(())
}

fn looks_common(text: &str) -> bool {
    let has_syntax = |line: &str| {
        let line = line.trim_start();
        ["import", "export"].iter().any(|word| {
            let rest = line.strip_prefix(word);
            rest.is_some_and(|rest| rest.starts_with([' ', '{', '*', '\'', '"']))
        })
    };
    ["module.exports", "exports.", "require("].iter().any(|sign| text.contains(sign))
        && !text.lines().any(has_syntax)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(json: &str) -> Target {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn names_end_where_paths_begin() {
        assert_eq!(split("a"), Some(("a", "")));
        assert_eq!(split("a/b/c.js"), Some(("a", "b/c.js")));
        assert_eq!(split("@a/b"), Some(("@a/b", "")));
        assert_eq!(split("@a/b/c"), Some(("@a/b", "c")));
        for odd in ["", "/a", "@a", "@", "@/b", "@a/../b", "..", "a\\b", "node:fs", "https://x/y"] {
            assert_eq!(split(odd), None, "{odd}");
        }
    }

    #[test]
    fn exports_are_read_as_node_reads_them() {
        let maps = [
            (r#""./a.js""#, ".", Some("./a.js")),
            (r#""./a.js""#, "./b", None),
            (
                r#"{"require": "./a.cjs", "default": "./a.js", "import": "./b.js"}"#,
                ".",
                Some("./a.js"),
            ),
            (
                r#"{"node": "./a", "import": {"types": "./a.d.ts", "browser": "./b.js"}}"#,
                ".",
                Some("./b.js"),
            ),
            (r#"{".": [null, {"require": "./x"}, "./a.js"]}"#, ".", Some("./a.js")),
            (r#"{".": "./a.js", "./b/*": "./c/*.js", "./b/d/*": null}"#, "./b/e", Some("./c/e.js")),
            (r#"{"./b/*": "./c/*.js", "./b/d/*": null}"#, "./b/d/e", None),
            (r#"{"./*.js": "./lib/*.js", "./*": "./x/*"}"#, "./a.js", Some("./lib/a.js")),
            (r##"{"#a": "./a.js"}"##, "#a", Some("./a.js")),
            (r#"{"import": {"require": "./x"}, "default": "./d.js"}"#, ".", Some("./d.js")),
            ("false", ".", None),
        ];
        for (map, wanted, found) in maps {
            assert_eq!(look_up(&target(map), wanted).as_deref(), found, "{map} {wanted}");
        }
    }

    fn write(root: &Path, files: &[(&str, &str)]) {
        for (name, text) in files {
            let path = root.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
    }

    #[test]
    fn packages_are_found_from_the_importing_file_upwards() {
        let root = tempfile::tempdir().unwrap();
        write(
            root.path(),
            &[
                ("node_modules/a/package.json", r#"{"type": "module", "main": "lib/main"}"#),
                ("node_modules/a/lib/main.js", "a"),
                ("node_modules/a/other.js", "other"),
                (
                    "sub/node_modules/a/package.json",
                    r##"{"exports": "./in.js", "imports": {"#x": "b"}}"##,
                ),
                ("sub/node_modules/a/in.js", "inner"),
                ("node_modules/b/package.json", r#"{"module": "./es.js", "main": "c.cjs"}"#),
                ("node_modules/b/es.js", "export {}"),
                ("node_modules/c/package.json", "{}"),
                ("node_modules/c/index.js", "module.exports = 1;"),
                ("node_modules/d/package.json", r#"{"exports": "./../../secret.js"}"#),
                ("node_modules/e/package.json", "{"),
                ("secret.js", "secret"),
            ],
        );
        let folder = ModuleFolder::open(&root.path().canonicalize().unwrap()).unwrap();
        let load = |referrer: &str, specifier: &str| folder.load(referrer, specifier);
        let name = |referrer: &str, specifier: &str| load(referrer, specifier).unwrap().unwrap().0;
        assert_eq!(name("m.js", "a"), "node_modules/a/lib/main.js");
        assert_eq!(name("m.js", "a/other"), "node_modules/a/other.js");
        assert_eq!(name("sub/m.js", "a"), "sub/node_modules/a/in.js");
        assert_eq!(name("sub/m.js", "b"), "node_modules/b/es.js");
        assert_eq!(name("sub/node_modules/a/in.js", "#x"), "node_modules/b/es.js");
        assert_eq!(load("m.js", "none"), Ok(None));
        for (specifier, problem) in [
            ("c", "is a CommonJS module"),
            ("d", "which is not there"),
            ("e", "node_modules/e/package.json"),
            ("a/gone", "has no file gone"),
            ("a/../../secret.js", "has no file"),
        ] {
            let error = load("m.js", specifier).unwrap_err();
            assert!(error.contains(problem), "{specifier}: {error}");
        }
        assert!(load("sub/m.js", "a/x").is_err_and(|error| error.contains("exports no ./x")));
    }
}
