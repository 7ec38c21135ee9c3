//! A value of the key space. A row that was written as a value of its type stays one until a batch
//! is sealed; most rows of a message are gone again by then, and never become text.

use std::borrow::Cow;
use std::sync::Arc;

use ocap_types::{KCapData, KRef};

use crate::rows::{ClistEntry, Imports, Item, Object, Promise, Row, Vat, Waiters, Work};

/// See the module. Cheap to clone but for texts.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// As the store has it.
    Text(String),
    Number(u64),
    Reference(KRef),
    Object(Object),
    Promise(Promise),
    Work(Work),
    Entry(ClistEntry),
    Imports(Imports),
    Waiters(Waiters),
    Item(Arc<Item>),
    Data(Arc<KCapData>),
    Vat(Arc<Vat>),
}

impl Value {
    pub(crate) fn text(&self) -> Cow<'_, str> {
        Cow::Owned(match self {
            Value::Text(text) => return Cow::Borrowed(text),
            Value::Number(number) => number.write(),
            Value::Reference(kref) => kref.write(),
            Value::Object(row) => row.write(),
            Value::Promise(row) => row.write(),
            Value::Work(row) => row.write(),
            Value::Entry(row) => row.write(),
            Value::Imports(row) => row.write(),
            Value::Waiters(row) => row.write(),
            Value::Item(row) => row.write(),
            Value::Data(row) => row.write(),
            Value::Vat(row) => row.write(),
        })
    }
}

impl Value {
    /// Whether both are the same, as far as that costs little to find out.
    pub(crate) fn is(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Number(a), Value::Number(b)) => a == b,
            (Value::Object(a), Value::Object(b)) => a == b,
            (Value::Work(a), Value::Work(b)) => a == b,
            (Value::Entry(a), Value::Entry(b)) => a == b,
            (Value::Imports(a), Value::Imports(b)) => a == b,
            (Value::Promise(a), Value::Promise(b)) => a == b,
            _ => false,
        }
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(text)
    }
}

impl From<Item> for Value {
    fn from(item: Item) -> Value {
        Value::Item(Arc::new(item))
    }
}

impl From<KCapData> for Value {
    fn from(data: KCapData) -> Value {
        Value::Data(Arc::new(data))
    }
}
