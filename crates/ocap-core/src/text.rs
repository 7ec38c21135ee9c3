//! Text of keys and rows, put together piece by piece. Every message makes some dozens of them, and
//! the formatting machinery of the standard library was a tenth of the core's time.

use ocap_types::{KRef, VRef, VatId};

use crate::rows::Party;

/// A text under construction.
pub(crate) struct Text(String);

impl Text {
    /// Begins with this. Most keys and rows need no second allocation.
    pub(crate) fn new(start: &str) -> Self {
        let mut text = String::with_capacity(40);
        text.push_str(start);
        Text(text)
    }

    pub(crate) fn str(mut self, text: &str) -> Self {
        self.0.push_str(text);
        self
    }

    pub(crate) fn char(mut self, char: char) -> Self {
        self.0.push(char);
        self
    }

    /// Decimal.
    pub(crate) fn number(self, number: u64) -> Self {
        self.padded(number, 1)
    }

    /// Decimal, with zeros before it to at least `width` places.
    pub(crate) fn padded(mut self, mut number: u64, width: usize) -> Self {
        // As many digits as a u64 can have.
        let mut digits = [b'0'; 20];
        let mut first = digits.len();
        while number > 0 {
            first -= 1;
            digits[first] = b'0' + (number % 10) as u8;
            number /= 10;
        }
        first = first.min(digits.len() - width.clamp(1, digits.len()));
        self.0.extend(digits[first..].iter().map(|&digit| char::from(digit)));
        self
    }

    pub(crate) fn vat(self, VatId(number): VatId) -> Self {
        self.char('v').number(number)
    }

    pub(crate) fn party(self, party: Party) -> Self {
        match party {
            Party::Vat(vat) => self.vat(vat),
            Party::Kernel => self.str("kernel"),
        }
    }

    /// A party, or `-` for none.
    pub(crate) fn owner(self, owner: Option<Party>) -> Self {
        match owner {
            Some(party) => self.party(party),
            None => self.char('-'),
        }
    }

    pub(crate) fn kref(self, kref: KRef) -> Self {
        match kref {
            KRef::Object(number) => self.str("ko").number(number),
            KRef::Promise(number) => self.str("kp").number(number),
        }
    }

    pub(crate) fn vref(self, vref: VRef) -> Self {
        match vref {
            VRef::Export(number) => self.str("o+").number(number),
            VRef::Import(number) => self.str("o-").number(number),
            VRef::ExportPromise(number) => self.str("p+").number(number),
            VRef::ImportPromise(number) => self.str("p-").number(number),
            VRef::Kinded { .. } => self.str(&vref.to_string()),
        }
    }

    pub(crate) fn done(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_read_like_their_displays() {
        for number in [0, 1, 9, 10, 12_345, u64::MAX] {
            assert_eq!(Text::new("").number(number).done(), number.to_string());
            assert_eq!(Text::new("").padded(number, 16).done(), format!("{number:016}"));
            let vat = VatId(number);
            assert_eq!(Text::new("").vat(vat).done(), vat.to_string());
            assert_eq!(Text::new("").party(Party::Vat(vat)).done(), Party::Vat(vat).to_string());
            for kref in [KRef::Object(number), KRef::Promise(number)] {
                assert_eq!(Text::new("x").kref(kref).done(), format!("x{kref}"));
            }
            let kinded = VRef::Kinded { durable: true, kind: 7, instance: number, facet: Some(1) };
            for vref in [
                VRef::Export(number),
                VRef::Import(number),
                VRef::ExportPromise(number),
                VRef::ImportPromise(number),
                kinded,
            ] {
                assert_eq!(Text::new("").vref(vref).done(), vref.to_string());
            }
        }
        assert_eq!(Text::new("").party(Party::Kernel).done(), Party::Kernel.to_string());
    }
}
