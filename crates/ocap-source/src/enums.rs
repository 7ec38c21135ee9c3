//! Enums, as the objects they stand for.
//!
//! Within the function that makes the object each member is a constant, so that later members can
//! be computed from it under its name.

use oxc_ast::ast::{TSEnumDeclaration, TSEnumMember, TSEnumMemberName};
use oxc_ast_visit::Visit;
use oxc_span::GetSpan;
use oxc_syntax::identifier::is_identifier_name;
use oxc_syntax::keyword::is_reserved_keyword;

use crate::strip::Eraser;

/// Writes an enum as code, on the same lines.
pub(crate) fn write(eraser: &mut Eraser<'_>, it: &TSEnumDeclaration<'_>) {
    let name = it.id.name.as_str();
    let merged = it
        .id
        .symbol_id
        .get()
        .is_some_and(|symbol| !eraser.scoping.symbol_redeclarations(symbol).is_empty());
    if merged {
        eraser.refuse(it.span.start, format!("enum {name} is declared twice; make it one"));
        return;
    }
    let open = it.body.span.start + 1;
    let head = format!("var {name} = (({name}) => {{");
    eraser.edits.replace_on_lines(it.span.start, open, &head);
    let mut before: Option<String> = None;
    for (index, member) in it.body.members.iter().enumerate() {
        before = write_member(eraser, name, index, member, before.as_deref());
        if before.is_none() {
            return;
        }
    }
    let close = it.body.span.end - 1;
    eraser.edits.replace(close, it.body.span.end, format!("return {name}; }})({{}});"));
}

/// Writes one member; the name of its constant.
fn write_member(
    eraser: &mut Eraser<'_>,
    object: &str,
    index: usize,
    member: &TSEnumMember<'_>,
    before: Option<&str>,
) -> Option<String> {
    let key = match &member.id {
        TSEnumMemberName::Identifier(id) => id.name.as_str(),
        TSEnumMemberName::String(text) | TSEnumMemberName::ComputedString(text) => {
            text.value.as_str()
        }
        TSEnumMemberName::ComputedTemplateString(_) => {
            eraser.refuse(member.span.start, "an enum member's name must be a name or a string");
            return None;
        }
    };
    let usable = is_identifier_name(key)
        && !is_reserved_keyword(key)
        && !matches!(key, "eval" | "arguments" | "await" | "yield" | "let" | "static")
        && key != object;
    let constant = if usable { key.to_owned() } else { format!("_{object}_{index}") };
    let key = serde_json::Value::from(key).to_string();
    let set = format!(
        "{object}[{key}] = {constant}; if (typeof {constant} !== 'string') \
         {object}[{constant}] = {key};"
    );
    if let Some(value) = &member.initializer {
        let span = value.span();
        let head = format!("const {constant} = (");
        eraser.edits.replace_on_lines(member.span.start, span.start, &head);
        eraser.visit_expression(value);
        eraser.edits.insert(span.end, format!("); {set}"));
    } else {
        let value = before.map_or("0".to_owned(), |before| format!("{before} + 1"));
        let code = format!("const {constant} = {value}; {set}");
        eraser.edits.replace_on_lines(member.span.start, member.span.end, &code);
    }
    if let Some(comma) = eraser.trivia.next(member.span.end, ",") {
        eraser.edits.blank(comma, comma + 1);
    }
    Some(constant)
}
