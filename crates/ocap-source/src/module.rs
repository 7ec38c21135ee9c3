//! One ES module as the body of a function: imported names are read where they are exported,
//! exported names are read from outside.

use std::collections::{BTreeMap, BTreeSet};

use oxc_allocator::Allocator;
use oxc_ast::ast::{
    ArrowFunctionExpression, AssignmentTargetPropertyIdentifier, AwaitExpression, CallExpression,
    Declaration, ExportAllDeclaration, ExportDeclaration, ExportDefaultDeclaration,
    ExportDefaultDeclarationKind, ExportFromDeclaration, ExportNamedDeclaration, Expression,
    ForOfStatement, Function, IdentifierReference, ImportDeclaration, ImportDeclarationSpecifier,
    ImportExpression, ImportMeta, ModuleExportName, ObjectProperty, Statement,
    StaticMemberExpression, TaggedTemplateExpression,
};
use oxc_ast_visit::{Visit, walk};
use oxc_parser::Parser;
use oxc_semantic::{Scoping, SemanticBuilder};
use oxc_span::{GetSpan, LabeledSpan, SourceType, Span};
use oxc_syntax::scope::ScopeFlags;
use oxc_syntax::symbol::SymbolId;

use crate::edits::{Edits, is_line_end};
use crate::link::{Unit, quoted};
use crate::place;

/// How things are called in the script.
pub(crate) struct Names<'a> {
    /// What every name of ours begins with.
    pub(crate) prefix: String,
    /// Modules by name.
    pub(crate) index: &'a BTreeMap<&'a str, usize>,
}

impl Names<'_> {
    /// The object that holds what a module exports.
    pub(crate) fn object(&self, module: usize) -> String {
        format!("{}m{module}", self.prefix)
    }

    /// A module's own name for its default export.
    fn default(&self) -> String {
        format!("{}d", self.prefix)
    }
}

/// A module, rewritten.
pub(crate) struct Rewritten {
    pub(crate) code: String,
    /// What it exports by name, with the expression for it.
    pub(crate) exports: BTreeMap<String, String>,
    /// Modules of which it exports everything.
    pub(crate) stars: Vec<Star>,
    /// What it needs others to export.
    pub(crate) wants: Vec<Want>,
    /// The modules it imports, in order.
    pub(crate) requests: Vec<usize>,
    pub(crate) warnings: Vec<String>,
}

/// `export * from`.
pub(crate) struct Star {
    pub(crate) module: usize,
    pub(crate) object: String,
}

/// A name imported from a module.
pub(crate) struct Want {
    pub(crate) module: usize,
    pub(crate) name: String,
    pub(crate) offset: u32,
}

/// Rewrites one module.
pub(crate) fn rewrite(unit: &Unit<'_>, names: &Names<'_>) -> Result<Rewritten, String> {
    let source = unit.source;
    let told = |offset: u32, problem: &str| place::told(unit.name, source, offset, problem);
    let allocator = Allocator::default();
    let parsed = Parser::new(&allocator, source, SourceType::mjs()).parse();
    if let Some(error) = parsed.diagnostics.errors().next() {
        let offset = error.labels.first().map_or(0, LabeledSpan::offset);
        return Err(told(offset, &error.message));
    }
    let program = parsed.program;
    let scoping = SemanticBuilder::new().build(&program).semantic.into_scoping();
    let mut rewriter = Rewriter {
        unit,
        names,
        scoping: &scoping,
        edits: Edits::new(source),
        imported: BTreeMap::new(),
        starts: BTreeSet::new(),
        functions: 0,
        problem: None,
        out: Rewritten {
            code: String::new(),
            exports: BTreeMap::new(),
            stars: Vec::new(),
            wants: Vec::new(),
            requests: Vec::new(),
            warnings: Vec::new(),
        },
    };
    // Imports are hoisted: they may stand below their uses.
    for statement in &program.body {
        rewriter.note_imports(statement);
    }
    rewriter.visit_program(&program);
    for comment in &program.comments {
        let span = comment.span;
        let has_line = source[span.start as usize..span.end as usize].contains(is_line_end);
        rewriter.edits.replace(span.start, span.end, if has_line { "\n" } else { " " });
    }
    if let Some(hashbang) = &program.hashbang {
        rewriter.edits.blank(hashbang.span.start, hashbang.span.end);
    }
    let Rewriter { edits, problem, mut out, .. } = rewriter;
    if let Some((offset, problem)) = problem {
        return Err(told(offset, &problem));
    }
    out.code = edits.apply();
    if let Some(at) = dynamic_import_text(&out.code) {
        let (line, _) = place::of(&out.code, at as u32);
        let shown = out.code.lines().nth(line - 1).unwrap_or_default().trim();
        let shown: String = shown.chars().take(SHOWN_CHARS_MAX).collect();
        out.warnings.push(format!(
            "{}: a string contains the text of a dynamic import, which SES refuses: {shown}",
            unit.name
        ));
    }
    Ok(out)
}

/// Characters of a line of code shown in a warning.
const SHOWN_CHARS_MAX: usize = 100;

/// Where SES would see a dynamic import. It looks at the text only.
fn dynamic_import_text(code: &str) -> Option<usize> {
    code.match_indices("import").map(|(at, _)| at).find(|at| {
        code[at + "import".len()..].trim_start().starts_with('(')
            && !code[..*at].ends_with(|c: char| c.is_alphanumeric() || "_$.".contains(c))
    })
}

struct Rewriter<'s> {
    unit: &'s Unit<'s>,
    names: &'s Names<'s>,
    scoping: &'s Scoping,
    edits: Edits<'s>,
    /// Imported names, with the expression for what they mean.
    imported: BTreeMap<SymbolId, String>,
    /// Where statements begin before which another one may end without a semicolon.
    starts: BTreeSet<u32>,
    /// Functions around.
    functions: u32,
    problem: Option<(u32, String)>,
    out: Rewritten,
}

impl Rewriter<'_> {
    fn refuse(&mut self, at: u32, problem: impl Into<String>) {
        if self.problem.is_none() {
            self.problem = Some((at, problem.into()));
        }
    }

    fn warn(&mut self, at: u32, text: &str) {
        let warning = place::told(self.unit.name, self.unit.source, at, text);
        self.out.warnings.push(warning);
    }

    /// The module that a specifier means.
    fn module(&mut self, specifier: &str, at: u32) -> Option<usize> {
        let target = self.unit.imports.get(specifier).map(String::as_str);
        let found = target.and_then(|name| self.names.index.get(name).copied());
        if found.is_none() {
            self.refuse(at, format!("there is no module {specifier}"));
        }
        found
    }

    fn note_imports(&mut self, statement: &Statement<'_>) {
        let source = match statement {
            Statement::ImportDeclaration(it) => &it.source,
            Statement::ExportFromDeclaration(it) => &it.source,
            Statement::ExportAllDeclaration(it) => &it.source,
            _ => return,
        };
        let Some(module) = self.module(source.value.as_str(), source.span.start) else { return };
        self.out.requests.push(module);
        let object = self.names.object(module);
        if let Statement::ImportDeclaration(it) = statement {
            for specifier in it.specifiers.iter().flatten() {
                let (name, read) = match specifier {
                    ImportDeclarationSpecifier::ImportSpecifier(it) => {
                        let name = it.imported.name().to_string();
                        let read = member(&object, &name);
                        (Some(name), read)
                    }
                    ImportDeclarationSpecifier::ImportDefaultSpecifier(_) => {
                        (Some("default".to_owned()), member(&object, "default"))
                    }
                    ImportDeclarationSpecifier::ImportNamespaceSpecifier(_) => {
                        (None, object.clone())
                    }
                };
                if let Some(symbol) = specifier.local().symbol_id.get() {
                    self.imported.insert(symbol, read);
                }
                if let Some(name) = name {
                    self.out.wants.push(Want { module, name, offset: specifier.span().start });
                }
            }
        }
    }

    /// What an imported name means; `None` for any other name.
    fn meaning(&self, name: &IdentifierReference<'_>) -> Option<&String> {
        let reference = self.scoping.get_reference(name.reference_id.get()?);
        self.imported.get(&reference.symbol_id()?)
    }

    /// Rewrites an imported name that is called: what it means is not to become `this`.
    fn visit_called(&mut self, callee: &Expression<'_>) -> bool {
        let Expression::Identifier(name) = callee else { return false };
        let Some(meaning) = self.meaning(name) else { return false };
        // A parenthesis at the start of a line would make a call of what stands before.
        let guard = if self.starts.contains(&name.span.start) { ";" } else { "" };
        let text = format!("{guard}(0, {meaning})");
        self.edits.replace(name.span.start, name.span.end, text);
        true
    }

    fn export_local(&mut self, exported: &str, local: &str) {
        self.out.exports.insert(exported.to_owned(), local.to_owned());
    }

    /// Takes `export` away from before what it exports.
    fn unwrap_export(&mut self, from: u32, to: u32) {
        self.edits.blank(from, to);
    }

    fn export_default_named(&mut self, it: &ExportDefaultDeclaration<'_>, at: u32, keyword: &str) {
        let name = self.names.default();
        self.edits.replace(it.span.start, at, format!("{keyword} {name}"));
        self.export_local("default", &name);
    }
}

fn member(object: &str, name: &str) -> String {
    if oxc_syntax::identifier::is_identifier_name(name) {
        format!("{object}.{name}")
    } else {
        format!("{object}[{}]", quoted(name))
    }
}

impl<'a> Visit<'a> for Rewriter<'_> {
    fn visit_statements(&mut self, it: &oxc_allocator::Vec<'a, Statement<'a>>) {
        for statement in it {
            self.starts.insert(statement.span().start);
            self.visit_statement(statement);
        }
    }

    fn visit_identifier_reference(&mut self, it: &IdentifierReference<'a>) {
        let Some(meaning) = self.meaning(it).cloned() else { return };
        let writes = it.reference_id.get().map(|id| self.scoping.get_reference(id).is_write());
        if writes == Some(true) {
            self.refuse(it.span.start, format!("{} is imported and cannot be assigned", it.name));
        }
        self.edits.replace(it.span.start, it.span.end, meaning);
    }

    fn visit_call_expression(&mut self, it: &CallExpression<'a>) {
        if self.visit_called(&it.callee) {
            self.visit_arguments(&it.arguments);
        } else {
            walk::walk_call_expression(self, it);
        }
    }

    fn visit_tagged_template_expression(&mut self, it: &TaggedTemplateExpression<'a>) {
        if self.visit_called(&it.tag) {
            self.visit_template_literal(&it.quasi);
        } else {
            walk::walk_tagged_template_expression(self, it);
        }
    }

    fn visit_object_property(&mut self, it: &ObjectProperty<'a>) {
        if it.shorthand
            && let Expression::Identifier(name) = &it.value
            && let Some(meaning) = self.meaning(name)
        {
            let text = format!("{}: {meaning}", name.name);
            self.edits.replace(it.span.start, it.span.end, text);
        } else {
            walk::walk_object_property(self, it);
        }
    }

    fn visit_assignment_target_property_identifier(
        &mut self,
        it: &AssignmentTargetPropertyIdentifier<'a>,
    ) {
        if self.meaning(&it.binding).is_some() {
            let name = it.binding.name;
            self.refuse(it.span.start, format!("{name} is imported and cannot be assigned"));
        }
        walk::walk_assignment_target_property_identifier(self, it);
    }

    fn visit_function(&mut self, it: &Function<'a>, flags: ScopeFlags) {
        self.functions += 1;
        walk::walk_function(self, it, flags);
        self.functions -= 1;
    }

    fn visit_arrow_function_expression(&mut self, it: &ArrowFunctionExpression<'a>) {
        self.functions += 1;
        walk::walk_arrow_function_expression(self, it);
        self.functions -= 1;
    }

    fn visit_await_expression(&mut self, it: &AwaitExpression<'a>) {
        if self.functions == 0 {
            self.refuse(it.span.start, "a bundle is a script, which cannot `await` at top level");
        }
        walk::walk_await_expression(self, it);
    }

    fn visit_for_of_statement(&mut self, it: &ForOfStatement<'a>) {
        if it.r#await && self.functions == 0 {
            self.refuse(it.span.start, "a bundle is a script, which cannot `await` at top level");
        }
        walk::walk_for_of_statement(self, it);
    }

    fn visit_import_expression(&mut self, it: &ImportExpression<'a>) {
        let Span { start, end, .. } = it.span;
        if matches!(it.source, Expression::StringLiteral(_)) {
            self.edits.replace(start, end, "Promise.resolve({})");
        } else {
            self.warn(start, "a dynamic import of a computed name is always rejected in a bundle");
            let text = "Promise.reject(Error('a bundle cannot import dynamically'))";
            self.edits.replace(start, end, text);
        }
    }

    fn visit_import_meta(&mut self, it: &ImportMeta) {
        self.warn(it.span.start, "`import.meta` is an empty object in a bundle");
        self.edits.replace(it.span.start, it.span.end, "({})");
    }

    fn visit_static_member_expression(&mut self, it: &StaticMemberExpression<'a>) {
        if it.property.name == "NODE_ENV"
            && let Expression::StaticMemberExpression(env) = &it.object
            && env.property.name == "env"
            && let Expression::Identifier(process) = &env.object
            && process.name == "process"
        {
            self.edits.replace(it.span.start, it.span.end, "\"production\"");
        } else {
            walk::walk_static_member_expression(self, it);
        }
    }

    fn visit_import_declaration(&mut self, it: &ImportDeclaration<'a>) {
        self.edits.replace(it.span.start, it.span.end, ";");
    }

    fn visit_export_all_declaration(&mut self, it: &ExportAllDeclaration<'a>) {
        self.edits.replace(it.span.start, it.span.end, ";");
        let Some(module) = self.module(it.source.value.as_str(), it.source.span.start) else {
            return;
        };
        let object = self.names.object(module);
        match &it.exported {
            Some(name) => self.export_local(name.name().as_str(), &object),
            None => self.out.stars.push(Star { module, object }),
        }
    }

    fn visit_export_from_declaration(&mut self, it: &ExportFromDeclaration<'a>) {
        self.edits.replace(it.span.start, it.span.end, ";");
        let Some(module) = self.module(it.source.value.as_str(), it.source.span.start) else {
            return;
        };
        for specifier in &it.specifiers {
            let name = specifier.local.name().to_string();
            let read = member(&self.names.object(module), &name);
            self.export_local(specifier.exported.name().as_str(), &read);
            self.out.wants.push(Want { module, name, offset: specifier.span.start });
        }
    }

    fn visit_export_named_declaration(&mut self, it: &ExportNamedDeclaration<'a>) {
        self.edits.replace(it.span.start, it.span.end, ";");
        for specifier in &it.specifiers {
            let local = match &specifier.local {
                ModuleExportName::IdentifierReference(local) => self.meaning(local).cloned(),
                _ => None,
            };
            let local = local.unwrap_or_else(|| specifier.local.name().to_string());
            self.export_local(specifier.exported.name().as_str(), &local);
        }
    }

    fn visit_export_declaration(&mut self, it: &ExportDeclaration<'a>) {
        let start = it.declaration.span().start;
        self.unwrap_export(it.span.start, start);
        self.starts.insert(start);
        match &it.declaration {
            Declaration::VariableDeclaration(variables) => {
                for declarator in &variables.declarations {
                    for id in declarator.id.get_binding_identifiers() {
                        self.export_local(&id.name, &id.name);
                    }
                }
            }
            Declaration::FunctionDeclaration(function) => {
                if let Some(id) = &function.id {
                    self.export_local(&id.name, &id.name);
                }
            }
            Declaration::ClassDeclaration(class) => {
                if let Some(id) = &class.id {
                    self.export_local(&id.name, &id.name);
                }
            }
            _ => {}
        }
        self.visit_declaration(&it.declaration);
    }

    fn visit_export_default_declaration(&mut self, it: &ExportDefaultDeclaration<'a>) {
        match &it.declaration {
            ExportDefaultDeclarationKind::FunctionDeclaration(function) => {
                if let Some(id) = &function.id {
                    self.unwrap_export(it.span.start, function.span.start);
                    self.export_local("default", &id.name);
                } else {
                    let asynchronous = if function.r#async { "async " } else { "" };
                    let star = if function.generator { "*" } else { "" };
                    let keyword = format!("{asynchronous}function{star}");
                    self.export_default_named(it, function.params.span.start, &keyword);
                }
                self.visit_function(function, ScopeFlags::Function);
            }
            ExportDefaultDeclarationKind::ClassDeclaration(class) => {
                if let Some(id) = &class.id {
                    self.unwrap_export(it.span.start, class.span.start);
                    self.export_local("default", &id.name);
                } else {
                    let after = class.span.start + "class".len() as u32;
                    self.export_default_named(it, after, "class");
                }
                self.visit_class(class);
            }
            _ => {
                let start = it.declaration.span().start;
                self.export_default_named(it, start, "const");
                self.edits.insert(start, " = ");
                walk::walk_export_default_declaration(self, it);
            }
        }
    }
}
