//! Words that an identity is made from, as BIP39 has them: English, with a checksum.

use std::fmt;

use bip39::{Language, Mnemonic};
use ocap_types::Secret;
use zeroize::{Zeroize, Zeroizing};

use crate::{NoChance, SEED_BYTES, random};

/// Bytes of chance in the words of a new identity, which makes 24 of them.
const NEW_ENTROPY_BYTES: usize = 32;

/// Characters of the longest words there can be, and more.
const TEXT_BYTES_MAX: usize = 1_000;

/// 12, 15, 18, 21 or 24 words. Wiped when dropped.
pub struct Words(Mnemonic);

/// Why a text is not the words of an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "these are not the words of an identity: they have to be 12, 15, 18, 21 or 24 English words of \
     BIP39 in the order they were written down, in lower case, with one space between two"
)]
pub struct WordsError;

impl Words {
    /// Words nobody has had before.
    ///
    /// # Errors
    /// [`NoChance`] if the operating system has no random numbers.
    pub fn new() -> Result<Words, NoChance> {
        let entropy = random(NEW_ENTROPY_BYTES)?;
        // Any 32 bytes make words.
        Words::from_entropy(&entropy).map_or_else(|_| Words::new(), Ok)
    }

    /// The words of these bytes, of which there are 16, 20, 24, 28 or 32.
    ///
    /// # Errors
    /// [`WordsError`] if it is another number of bytes.
    pub fn from_entropy(entropy: &Secret) -> Result<Words, WordsError> {
        Mnemonic::from_entropy_in(Language::English, entropy.expose())
            .map(Words)
            .map_err(|_| WordsError)
    }

    /// Reads words as [`Words::text`] writes them, and in no other way: a space too many would make
    /// another identity elsewhere.
    ///
    /// # Errors
    /// [`WordsError`] if they are anything else, or one is wrong.
    pub fn parse(text: &str) -> Result<Words, WordsError> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(WordsError);
        }
        let words = Mnemonic::parse_in_normalized(Language::English, text)
            .map(Words)
            .map_err(|_| WordsError)?;
        if *words.text() == text { Ok(words) } else { Err(WordsError) }
    }

    /// The words, with a space between two.
    pub fn text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(TEXT_BYTES_MAX));
        for (place, word) in self.0.words().enumerate() {
            if place > 0 {
                text.push(' ');
            }
            text.push_str(word);
        }
        text
    }

    /// What they were made from.
    pub fn entropy(&self) -> Secret {
        let (mut bytes, length) = self.0.to_entropy_array();
        let entropy = Secret::new(bytes[..length].to_vec());
        bytes.zeroize();
        entropy
    }

    /// The seed of the key: the first half of what BIP39 makes of the words without a passphrase.
    /// Takes some milliseconds.
    pub fn seed(&self) -> Secret {
        let mut whole = self.0.to_seed_normalized("");
        let seed = Secret::new(whole[..SEED_BYTES].to_vec());
        whole.zeroize();
        seed
    }
}

/// That there are some.
impl fmt::Debug for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Words(..)")
    }
}
