//! OCAP URLs.

use ocap_kernel::UrlTerms;
use serde_json::Value;

use super::{Context, Example, Method, Outcome, json};
use crate::{limits, params};

pub(super) const METHODS: &[Method] = &[
    Method {
        name: "issueOcapURL",
        summary: "Issues an OCAP URL: whoever knows it can redeem it for the reference, which it \
                  holds. It can be limited to a time from now in milliseconds, and to a number of \
                  uses; a label is what lists show.",
        params: "{kref: \"koN\", expiresMs?: number, uses?: number, label?: string}",
        result: "string",
        example: Example {
            params: r#"{"kref":"ko4"}"#,
            result: r#""ocap:zPfuKrG3Netg9bwJaFqpHJhcFm5SkbsMEUN8eTwmwKBbH@12D3KooWP7CwQswqLKZbwvYd9wrEynnL9F2aKVP1X9huNASBTuqj""#,
        },
        keyed: false,
        call: |context, params| Box::pin(issue(context, params)),
    },
    Method {
        name: "redeemOcapURL",
        summary: "The reference that an OCAP URL of this kernel stands for. It is held until it is \
                  released.",
        params: "{url: string}",
        result: "\"koN\"",
        example: Example {
            params: r#"{"url":"ocap:zPfuKrG3Netg9bwJaFqpHJhcFm5SkbsMEUN8eTwmwKBbH@12D3KooWP7CwQswqLKZbwvYd9wrEynnL9F2aKVP1X9huNASBTuqj"}"#,
            result: r#""ko4""#,
        },
        keyed: false,
        call: |context, params| Box::pin(redeem(context, params)),
    },
    Method {
        name: "listOcapURLs",
        summary: "The OCAP URLs that can be redeemed, whoever issued them, in the order of their \
                  ids: not their texts. At most 1000 at once; give the last id as `after` for more.",
        params: "[] or {after?: string}",
        result: "[{id, kref, issued, expires?, uses?, label?, issuer?}]",
        example: Example {
            params: r#"{"after":"5feceb66ffc8"}"#,
            result: r#"[{"id":"6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b","kref":"ko4","issued":1735689600000,"uses":3,"label":"for Bob","issuer":"v1"}]"#,
        },
        keyed: false,
        call: |context, params| Box::pin(list(context, params)),
    },
    Method {
        name: "revokeOcapURL",
        summary: "Revokes an OCAP URL by its text, or by its id, of which the first 12 characters \
                  are enough. False if it could not be redeemed anyway.",
        params: "{url: string} or {id: string}",
        result: "boolean",
        example: Example { params: r#"{"id":"6b86b273ff34"}"#, result: "true" },
        keyed: false,
        call: |context, params| Box::pin(revoke(context, params)),
    },
];

async fn issue(context: Context, params: Value) -> Outcome {
    let (kref, lifetime_ms, uses, label) = params::url_terms(&params)?;
    let terms = UrlTerms { lifetime_ms, uses, label };
    json(context.kernel.issue_url(kref, terms).await)
}

async fn redeem(context: Context, params: Value) -> Outcome {
    json(context.kernel.redeem_url(params::text_of(&params, "url")?).await)
}

async fn list(context: Context, params: Value) -> Outcome {
    let after = params::optional_text(&params, "after")?;
    json(context.kernel.urls(after.unwrap_or_default(), limits::URLS_LISTED_MAX).await)
}

async fn revoke(context: Context, params: Value) -> Outcome {
    if params.get("id").is_some() {
        return json(context.kernel.revoke_url_id(params::text_of(&params, "id")?).await);
    }
    json(context.kernel.revoke_url(params::text_of(&params, "url")?).await)
}
