//! The reference's OCAP URLs: taking apart, issuing, redeeming.

use ocap_identity::legacy::{self, LegacyError};
use ocap_types::url::secret_of;
use ocap_types::{KRef, OcapUrl};
use serde_json::Value;

use crate::{bytes, list, text, vectors};

const VECTORS: &str = include_str!("../data/urls.json");

fn hints(parsed: &Value) -> Vec<String> {
    parsed["hints"].as_array().unwrap().iter().map(|h| h.as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_url_of_the_reference_is_redeemed_by_whoever_has_its_key() {
    for vector in list(&vectors(VECTORS), "vectors") {
        let url: OcapUrl = text(vector, "url").parse().unwrap();
        assert_eq!(url.oid, text(&vector["parse"], "oid"));
        assert_eq!(url.host, text(&vector["parse"], "host"));
        assert_eq!(url.hints, hints(&vector["parse"]));
        assert_eq!(url.to_string(), text(vector, "url"));
        let (key, peer_id) = (bytes(vector, "ocap_url_key_hex"), text(vector, "peer_id"));
        let kref = legacy::redeem(&key, peer_id, &url).unwrap();
        assert_eq!(kref.to_string(), text(&vector["redeems_to"], "kref"));
        // It cannot be taken for one of ours.
        assert_eq!(secret_of(&url.oid), None);
        // And what we would issue is redeemed likewise, whatever the salt.
        let issued = legacy::issue(&key, kref, peer_id, &url.hints).unwrap();
        assert_ne!(issued.oid, url.oid);
        assert_eq!(legacy::redeem(&key, peer_id, &issued), Ok(kref));
    }
}

#[test]
fn what_the_reference_refuses_is_refused() {
    for vector in list(&vectors(VECTORS), "negative") {
        let url: OcapUrl = text(vector, "url").parse().unwrap();
        let (key, peer_id) = (bytes(vector, "ocap_url_key_hex"), text(vector, "peer_id"));
        let redeemed = legacy::redeem(&key, peer_id, &url);
        let result = &vector["result"];
        match (result["kref"].as_str(), result["error"].as_str()) {
            (Some(kref), _) => {
                assert_eq!(redeemed, Ok(kref.parse::<KRef>().unwrap()), "{vector}");
            }
            // Where a library of the reference's throws.
            (_, Some(error)) if error.starts_with("base58") => {
                assert_eq!(redeemed, Err(LegacyError::Bad), "{vector}");
            }
            (_, Some(error)) => assert_eq!(redeemed.unwrap_err().to_string(), error, "{vector}"),
            _ => panic!("{vector}"),
        }
    }
}

#[test]
fn urls_are_taken_apart_as_the_reference_does() {
    for vector in list(&vectors(VECTORS), "parse") {
        let parsed = text(vector, "url").parse::<OcapUrl>();
        let result = &vector["result"];
        match (parsed, result["error"].as_str()) {
            (Ok(url), None) => {
                assert_eq!(url.oid, text(result, "oid"), "{vector}");
                assert_eq!(url.host, text(result, "host"), "{vector}");
                assert_eq!(url.hints, hints(result), "{vector}");
            }
            (Err(error), Some(text)) => assert_eq!(error.to_string(), text, "{vector}"),
            (parsed, _) => panic!("{vector}: {parsed:?}"),
        }
    }
}
