//! TypeScript without its types.
//!
//! What is only for the type checker becomes white space. Enums and properties declared by a
//! constructor's parameters, which stand for code, are written as that code on the same lines.

use oxc_allocator::Allocator;
use oxc_ast::ast::{
    AccessorProperty, ArrowFunctionExpression, Class, ClassElement, Declaration, Decorator,
    ExportAllDeclaration, ExportDefaultDeclaration, ExportDefaultDeclarationKind,
    ExportFromDeclaration, ExportNamedDeclaration, Expression, FormalParameter, Function,
    ImportDeclaration, MethodDefinition, MethodDefinitionKind, MethodDefinitionType,
    ModuleExportName, PropertyDefinition, PropertyDefinitionType, PropertyKey, Statement,
    TSAsExpression, TSEnumDeclaration, TSExportAssignment, TSImportEqualsDeclaration,
    TSInstantiationExpression, TSNamespaceDeclaration, TSNonNullExpression, TSSatisfiesExpression,
    TSThisParameter, TSTypeAnnotation, TSTypeAssertion, TSTypeParameterDeclaration,
    TSTypeParameterInstantiation, VariableDeclarator,
};
use oxc_ast_visit::{Visit, walk};
use oxc_parser::Parser;
use oxc_semantic::{Scoping, SemanticBuilder};
use oxc_span::{GetSpan, LabeledSpan, SourceType};
use oxc_syntax::symbol::{SymbolFlags, SymbolId};

use crate::edits::Edits;
use crate::trivia::Trivia;
use crate::{enums, imports, place};

/// The JavaScript in a TypeScript module. Lines and columns stay.
///
/// # Errors
/// If it cannot be parsed, or uses what has no plain JavaScript form; the text says where, as
/// `name:line:column: ...`.
pub fn strip_types(name: &str, source: &str) -> Result<String, String> {
    let allocator = Allocator::default();
    let parsed = Parser::new(&allocator, source, SourceType::ts().with_module(true)).parse();
    if let Some(error) = parsed.diagnostics.errors().next() {
        let offset = error.labels.first().map_or(0, LabeledSpan::offset);
        return Err(place::told(name, source, offset, &error.message));
    }
    let program = parsed.program;
    let scoping = SemanticBuilder::new().build(&program).semantic.into_scoping();
    let mut eraser = Eraser {
        source,
        edits: Edits::new(source),
        trivia: Trivia::new(source, &program.comments),
        scoping: &scoping,
        derived: Vec::new(),
        problem: None,
    };
    eraser.visit_program(&program);
    match eraser.problem {
        Some((offset, problem)) => Err(place::told(name, source, offset, &problem)),
        None => Ok(eraser.edits.apply()),
    }
}

/// Goes through a program and takes the types out.
pub(crate) struct Eraser<'s> {
    pub(crate) source: &'s str,
    pub(crate) edits: Edits<'s>,
    pub(crate) trivia: Trivia<'s>,
    pub(crate) scoping: &'s Scoping,
    /// Of the classes around: whether each extends another.
    derived: Vec<bool>,
    problem: Option<(u32, String)>,
}

impl Eraser<'_> {
    /// Notes what cannot be had without types. The first one is told.
    pub(crate) fn refuse(&mut self, at: u32, problem: impl Into<String>) {
        if self.problem.is_none() {
            self.problem = Some((at, problem.into()));
        }
    }

    pub(crate) fn has_value(&self, symbol: Option<SymbolId>) -> bool {
        let values = SymbolFlags::Value | SymbolFlags::Import;
        symbol.is_none_or(|symbol| self.scoping.symbol_flags(symbol).intersects(values))
    }

    /// Whether a declaration means nothing at run time.
    fn is_type_only(&self, declaration: &Declaration<'_>) -> bool {
        match declaration {
            Declaration::VariableDeclaration(it) => it.declare,
            Declaration::FunctionDeclaration(it) => it.declare || it.body.is_none(),
            Declaration::ClassDeclaration(it) => it.declare,
            Declaration::TSEnumDeclaration(it) => it.declare,
            Declaration::TSNamespaceDeclaration(it) => {
                let symbol = it.id.symbol_id.get();
                it.declare
                    || symbol.is_some_and(|symbol| {
                        !self.scoping.symbol_flags(symbol).contains(SymbolFlags::ValueModule)
                    })
            }
            Declaration::TSImportEqualsDeclaration(it) => it.import_kind.is_type(),
            Declaration::TSTypeAliasDeclaration(_)
            | Declaration::TSInterfaceDeclaration(_)
            | Declaration::TSExternalModuleDeclaration(_)
            | Declaration::TSGlobalDeclaration(_) => true,
        }
    }

    /// Blanks these words among those before a key.
    fn erase_modifiers(&mut self, from: u32, key: u32, in_class: bool) {
        const WORDS: [&str; 7] =
            ["public", "private", "protected", "readonly", "override", "declare", "abstract"];
        let mut at = from;
        while at < key {
            let (start, word) = self.trivia.word(at);
            if word.is_empty() || start >= key {
                return;
            }
            at = start + word.len() as u32;
            if !WORDS.contains(&word) {
                continue;
            }
            if start == from && in_class {
                // What was before must not go on with what is after.
                self.edits.blank_after(';', start, at);
            } else {
                self.edits.blank(start, at);
            }
        }
    }

    /// Blanks a `?` or `!` that follows a name.
    fn erase_mark(&mut self, at: u32) {
        for mark in ["?", "!"] {
            if let Some(found) = self.trivia.next(at, mark) {
                self.edits.blank(found, found + 1);
                return;
            }
        }
    }

    /// Where the key of a class's element ends, with its bracket.
    fn key_end(&self, key: &PropertyKey<'_>, computed: bool) -> u32 {
        let end = key.span().end;
        if !computed {
            return end;
        }
        self.trivia.next(end, "]").map_or(end, |bracket| bracket + 1)
    }

    fn has_line_end(&self, start: u32, end: u32) -> bool {
        self.source[start as usize..end as usize].contains(crate::edits::is_line_end)
    }

    /// Assigns the properties that a constructor's parameters declare.
    fn declare_properties(&mut self, constructor: &Function<'_>) {
        let mut code = String::new();
        for item in &constructor.params.items {
            if item.accessibility.is_none() && !item.readonly && !item.r#override {
                continue;
            }
            match item.pattern.get_identifier_name() {
                Some(name) => code.extend(["this.", name.as_str(), " = ", name.as_str(), ";"]),
                None => self.refuse(item.span.start, "a parameter property must have a name"),
            }
        }
        let Some(body) = constructor.body.as_ref().filter(|_| !code.is_empty()) else { return };
        if self.derived.last() != Some(&true) {
            let at = body.directives.last().map_or(body.span.start + 1, |last| last.span.end);
            self.edits.insert(at, code);
            return;
        }
        let is_super = |statement: &&Statement<'_>| {
            let Statement::ExpressionStatement(statement) = statement else { return false };
            let Expression::CallExpression(call) = &statement.expression else { return false };
            matches!(call.callee, Expression::Super(_))
        };
        match body.statements.iter().find(is_super) {
            Some(found) => self.edits.insert(found.span().end, format!(";{code}")),
            None => self.refuse(
                body.span.start,
                "with parameter properties, super(...) must be a statement of the constructor",
            ),
        }
    }
}

impl<'a> Visit<'a> for Eraser<'_> {
    fn visit_statement(&mut self, statement: &Statement<'a>) {
        let span = statement.span();
        if statement.as_declaration().is_some_and(|it| self.is_type_only(it)) {
            self.edits.remove_statement(span);
            return;
        }
        if let Statement::ExportDeclaration(export) = statement
            && self.is_type_only(&export.declaration)
        {
            self.edits.remove_statement(span);
            return;
        }
        walk::walk_statement(self, statement);
        let may_go_on = matches!(
            statement,
            Statement::ExpressionStatement(_)
                | Statement::VariableDeclaration(_)
                | Statement::ReturnStatement(_)
                | Statement::ThrowStatement(_)
                | Statement::ExportDefaultDeclaration(_)
                | Statement::ExportDeclaration(_)
        );
        if may_go_on {
            self.edits.end_statement(span.end);
        }
    }

    fn visit_import_declaration(&mut self, it: &ImportDeclaration<'a>) {
        imports::erase_import(self, it);
    }

    fn visit_export_named_declaration(&mut self, it: &ExportNamedDeclaration<'a>) {
        if it.export_kind.is_type() {
            self.edits.remove_statement(it.span);
            return;
        }
        imports::erase_specifiers(self, &it.specifiers, |eraser, specifier| {
            let ModuleExportName::IdentifierReference(local) = &specifier.local else {
                return false;
            };
            let reference = local.reference_id.get();
            let symbol = reference.and_then(|id| eraser.scoping.get_reference(id).symbol_id());
            !eraser.has_value(symbol)
        });
    }

    fn visit_export_from_declaration(&mut self, it: &ExportFromDeclaration<'a>) {
        if it.export_kind.is_type() {
            self.edits.remove_statement(it.span);
            return;
        }
        imports::erase_specifiers(self, &it.specifiers, |_, _| false);
    }

    fn visit_export_all_declaration(&mut self, it: &ExportAllDeclaration<'a>) {
        if it.export_kind.is_type() {
            self.edits.remove_statement(it.span);
        }
    }

    fn visit_export_default_declaration(&mut self, it: &ExportDefaultDeclaration<'a>) {
        let is_type = match &it.declaration {
            ExportDefaultDeclarationKind::TSInterfaceDeclaration(_) => true,
            ExportDefaultDeclarationKind::FunctionDeclaration(it) => it.body.is_none(),
            ExportDefaultDeclarationKind::Identifier(name) => {
                let reference = name.reference_id.get();
                let symbol = reference.and_then(|id| self.scoping.get_reference(id).symbol_id());
                !self.has_value(symbol)
            }
            _ => false,
        };
        if is_type {
            self.edits.remove_statement(it.span);
        } else {
            walk::walk_export_default_declaration(self, it);
        }
    }

    fn visit_variable_declarator(&mut self, it: &VariableDeclarator<'a>) {
        if it.definite {
            self.erase_mark(it.id.span().end);
        }
        walk::walk_variable_declarator(self, it);
    }

    fn visit_class(&mut self, it: &Class<'a>) {
        for decorator in &it.decorators {
            self.visit_decorator(decorator);
        }
        if it.r#abstract {
            let (at, word) = self.trivia.word(it.span.start);
            if word == "abstract" {
                self.edits.blank(at, at + word.len() as u32);
            }
        }
        let mut end = it.id.as_ref().map(|id| id.span.end);
        if let Some(parameters) = &it.type_parameters {
            self.visit_ts_type_parameter_declaration(parameters);
            end = Some(parameters.span.end);
        }
        if let Some(heritage) = &it.heritage {
            self.visit_expression(&heritage.expression);
            end = Some(heritage.expression.span().end);
            if let Some(arguments) = &heritage.type_arguments {
                self.visit_ts_type_parameter_instantiation(arguments);
                end = Some(arguments.span.end);
            }
        }
        if let Some(last) = it.implements.last() {
            // Without a name and without a heritage the word before is `class`.
            let from = end.unwrap_or_else(|| {
                let mut at = it.span.start;
                loop {
                    let (start, word) = self.trivia.word(at);
                    at = start + (word.len() as u32).max(1);
                    if word == "class" || at >= it.body.span.start {
                        return at;
                    }
                }
            });
            let start = self.trivia.skip(from);
            self.edits.blank(start, last.span.end);
        }
        self.derived.push(it.heritage.is_some());
        self.visit_class_body(&it.body);
        self.derived.pop();
    }

    fn visit_class_element(&mut self, it: &ClassElement<'a>) {
        let removed = match it {
            ClassElement::TSIndexSignature(_) => true,
            ClassElement::MethodDefinition(it) => {
                it.r#type == MethodDefinitionType::TSAbstractMethodDefinition
                    || it.value.body.is_none()
            }
            ClassElement::PropertyDefinition(it) => {
                it.declare || it.r#type == PropertyDefinitionType::TSAbstractPropertyDefinition
            }
            ClassElement::AccessorProperty(_) | ClassElement::StaticBlock(_) => false,
        };
        if removed {
            self.edits.remove_statement(it.span());
        } else {
            walk::walk_class_element(self, it);
        }
    }

    fn visit_method_definition(&mut self, it: &MethodDefinition<'a>) {
        self.erase_modifiers(it.span.start, it.key.span().start, true);
        if it.optional {
            self.erase_mark(self.key_end(&it.key, it.computed));
        }
        if it.kind == MethodDefinitionKind::Constructor {
            self.declare_properties(&it.value);
        }
        walk::walk_method_definition(self, it);
    }

    fn visit_property_definition(&mut self, it: &PropertyDefinition<'a>) {
        self.erase_modifiers(it.span.start, it.key.span().start, true);
        if it.optional || it.definite {
            self.erase_mark(self.key_end(&it.key, it.computed));
        }
        walk::walk_property_definition(self, it);
        // `get: T` and a method on the next line would become a getter.
        let end = match (&it.type_annotation, &it.value) {
            (_, Some(value)) => value.span().end,
            (Some(annotation), None) => annotation.span.end,
            (None, None) => return,
        };
        if self.trivia.next(end, ";").is_none() {
            self.edits.end_statement(end);
        }
    }

    fn visit_accessor_property(&mut self, it: &AccessorProperty<'a>) {
        self.refuse(
            it.span.start,
            "`accessor` fields are not supported; write a getter and a setter",
        );
    }

    fn visit_formal_parameter(&mut self, it: &FormalParameter<'a>) {
        self.erase_modifiers(it.span.start, it.pattern.span().start, false);
        if it.optional {
            self.erase_mark(it.pattern.span().end);
        }
        walk::walk_formal_parameter(self, it);
    }

    fn visit_arrow_function_expression(&mut self, it: &ArrowFunctionExpression<'a>) {
        if let Some(parameters) = &it.type_parameters {
            let (start, end) = (parameters.span.start, it.params.span.start);
            // After `return`, a line break would end the statement before the arrow function.
            if self.has_line_end(start, end) {
                self.edits.blank_after('(', start, end + 1);
            } else {
                self.edits.blank(start, end);
            }
        }
        self.visit_formal_parameters(&it.params);
        if let Some(returned) = &it.return_type {
            let (start, end) = (it.params.span.end, returned.span.end);
            // The arrow has to be on the line of the parenthesis.
            if self.has_line_end(start, end) {
                self.edits.blank_before(start - 1, end, ')');
            } else {
                self.edits.blank(returned.span.start, end);
            }
        }
        self.visit_arrow_function_body(&it.body);
    }

    fn visit_ts_type_annotation(&mut self, it: &TSTypeAnnotation<'a>) {
        self.edits.blank(it.span.start, it.span.end);
    }

    fn visit_ts_type_parameter_declaration(&mut self, it: &TSTypeParameterDeclaration<'a>) {
        self.edits.blank(it.span.start, it.span.end);
    }

    fn visit_ts_type_parameter_instantiation(&mut self, it: &TSTypeParameterInstantiation<'a>) {
        self.edits.blank(it.span.start, it.span.end);
    }

    fn visit_ts_this_parameter(&mut self, it: &TSThisParameter<'a>) {
        let comma = self.trivia.next(it.span.end, ",");
        self.edits.blank(it.span.start, comma.map_or(it.span.end, |comma| comma + 1));
    }

    fn visit_ts_as_expression(&mut self, it: &TSAsExpression<'a>) {
        self.visit_expression(&it.expression);
        self.edits.blank(it.expression.span().end, it.span.end);
    }

    fn visit_ts_satisfies_expression(&mut self, it: &TSSatisfiesExpression<'a>) {
        self.visit_expression(&it.expression);
        self.edits.blank(it.expression.span().end, it.span.end);
    }

    fn visit_ts_non_null_expression(&mut self, it: &TSNonNullExpression<'a>) {
        self.visit_expression(&it.expression);
        self.edits.blank(it.span.end - 1, it.span.end);
    }

    fn visit_ts_type_assertion(&mut self, it: &TSTypeAssertion<'a>) {
        // In parentheses, since what follows may mean something else at the start of a statement.
        self.edits.blank_after('(', it.span.start, it.expression.span().start);
        self.visit_expression(&it.expression);
        self.edits.insert(it.span.end, ")");
    }

    fn visit_ts_instantiation_expression(&mut self, it: &TSInstantiationExpression<'a>) {
        self.visit_expression(&it.expression);
        self.edits.blank(it.expression.span().end, it.span.end);
    }

    fn visit_ts_enum_declaration(&mut self, it: &TSEnumDeclaration<'a>) {
        enums::write(self, it);
    }

    fn visit_ts_namespace_declaration(&mut self, it: &TSNamespaceDeclaration<'a>) {
        self.refuse(it.span.start, "a namespace with values is not supported; use a module");
    }

    fn visit_ts_import_equals_declaration(&mut self, it: &TSImportEqualsDeclaration<'a>) {
        self.refuse(it.span.start, "`import x = ...` is not supported; use `import ... from`");
    }

    fn visit_ts_export_assignment(&mut self, it: &TSExportAssignment<'a>) {
        self.refuse(it.span.start, "`export = ...` is not supported; use `export default`");
    }

    fn visit_decorator(&mut self, it: &Decorator<'a>) {
        self.refuse(it.span.start, "decorators are not supported");
    }
}

#[cfg(test)]
mod tests;
