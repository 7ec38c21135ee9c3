//! URLs as the web has them, and the encoding of forms.

use rquickjs::{Ctx, Function, Object};
use url::{Url, form_urlencoded, quirks};

/// Puts the functions on the supervisor's object `native`.
pub(super) fn add<'js>(ctx: &Ctx<'js>, native: &Object<'js>) -> rquickjs::Result<()> {
    native.set("urlParse", Function::new(ctx.clone(), parse)?)?;
    native.set(
        "urlPart",
        Function::new(ctx.clone(), |href: String, name: String| part(&href, &name))?,
    )?;
    let with = |href: String, name: String, value: String| with(&href, &name, &value);
    native.set("urlWith", Function::new(ctx.clone(), with)?)?;
    let pairs = |text: String| -> Vec<String> {
        let pairs = form_urlencoded::parse(text.as_bytes());
        pairs.flat_map(|(name, value)| [name.into_owned(), value.into_owned()]).collect()
    };
    native.set("formPairs", Function::new(ctx.clone(), pairs)?)?;
    let text = |flat: Vec<String>| {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(flat.chunks_exact(2).map(|pair| (&pair[0], &pair[1])));
        form.finish()
    };
    native.set("formText", Function::new(ctx.clone(), text)?)
}

/// A URL in its normal form.
#[allow(clippy::needless_pass_by_value, reason = "arguments come from the engine")]
fn parse(text: String, base: Option<String>) -> Option<String> {
    let url = match base {
        Some(base) => Url::parse(&base).ok()?.join(&text),
        None => Url::parse(&text),
    };
    url.ok().map(String::from)
}

/// A part of a URL in its normal form.
fn part(href: &str, name: &str) -> Option<String> {
    let url = Url::parse(href).ok()?;
    Some(match name {
        "origin" => quirks::origin(&url),
        "protocol" => quirks::protocol(&url).to_owned(),
        "username" => quirks::username(&url).to_owned(),
        "password" => quirks::password(&url).to_owned(),
        "host" => quirks::host(&url).to_owned(),
        "hostname" => quirks::hostname(&url).to_owned(),
        "port" => quirks::port(&url).to_owned(),
        "pathname" => quirks::pathname(&url).to_owned(),
        "search" => quirks::search(&url).to_owned(),
        "hash" => quirks::hash(&url).to_owned(),
        _ => quirks::href(&url).to_owned(),
    })
}

/// A URL with another part. What makes no sense there changes nothing, except that a whole URL has
/// to be one: `None`.
fn with(href: &str, name: &str, value: &str) -> Option<String> {
    let mut url = Url::parse(href).ok()?;
    match name {
        "protocol" => drop(quirks::set_protocol(&mut url, value)),
        "username" => drop(quirks::set_username(&mut url, value)),
        "password" => drop(quirks::set_password(&mut url, value)),
        "host" => drop(quirks::set_host(&mut url, value)),
        "hostname" => drop(quirks::set_hostname(&mut url, value)),
        "port" => drop(quirks::set_port(&mut url, value)),
        "pathname" => quirks::set_pathname(&mut url, value),
        "search" => quirks::set_search(&mut url, value),
        "hash" => quirks::set_hash(&mut url, value),
        _ => quirks::set_href(&mut url, value).ok()?,
    }
    Some(url.into())
}
