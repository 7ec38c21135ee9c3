//! Imports and exports of types.

use oxc_ast::ast::{ExportSpecifier, ImportDeclaration, ImportDeclarationSpecifier};
use oxc_span::{GetSpan, Span};

use crate::strip::Eraser;

/// Takes out what is imported for types only: what says so, and what no code uses.
pub(crate) fn erase_import(eraser: &mut Eraser<'_>, it: &ImportDeclaration<'_>) {
    if it.import_kind.is_type() {
        eraser.edits.remove_statement(it.span);
        return;
    }
    let Some(specifiers) = &it.specifiers else { return };
    let unused: Vec<_> = specifiers.iter().filter(|s| !is_used(eraser, s)).collect();
    if !specifiers.is_empty() && unused.len() == specifiers.len() {
        eraser.edits.remove_statement(it.span);
        return;
    }
    for specifier in unused {
        let span = specifier.span();
        match specifier {
            // Comes after the default one.
            ImportDeclarationSpecifier::ImportNamespaceSpecifier(_) => {
                let comma = eraser.trivia.skip_back(span.start) - 1;
                eraser.edits.blank(comma, span.end);
            }
            _ => erase_with_comma(eraser, span),
        }
    }
}

fn is_used(eraser: &Eraser<'_>, specifier: &ImportDeclarationSpecifier<'_>) -> bool {
    if let ImportDeclarationSpecifier::ImportSpecifier(named) = specifier
        && named.import_kind.is_type()
    {
        return false;
    }
    let Some(symbol) = specifier.local().symbol_id.get() else { return true };
    eraser.scoping.get_resolved_references(symbol).any(|reference| {
        let flags = reference.flags();
        flags.is_value() && !flags.is_value_as_type()
    })
}

/// Takes out the names that are exported as types, or for which `is_type` says so.
pub(crate) fn erase_specifiers(
    eraser: &mut Eraser<'_>,
    specifiers: &[ExportSpecifier<'_>],
    is_type: impl Fn(&Eraser<'_>, &ExportSpecifier<'_>) -> bool,
) {
    for specifier in specifiers {
        if specifier.export_kind.is_type() || is_type(eraser, specifier) {
            erase_with_comma(eraser, specifier.span);
        }
    }
}

fn erase_with_comma(eraser: &mut Eraser<'_>, span: Span) {
    let comma = eraser.trivia.next(span.end, ",");
    eraser.edits.blank(span.start, comma.map_or(span.end, |comma| comma + 1));
}
