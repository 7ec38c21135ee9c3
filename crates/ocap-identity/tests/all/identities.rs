//! Seeds, words, peer ids.

use ocap_identity::{Key, Words, WordsError, random};
use ocap_types::Secret;
use ocap_types::secret::hex;

use crate::{bytes, list, text, vectors};

const VECTORS: &str = include_str!("../data/identity.json");

#[test]
fn a_seed_is_a_key_and_a_peer_id() {
    let vectors = vectors(VECTORS);
    for name in ["from_seed", "from_mnemonic"] {
        for vector in list(&vectors, name) {
            let key = Key::from_seed(&bytes(vector, "key_seed_hex")).unwrap();
            assert_eq!(hex(&key.public()), text(vector, "ed25519_public_key_hex"));
            assert_eq!(key.peer_id(), text(vector, "peer_id"));
        }
    }
}

#[test]
fn words_are_a_seed_and_come_back_from_their_entropy() {
    for vector in list(&vectors(VECTORS), "from_mnemonic") {
        let words = Words::parse(text(vector, "mnemonic")).unwrap();
        assert_eq!(*words.text(), text(vector, "mnemonic"));
        assert_eq!(words.seed(), bytes(vector, "key_seed_hex"), "{vector}");
        let again = Words::from_entropy(&words.entropy()).unwrap();
        assert_eq!(*again.text(), text(vector, "mnemonic"));
    }
}

#[test]
fn words_that_the_reference_refuses_are_refused() {
    for vector in list(&vectors(VECTORS), "invalid_mnemonics") {
        assert_eq!(Words::parse(text(vector, "mnemonic")).err(), Some(WordsError), "{vector}");
    }
    let endless = "abandon ".repeat(1_000_000);
    assert!(Words::parse(&endless).is_err());
}

#[test]
fn new_words_are_new_and_say_nothing() {
    let (one, other) = (Words::new().unwrap(), Words::new().unwrap());
    assert_ne!(one.text(), other.text());
    assert_eq!(one.text().split(' ').count(), 24);
    assert_eq!(Words::parse(&one.text()).unwrap().seed(), one.seed());
    assert_eq!(format!("{one:?}"), "Words(..)");
    let key = Key::from_seed(&one.seed()).unwrap();
    assert_eq!(format!("{key:?}"), format!("Key({})", key.peer_id()));
}

#[test]
fn a_seed_of_another_length_is_none() {
    for length in [0, 31, 33] {
        assert!(Key::from_seed(&Secret::new(vec![1; length])).is_none());
    }
    assert_ne!(random(32).unwrap(), random(32).unwrap());
}
