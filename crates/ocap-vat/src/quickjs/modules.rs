//! ES modules: finding out which a vat needs, and giving the engine exactly those.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use rquickjs::loader::{ImportAttributes, Loader, Resolver};
use rquickjs::module::Declared;
use rquickjs::{Ctx, Error, Module as JsModule, Object, Value};

use super::errors::{caught, describe, syntax_error};
use super::house;
use super::limits::{MODULE_BYTES_MAX, MODULES_MAX};
use super::shared::Shared;
use crate::engine::{Bundle, Module, ModuleGraph, ModuleSource};

/// Prefix of a built-in module's name inside the engine.
const BUILTIN: &str = "ocap-builtin:";

/// An empty module that stands for every import while a graph is collected.
const PLACEHOLDER: &str = "ocap-placeholder";

/// The module that imports a vat's entry module.
const START: &str = "ocap-start";

/// A module that throws its own name, which is no path below a vat's folder: no module of a vat has it.
const STOP: &str = "/ocap-stop";

/// Its name for the entry module, and its export of that module's namespace.
pub(super) const ENTRY: &str = "entry";

/// What the engine may import now.
#[derive(Default)]
pub(super) struct ModuleTable {
    graph: ModuleGraph,
    /// Modules whose text the engine has.
    loaded: BTreeSet<String>,
    /// While collecting: the specifiers of the module being parsed, in order.
    collecting: Option<Vec<String>>,
}

impl ModuleTable {
    /// The modules below `entry` and it, every one after those it imports (but for cycles).
    /// Declared in this order, a chain of imports costs no stack.
    pub(super) fn order(&self, entry: &str) -> Vec<String> {
        let mut seen = BTreeSet::from([entry]);
        let mut order = Vec::new();
        let imports = |name: &str| self.graph.modules.get(name).map(|m| m.imports.values());
        let mut path = vec![(entry, imports(entry))];
        while let Some((name, rest)) = path.last_mut() {
            match rest.as_mut().and_then(Iterator::next) {
                Some(next) if seen.insert(next) => path.push((next, imports(next))),
                Some(_) => {}
                None => {
                    order.push((*name).to_owned());
                    path.pop();
                }
            }
        }
        order
    }

    /// The text of a module, once: the engine keeps what it has loaded. Of JSON it keeps one for
    /// imports that say so and another for those that do not.
    pub(super) fn take_source(&mut self, name: &str) -> Option<String> {
        let module = self.graph.modules.get_mut(name)?;
        if ends(name, &[".json"]) {
            return Some(module.source.clone());
        }
        let is_new = self.loaded.insert(name.to_owned());
        is_new.then(|| std::mem::take(&mut module.source))
    }
}

/// Answers the engine's imports.
pub(super) struct Modules(pub(super) Rc<Shared>);

impl Resolver for Modules {
    fn resolve<'js>(
        &mut self,
        ctx: &Ctx<'js>,
        base: &str,
        name: &str,
        attributes: Option<ImportAttributes<'js>>,
    ) -> rquickjs::Result<String> {
        if let Some(attributes) = attributes
            && !is_for_json(&attributes)
        {
            let message = "import attributes other than type: 'json' are not supported";
            return Err(Error::new_resolving_message(base, name, message));
        }
        let mut table = self.0.modules.borrow_mut();
        if let Some(specifiers) = &mut table.collecting {
            specifiers.push(name.to_owned());
            return Ok(PLACEHOLDER.to_owned());
        }
        if base == START && name == ENTRY {
            return Ok(table.graph.entry.clone());
        }
        if base == START && name == STOP {
            return Ok(STOP.to_owned());
        }
        let module = table.graph.modules.get(base);
        if let Some(target) = module.and_then(|m| m.imports.get(name)) {
            return Ok(target.clone());
        }
        // Modules of the house import each other.
        let known = module.is_some() || base.starts_with(BUILTIN);
        if known && is_builtin(&self.0, ctx, name) {
            return Ok(format!("{BUILTIN}{name}"));
        }
        Err(Error::new_resolving(base, name))
    }
}

impl Loader for Modules {
    fn load<'js>(
        &mut self,
        ctx: &Ctx<'js>,
        name: &str,
        _attributes: Option<ImportAttributes<'js>>,
    ) -> rquickjs::Result<JsModule<'js, Declared>> {
        if self.0.modules.borrow().collecting.is_some() {
            return JsModule::declare(ctx.clone(), PLACEHOLDER, "");
        }
        let source = self.0.modules.borrow_mut().take_source(name);
        if let Some(source) = source {
            return JsModule::declare(ctx.clone(), name, source);
        }
        match name.strip_prefix(BUILTIN) {
            Some(specifier) => load_builtin(&self.0, ctx, name, specifier),
            None => Err(Error::new_loading(name)),
        }
    }
}

fn is_for_json(attributes: &ImportAttributes<'_>) -> bool {
    attributes.keys().all(|key| key.is_ok_and(|key| key == "type"))
        && attributes.get_type().is_ok_and(|kind| kind.as_deref() == Some("json"))
}

fn is_builtin(shared: &Shared, ctx: &Ctx<'_>, name: &str) -> bool {
    house::source(name).is_some()
        || shared.builtins(ctx).and_then(|b| b.contains_key(name)).unwrap_or(false)
}

fn is_identifier(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '$')
}

/// A module of the house's, or one whose exports are the properties of a built-in namespace object.
fn load_builtin<'js>(
    shared: &Shared,
    ctx: &Ctx<'js>,
    name: &str,
    specifier: &str,
) -> rquickjs::Result<JsModule<'js, Declared>> {
    if let Some(source) = house::source(specifier) {
        return JsModule::declare(ctx.clone(), name, source);
    }
    let namespace: Object<'js> = shared.builtins(ctx)?.get(specifier)?;
    let mut source = String::from("const { exports } = import.meta;\n");
    for key in namespace.keys::<String>() {
        let key = key?;
        // Through local names, since an export may be called as a reserved word is.
        if is_identifier(&key) {
            let line = format!("const _{key} = exports.{key};\nexport {{ _{key} as {key} }};\n");
            source.push_str(&line);
        }
    }
    let module = JsModule::declare(ctx.clone(), name, source)?;
    module.meta()?.set("exports", namespace)?;
    Ok(module)
}

/// Makes these modules, and the built-in ones, the only ones there are.
pub(super) fn provide(shared: &Shared, graph: ModuleGraph) {
    *shared.modules.borrow_mut() = ModuleTable { graph, ..ModuleTable::default() };
}

/// Declares the module that starts a vat.
pub(super) fn declare_start<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<JsModule<'js, Declared>> {
    let source = format!("import * as {ENTRY} from '{ENTRY}'; export {{ {ENTRY} }};");
    JsModule::declare(ctx.clone(), START, source)
}

/// Links the entry and all it imports. The engine links a whole graph before any of it runs, and what
/// runs first is a module that throws.
pub(super) fn try_link(ctx: &Ctx<'_>) -> rquickjs::Result<Result<(), String>> {
    JsModule::declare(ctx.clone(), STOP, format!("throw '{STOP}';"))?;
    let source = format!("import '{STOP}'; import {{ buildRootObject }} from '{ENTRY}';");
    let run = JsModule::declare(ctx.clone(), START, source)?.eval();
    // What cannot be linked is thrown; what is linked and then throws is a rejection.
    match run.and_then(|(_, done)| done.result::<Value<'_>>().transpose()) {
        Err(Error::Exception) => {}
        Err(error) => return Err(error),
        Ok(_) => return Ok(Err("the modules could not be linked".into())),
    }
    let thrown = describe(ctx, &ctx.catch());
    // Authors know built-in modules by what they import.
    Ok(if thrown == STOP { Ok(()) } else { Err(thrown.replace(BUILTIN, "")) })
}

/// Parses one module; the specifiers of its static imports.
fn parse(shared: &Shared, ctx: &Ctx<'_>, name: &str, source: &str) -> Result<Vec<String>, String> {
    shared.modules.borrow_mut().collecting = Some(Vec::new());
    let declared = JsModule::declare(ctx.clone(), name, source);
    let specifiers = shared.modules.borrow_mut().collecting.take().unwrap_or_default();
    match declared {
        Ok(_) => Ok(specifiers),
        Err(Error::Exception) => Err(syntax_error(ctx, name)),
        Err(Error::InvalidString(_)) => Err(format!("{name}: the text contains a NUL character")),
        Err(error) => Err(format!("{name}: {error}")),
    }
}

fn ends(name: &str, endings: &[&str]) -> bool {
    endings.iter().any(|end| name.ends_with(end))
}

/// A file's text as the engine can parse it.
#[cfg(feature = "typescript")]
fn as_javascript(name: &str, text: String) -> Result<String, String> {
    if ocap_source::is_declaration(name) {
        return Err(format!(
            "{name} holds declarations and no code; import from it with `import type`"
        ));
    }
    if ocap_source::is_typescript(name) {
        return ocap_source::strip_types(name, &text);
    }
    if ends(name, &[".json"]) {
        return ocap_source::json_module(name, &text);
    }
    if ends(name, &[".tsx", ".jsx"]) {
        return Err(format!("{name}: JSX is not supported"));
    }
    Ok(text)
}

/// A file's text as the engine can parse it.
#[cfg(not(feature = "typescript"))]
fn as_javascript(name: &str, text: String) -> Result<String, String> {
    if ends(name, &[".ts", ".mts", ".json"]) {
        return Err(format!("{name}: this build of ocap reads JavaScript only"));
    }
    Ok(text)
}

/// What a module graph is collected for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To be run here, where some modules are built in.
    Run,
    /// To be made one script, which has to bring everything.
    Bundle,
}

/// Makes one script of a module and all it imports.
#[cfg(feature = "typescript")]
pub(super) fn bundle(
    shared: &Shared,
    ctx: &Ctx<'_>,
    entry: &str,
    files: &dyn ModuleSource,
) -> Result<Bundle, String> {
    let graph = collect(shared, ctx, entry, files, Purpose::Bundle)?;
    let units: Vec<_> = graph
        .modules
        .iter()
        .map(|(name, module)| {
            let Module { source, imports } = module;
            ocap_source::Unit { name, source, imports }
        })
        .collect();
    let linked = ocap_source::link(&graph.entry, &units)?;
    let ocap_source::Linked { code, exports, warnings } = linked;
    Ok(Bundle { code, exports, warnings })
}

/// Makes one script of a module and all it imports.
#[cfg(not(feature = "typescript"))]
pub(super) fn bundle(
    _: &Shared,
    _: &Ctx<'_>,
    _: &str,
    _: &dyn ModuleSource,
) -> Result<Bundle, String> {
    Err("this build of ocap makes no bundles".into())
}

/// What answers an import of a bundle's that no file answers: a name and a text.
fn stand_in(specifier: &str, purpose: Purpose) -> Option<(String, String)> {
    #[cfg(feature = "typescript")]
    if purpose == Purpose::Bundle {
        let text = ocap_source::shim(specifier)?;
        return Some((format!("{specifier}.js"), text.to_owned()));
    }
    let _ = (specifier, purpose);
    None
}

/// Parses a module and all it imports. Goes through them in a loop: a chain of imports costs no
/// stack.
pub(super) fn collect(
    shared: &Shared,
    ctx: &Ctx<'_>,
    entry: &str,
    files: &dyn ModuleSource,
    purpose: Purpose,
) -> Result<ModuleGraph, String> {
    let Some((entry_name, text)) = files.load("", entry)? else {
        return Err(format!("module '{entry}' not found"));
    };
    let text = as_javascript(&entry_name, text)?;
    let mut builtins: Vec<String> = shared
        .builtins(ctx)
        .and_then(|b| b.keys().collect::<rquickjs::Result<_>>())
        .map_err(|error| caught(ctx, &error))?;
    builtins.extend(house::names().map(str::to_owned));
    builtins.sort();
    if purpose == Purpose::Bundle {
        builtins.clear();
    }

    let mut graph = ModuleGraph { entry: entry_name.clone(), modules: BTreeMap::new() };
    let mut bytes = text.len();
    let mut todo = vec![entry_name.clone()];
    graph.modules.insert(entry_name, Module { source: text, imports: BTreeMap::new() });
    while let Some(name) = todo.pop() {
        let source = graph.modules.get(&name).map(|m| m.source.clone()).unwrap_or_default();
        let mut imports = BTreeMap::new();
        for specifier in parse(shared, ctx, &name, &source)? {
            // Ours come before a package's: they are what objects of other vats are made with.
            if imports.contains_key(&specifier) || builtins.contains(&specifier) {
                continue;
            }
            let loaded = files.load(&name, &specifier)?;
            let Some((found, text)) = loaded.or_else(|| stand_in(&specifier, purpose)) else {
                let problem = format!("module '{specifier}' not found: imported by {name}");
                return Err(match purpose {
                    Purpose::Run => format!("{problem}; built-ins are: {}", builtins.join(", ")),
                    Purpose::Bundle => format!("{problem}; install it with npm"),
                });
            };
            imports.insert(specifier, found.clone());
            if graph.modules.contains_key(&found) {
                continue;
            }
            let text = as_javascript(&found, text)?;
            bytes = bytes.saturating_add(text.len());
            if bytes > MODULE_BYTES_MAX {
                return Err(format!("the modules are larger than {MODULE_BYTES_MAX} bytes"));
            }
            if graph.modules.len() >= MODULES_MAX {
                return Err(format!("there are more than {MODULES_MAX} modules"));
            }
            todo.push(found.clone());
            graph.modules.insert(found, Module { source: text, imports: BTreeMap::new() });
        }
        if let Some(module) = graph.modules.get_mut(&name) {
            module.imports = imports;
        }
    }
    Ok(graph)
}
