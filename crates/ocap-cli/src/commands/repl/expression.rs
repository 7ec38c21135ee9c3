//! What is typed at the prompt: a method and its arguments, in words or as JavaScript has it.
//!
//! `greet "you" 3`, `greet(1, "x", @ko5)`, `$1.hello()` and `ko7.hello` all are calls. Values are
//! those of JavaScript that can pass between vats; `@ko5` is a reference, `$1` an earlier result.

use std::collections::BTreeMap;

use ocap_types::KRef;
use ocap_types::passable::Passable;

use crate::argument;
use crate::failure::Failure;
use crate::limits;

/// A value that can be sent.
pub(super) type Sendable = Passable<KRef>;

/// A call that was typed.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Call {
    /// Whom it is for; the object of the session if none is named.
    pub(super) target: Option<KRef>,
    pub(super) method: String,
    pub(super) args: Vec<Sendable>,
}

/// Reads a line. `results` are what `$1` and so on stand for.
pub(super) fn parse(line: &str, results: &[Sendable]) -> Result<Call, Failure> {
    let mut parser = Parser { rest: line.trim(), results };
    let target = parser.target()?;
    let method = parser.word()?;
    if parser.rest.starts_with('(') {
        parser.rest = &parser.rest[1..];
        let args = parser.list(')', 0)?;
        parser.end()?;
        return Ok(Call { target, method, args });
    }
    let mut args = Vec::new();
    loop {
        let spaced = parser.rest.starts_with(char::is_whitespace);
        parser.skip();
        if parser.rest.is_empty() {
            return Ok(Call { target, method, args });
        }
        if !spaced {
            return Err(parser.unexpected("a space"));
        }
        args.push(parser.value_or_word()?);
    }
}

/// The earlier result that is all a line says, if it says nothing else.
pub(super) fn lone_result(line: &str, results: &[Sendable]) -> Option<Result<Sendable, Failure>> {
    let number = line.trim().strip_prefix('$')?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| Parser { rest: "", results }.result(number))
}

struct Parser<'a> {
    rest: &'a str,
    results: &'a [Sendable],
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$')
}

impl<'a> Parser<'a> {
    fn skip(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn unexpected(&self, wanted: &str) -> Failure {
        if self.rest.is_empty() {
            return Failure::new(format!("the line ends where {wanted} is expected"));
        }
        let there: String = self.rest.chars().take(20).collect();
        Failure::new(format!("{wanted} is expected at: {there}"))
    }

    fn end(&mut self) -> Result<(), Failure> {
        self.skip();
        if self.rest.is_empty() { Ok(()) } else { Err(self.unexpected("the end of the line")) }
    }

    /// Takes as much as is of a word.
    fn taken(&mut self) -> &'a str {
        let end = self.rest.find(|c| !is_of_word(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    fn word(&mut self) -> Result<String, Failure> {
        let word = self.taken();
        if word.is_empty() { Err(self.unexpected("a method's name")) } else { Ok(word.to_owned()) }
    }

    /// `ko5.`, `@ko5.` or `$1.` before the method.
    fn target(&mut self) -> Result<Option<KRef>, Failure> {
        let Some((before, after)) = self.rest.split_once('.') else { return Ok(None) };
        let before = before.trim_end();
        let named = before.strip_prefix('@').unwrap_or(before);
        let kref = if let Ok(kref) = named.parse() {
            kref
        } else if let Some(number) = before.strip_prefix('$') {
            match self.result(number)? {
                Passable::Remotable { slot, .. } | Passable::Promise(slot) => slot,
                _ => return Err(Failure::new(format!("{before} is no reference"))),
            }
        } else {
            return Ok(None);
        };
        self.rest = after.trim_start();
        Ok(Some(kref))
    }

    fn result(&self, number: &str) -> Result<Sendable, Failure> {
        let place = number.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        let found = place.and_then(|place| self.results.get(place)).cloned();
        found.ok_or_else(|| {
            let known = match self.results.len() {
                0 => "there are no results yet".to_owned(),
                count => format!("results go from $1 to ${count}"),
            };
            Failure::new(format!("${number} is no result: {known}"))
        })
    }

    /// An argument among words: what is no value is a text.
    fn value_or_word(&mut self) -> Result<Sendable, Failure> {
        let begins =
            |c: char| c.is_ascii_digit() || matches!(c, '"' | '\'' | '[' | '{' | '@' | '$' | '-');
        if self.rest.starts_with(begins) {
            return self.value(0);
        }
        let end = self.rest.find(char::is_whitespace).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        Ok(named(word).unwrap_or_else(|| Passable::string(word)))
    }

    fn value(&mut self, depth: usize) -> Result<Sendable, Failure> {
        if depth > limits::EXPRESSION_DEPTH_MAX {
            return Err(Failure::new("the value is too deep"));
        }
        self.skip();
        match self.rest.chars().next() {
            Some(quote @ ('"' | '\'')) => Ok(Passable::String(self.string(quote)?)),
            Some('[') => {
                self.rest = &self.rest[1..];
                Ok(Passable::Array(self.list(']', depth + 1)?))
            }
            Some('{') => {
                self.rest = &self.rest[1..];
                Ok(Passable::Record(self.record(depth + 1)?))
            }
            Some('@') => {
                self.rest = &self.rest[1..];
                let word = self.taken();
                argument::reference(word)
            }
            Some('$') => {
                self.rest = &self.rest[1..];
                let number = self.taken();
                self.result(number)
            }
            Some('-' | '0'..='9') => self.number(),
            Some(_) => {
                let before = self.rest;
                let word = self.taken();
                named(word).ok_or_else(|| {
                    self.rest = before;
                    self.unexpected("a value (texts need quotation marks here)")
                })
            }
            None => Err(self.unexpected("a value")),
        }
    }

    /// Values up to a bracket that is not there yet.
    fn list(&mut self, close: char, depth: usize) -> Result<Vec<Sendable>, Failure> {
        let mut items = Vec::new();
        loop {
            self.skip();
            if let Some(rest) = self.rest.strip_prefix(close) {
                self.rest = rest;
                return Ok(items);
            }
            items.push(self.value(depth)?);
            self.comma(close)?;
        }
    }

    fn comma(&mut self, close: char) -> Result<(), Failure> {
        self.skip();
        match self.rest.strip_prefix(',') {
            Some(rest) => self.rest = rest,
            None if self.rest.starts_with(close) => {}
            None => return Err(self.unexpected(&format!("a comma or {close}"))),
        }
        Ok(())
    }

    fn record(&mut self, depth: usize) -> Result<BTreeMap<String, Sendable>, Failure> {
        let mut entries = BTreeMap::new();
        loop {
            self.skip();
            let key = match self.rest.chars().next() {
                Some('}') => {
                    self.rest = &self.rest[1..];
                    return Ok(entries);
                }
                Some(quote @ ('"' | '\'')) => self.string(quote)?,
                _ => match self.taken() {
                    "" => return Err(self.unexpected("a key")),
                    word => word.to_owned(),
                },
            };
            self.skip();
            self.rest = self.rest.strip_prefix(':').ok_or_else(|| self.unexpected("a colon"))?;
            let value = self.value(depth)?;
            entries.insert(key, value);
            self.comma('}')?;
        }
    }

    fn string(&mut self, quote: char) -> Result<String, Failure> {
        let mut text = String::new();
        let mut chars = self.rest.char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                c if c == quote => {
                    self.rest = &self.rest[at + 1..];
                    return Ok(text);
                }
                '\\' => match chars.next() {
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, 't')) => text.push('\t'),
                    Some((_, 'r')) => text.push('\r'),
                    Some((_, 'u')) => {
                        let digits: String = chars.by_ref().take(4).map(|(_, c)| c).collect();
                        let code = u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32);
                        let wrong = || Failure::new(format!("\\u{digits} is no character"));
                        text.push(code.ok_or_else(wrong)?);
                    }
                    Some((_, other)) => text.push(other),
                    None => break,
                },
                c => text.push(c),
            }
        }
        Err(Failure::new("a text is not closed"))
    }

    fn number(&mut self) -> Result<Sendable, Failure> {
        let of_number = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '+' | '-');
        let end = self.rest.find(|c| !of_number(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        let wrong = || Failure::new(format!("{word} is no number"));
        let value = if word == "-Infinity" {
            Passable::Number(f64::NEG_INFINITY)
        } else if let Some(digits) = word.strip_suffix('n') {
            Passable::BigInt(digits.parse().map_err(|_| wrong())?)
        } else if word.contains(char::is_alphabetic) && !word.contains(['e', 'E']) {
            return Err(wrong());
        } else {
            Passable::Number(word.parse().map_err(|_| wrong())?)
        };
        self.rest = rest;
        Ok(value)
    }
}

/// A value that is a word.
fn named(word: &str) -> Option<Sendable> {
    Some(match word {
        "true" => Passable::Bool(true),
        "false" => Passable::Bool(false),
        "null" => Passable::Null,
        "undefined" => Passable::Undefined,
        "NaN" => Passable::Number(f64::NAN),
        "Infinity" => Passable::Number(f64::INFINITY),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use ocap_types::smallcaps;

    use super::*;

    /// Target, method, and the arguments as they are marshalled.
    fn read(line: &str) -> String {
        let results = [Passable::remotable(KRef::Object(9), "thing"), Passable::string("old")];
        match parse(line, &results) {
            Ok(Call { target, method, args }) => {
                let target = target.map(|kref| format!("{kref} ")).unwrap_or_default();
                let data = smallcaps::encode(&Passable::Array(args));
                let slots: Vec<String> = data.slots.iter().map(ToString::to_string).collect();
                format!("{target}{method} {} {}", data.body, slots.join(","))
            }
            Err(failure) => format!("{failure:?}"),
        }
    }

    #[test]
    fn calls_are_read_in_words_and_as_javascript_has_them() {
        let cases = [
            ("ping", "ping #[] "),
            ("ping()", "ping #[] "),
            ("  greet you 3 true ", "greet #[\"you\",3,true] "),
            ("greet(\"you\", 3,)", "greet #[\"you\",3] "),
            ("put {a: 1, 'b c': [x]}", "is expected at: x]}"),
            ("put {a: 1, 'b c': [null]} last", "put #[{\"a\":1,\"b c\":[null]},\"last\"] "),
            ("meet @ko5 $1 $2", "meet #[\"$0\",\"$1.Alleged: thing\",\"old\"] ko5,ko9"),
            ("$1.hello()", "ko9 hello #[] "),
            ("@ko7.hello 1", "ko7 hello #[1] "),
            ("kp3.then", "kp3 then #[] "),
            ("big(5n, -7n, 1e3, -0.5)", "big #[\"+5\",\"-7\",1000,-0.5] "),
            ("odd(undefined, NaN, -Infinity)", "odd #[\"#undefined\",\"#NaN\",\"#-Infinity\"] "),
            (r#"say("a\n\"b\" \u00e9", '+x')"#, "say #[\"a\\n\\\"b\\\" é\",\"!+x\"] "),
            ("say 1.5 http://x.y", "say #[1.5,\"http://x.y\"] "),
        ];
        for (line, expected) in cases {
            let read = read(line);
            assert!(
                read == expected || (expected.contains("expected") && read.contains(expected)),
                "{line}: {read}"
            );
        }
    }

    #[test]
    fn what_makes_no_sense_is_said() {
        let deep = format!("f({}", "[".repeat(100_000));
        let cases = [
            ("", "a method's name"),
            ("f(", "the line ends where a value"),
            ("f(1", "a comma or )"),
            ("f(1) 2", "the end of the line"),
            ("f(x)", "quotation marks"),
            ("f \"a", "not closed"),
            ("f $3", "results go from $1 to $2"),
            ("f @me", "is no reference"),
            ("$2.hello", "$2 is no reference"),
            ("f({1})", "a colon"),
            ("f 1x", "1x is no number"),
            ("f \"\\ud800\"", "no character"),
            ("f\"x\"", "a space is expected"),
            (deep.as_str(), "too deep"),
        ];
        for (line, expected) in cases {
            let read = read(line);
            assert!(read.contains(expected), "{line:.20}: {read}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_line_leads_to_a_call_or_an_explanation(line in "\\PC{0,40}") {
            let _ = read(&line);
        }

        #[test]
        fn texts_come_out_as_they_went_in(text in "[^\\\\\"]{0,20}") {
            let call = parse(&format!("f(\"{text}\")"), &[]).unwrap();
            proptest::prop_assert_eq!(call.args, vec![Passable::String(text)]);
        }
    }
}
