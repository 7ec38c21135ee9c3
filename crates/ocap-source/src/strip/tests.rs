use super::*;

/// What is left, with runs of spaces as one and without those at the ends of lines.
#[track_caller]
fn stripped(source: &str) -> String {
    let out = strip_types("a.ts", source).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(out.lines().count(), source.lines().count(), "lines are kept: {out}");
    let line = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    out.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn refused(source: &str) -> String {
    strip_types("a.ts", source).unwrap_err()
}

#[test]
fn what_is_for_the_checker_becomes_spaces_of_the_same_length() {
    for (source, wanted) in [
        ("const a: number = 1;", "const a         = 1;"),
        ("let a!: T;", "let a    ;"),
        ("f<T>(x as T, y!, z satisfies T);", "f   (x     , y , z            );"),
        (
            "function f<T>(this: T, a?: T, ...b: T[]): a is T {}",
            "function f   (         a    , ...b     )         {}",
        ),
        ("try {} catch (e: unknown) {}", "try {} catch (e         ) {}"),
        (
            "const f = async <T,>(a: T): Promise<T> => a;",
            "const f = async     (a   )             => a;",
        ),
        ("for (const x of y as T[]) {}", "for (const x of y       ) {}"),
    ] {
        assert_eq!(strip_types("a.ts", source).unwrap(), wanted);
    }
}

#[test]
fn plain_javascript_stays_as_it_is() {
    let source = "#!/usr/bin/env node\n// as T\nimport { a } from './a';\nexport const x = a`<T>${a}`;\n\
                  class A extends a { #b = 1; static { this.#b; } get c() { return 1 } }\n";
    assert_eq!(strip_types("a.ts", source).unwrap(), source);
}

#[test]
fn declarations_go_and_end_what_was_before_them() {
    assert_eq!(stripped("a\ntype T = 1\n(b)"), "a\n;\n(b)");
    assert_eq!(
        stripped("interface A {\n x: 1 }\ndeclare const b: 1;\ndeclare function c(): 1;"),
        ";\n\n;\n;"
    );
    assert_eq!(stripped("export type T = 1; export interface I {} declare module 'x' {}"), "; ; ;");
    assert_eq!(stripped("declare global { var a: 1 }\nnamespace N { type T = 1 }"), ";\n;");
    assert_eq!(stripped("function f(a: 1): 1;\nfunction f(a: any) {}"), ";\nfunction f(a ) {}");
    assert_eq!(stripped("export default interface I {}"), ";");
    assert_eq!(
        stripped("export default function f(): 1;\nexport default function f() {}"),
        ";\nexport default function f() {}"
    );
}

#[test]
fn what_ended_in_a_type_does_not_go_on_in_the_next_line() {
    assert_eq!(stripped("a as T\n(b)"), "a ;\n(b)");
    assert_eq!(stripped("let a: T\n(b)"), "let a ;\n(b)");
    assert_eq!(stripped("class A { get: T\nfoo() {} }"), "class A { get ;\nfoo() {} }");
    assert_eq!(stripped("class A { a = 1\nprivate ['b'] = 2 }"), "class A { a = 1\n; ['b'] = 2 }");
}

#[test]
fn arrow_functions_keep_what_has_to_be_on_one_line() {
    assert_eq!(stripped("f((a): {\n b: 1 } => a)"), "f((a\n ) => a)".replace("\n ", "\n"));
    assert_eq!(
        stripped("function f() { return <\nT>(a) => a }"),
        "function f() { return (\na) => a }"
    );
    assert_eq!(stripped("const f = () => <T>{ a: 1 };"), "const f = () => ( { a: 1 });");
}

#[test]
fn classes_lose_their_modifiers() {
    assert_eq!(
        stripped(
            "abstract class A<T> extends B<T> implements C, D<T> {\n declare a: 1;\n\
             private readonly b?: T;\n static override c: T\n abstract d(): 1;\n [k: string]: T;\n\
             public async *e?(): T {}\n protected get f(): T { return this.#g! }\n #g: T = 1 as T }"
        ),
        "class A extends B {\n;\n; b ;\nstatic c ;\n;\n;\n; async *e () {}\n\
         ; get f() { return this.#g; }\n#g = 1 ; }"
    );
    assert_eq!(stripped("export default abstract class {}"), "export default class {}");
    assert_eq!(stripped("(class implements I {})"), "(class {})");
}

#[test]
fn parameter_properties_are_assigned() {
    assert_eq!(
        stripped("class A { constructor(private a: 1, readonly b = 2, c: 1) { f(); } }"),
        "class A { constructor( a , b = 2, c ) {this.a = a;this.b = b; f(); } }"
    );
    assert_eq!(
        stripped("class A extends B { constructor(public a: 1) { 'x'; super(); f(); } }"),
        "class A extends B { constructor( a ) { 'x'; super();;this.a = a; f(); } }"
    );
    let error = refused("class A extends B { constructor(public a: 1) { if (a) super(); } }");
    assert!(error.contains("super(...)"), "{error}");
}

#[test]
fn imports_that_no_code_uses_go() {
    assert_eq!(
        stripped("import type { A } from './a';\nimport { B } from './b';\nlet x: B;"),
        ";\n;\nlet x ;"
    );
    assert_eq!(
        stripped("import A, { B, type C, D } from './a';\nA; D; let x: B; let y: typeof D;"),
        "import A, { D } from './a';\nA; D; let x ; let y ;"
    );
    assert_eq!(stripped("import A, * as B from './a'; A;"), "import A from './a'; A;");
    assert_eq!(stripped("import A, { b } from './a'; b;"), "import { b } from './a'; b;");
    assert_eq!(
        stripped("import './a'; import {} from './b';"),
        "import './a'; import {} from './b';"
    );
    assert_eq!(
        stripped("import { a } from './a'; export { a };"),
        "import { a } from './a'; export { a };"
    );
}

#[test]
fn exports_of_types_go() {
    assert_eq!(
        stripped("type T = 1; const a = 1; export { T, a, type T as U };"),
        "; const a = 1; export { a, };"
    );
    assert_eq!(
        stripped("export type { A } from './a'; export { type B, c } from './b';"),
        "; export { c } from './b';"
    );
    assert_eq!(
        stripped("export type * from './a'; export * from './b';"),
        "; export * from './b';"
    );
}

#[test]
fn enums_become_objects() {
    let out = stripped("export enum E {\n A,\n B = A << 2,\n 'c-d' = 'x',\n in = 3,\n}\nE.A");
    assert_eq!(out.lines().next(), Some("export var E = ((E) => {"));
    assert!(out.contains("const B = (A << 2); E[\"B\"] = B;"), "{out}");
    assert!(out.contains("const _E_2 = ('x'); E[\"c-d\"] = _E_2;"), "{out}");
    assert!(out.ends_with("return E; })({});\nE.A"), "{out}");
    assert!(refused("enum E { A } enum E { B }").contains("declared twice"));
}

#[test]
fn what_has_no_plain_form_is_refused_with_its_place() {
    for (source, wanted) in [
        ("\n  @d class A {}", "a.ts:2:3: decorators are not supported"),
        ("namespace N { export const a = 1 }", "a.ts:1:1: a namespace with values"),
        ("import a = require('a'); a", "a.ts:1:1: `import x = ...`"),
        ("export = 1;", "a.ts:1:1: `export = ...`"),
        ("class A { accessor b = 1 }", "a.ts:1:11: `accessor` fields"),
        ("let x: = 1;", "a.ts:1:8: "),
        ("\nconst x = ;", "a.ts:2:11: "),
    ] {
        let error = refused(source);
        assert!(error.starts_with(wanted), "{source}: {error}");
    }
}
