//! "Did you mean": what somebody may have wanted to write.

/// The name that is most like what was written, if any is like it at all.
pub(crate) fn nearest<'a>(
    written: &str,
    names: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    /// As clap has it for commands and options.
    const LIKENESS_MIN: f64 = 0.7;
    let likeness = |name: &str| strsim::jaro_winkler(written, name);
    let rated = names.into_iter().map(|name| (likeness(name), name));
    let like = rated.filter(|(likeness, _)| *likeness > LIKENESS_MIN);
    like.max_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, name)| name)
}

/// `; did you mean x?`, or nothing.
pub(crate) fn did_you_mean<'a>(written: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    nearest(written, names).map(|name| format!("; did you mean {name}?")).unwrap_or_default()
}

/// What was meant by a method that its target does not have, of which the rejection lists those it
/// has.
pub(crate) fn of_rejection(message: &str) -> Option<String> {
    let (_, rest) = message.split_once("has no method ")?;
    let (written, rest) = rest.split_once(", has ")?;
    let written: String = serde_json::from_str(written).ok()?;
    // The list may be followed by other text.
    let mut lists = serde_json::Deserializer::from_str(rest).into_iter::<Vec<String>>();
    let names = lists.next()?.ok()?;
    nearest(&written, names.iter().map(String::as_str)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_finger_are_seen_and_other_words_are_not() {
        assert_eq!(nearest("pign", ["ping", "echo"]), Some("ping"));
        assert_eq!(nearest("gestbook", ["guestbook", "guest"]), Some("guestbook"));
        assert_eq!(nearest("zzz", ["ping", "echo"]), None);
        assert_eq!(nearest("x", []), None);
        assert_eq!(did_you_mean("pign", ["ping"]), "; did you mean ping?");
    }

    #[test]
    fn a_rejection_tells_what_methods_there_are() {
        let message = r#"target has no method "pign", has ["__getMethodNames__","ping","echo"]"#;
        assert_eq!(of_rejection(message).as_deref(), Some("ping"));
        for other in ["boom", "has no method x", "has no method \"x\", has nothing"] {
            assert_eq!(of_rejection(other), None, "{other}");
        }
    }
}
