//! The services a bridge knows, in the order it was told of them.

use std::collections::{BTreeMap, HashMap};

use crate::limits;
use crate::protocol::Service;

/// See the module.
#[derive(Debug, Default)]
pub struct Catalog {
    /// Whose services these are, if a matcher has said.
    registry: Option<String>,
    services: BTreeMap<u64, Service>,
    places: HashMap<String, u64>,
    next: u64,
    bytes: usize,
}

impl Catalog {
    /// Nothing yet.
    pub fn new() -> Catalog {
        Catalog::default()
    }

    /// The registry whose services these are.
    pub fn registry(&self) -> Option<&str> {
        self.registry.as_deref()
    }

    /// Forgets everything, and is another registry's from now on.
    pub fn clear(&mut self, registry: Option<String>) {
        *self = Catalog { registry, ..Catalog::default() };
    }

    /// Every id, oldest first.
    pub fn ids(&self) -> Vec<String> {
        self.services.values().map(|service| service.id.clone()).collect()
    }

    /// Every service, oldest first.
    pub fn services(&self) -> impl Iterator<Item = &Service> {
        self.services.values()
    }

    /// Takes in a service; one of that id is replaced.
    ///
    /// # Errors
    /// If there is no room.
    pub fn insert(&mut self, service: Service) -> Result<(), String> {
        self.remove(&service.id);
        let bytes = size(&service);
        if self.services.len() >= limits::SERVICES_MAX
            || self.bytes + bytes > limits::CATALOG_BYTES_MAX
        {
            return Err(format!("the bridge is full: it knows {} services", self.services.len()));
        }
        self.bytes += bytes;
        self.places.insert(service.id.clone(), self.next);
        self.services.insert(self.next, service);
        self.next += 1;
        Ok(())
    }

    /// Forgets a service, if it is known.
    pub fn remove(&mut self, id: &str) {
        let place = self.places.remove(id);
        if let Some(service) = place.and_then(|place| self.services.remove(&place)) {
            self.bytes -= size(&service);
        }
    }
}

fn size(service: &Service) -> usize {
    let method = |method: &crate::Method| {
        method.name.len() + method.description.as_ref().map_or(0, String::len)
    };
    service.id.len() + service.description.len() + service.methods.iter().map(method).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(id: &str, description: &str) -> Service {
        Service { id: id.into(), description: description.into(), methods: Vec::new() }
    }

    #[test]
    fn keeps_the_order_and_one_service_to_an_id() {
        let mut catalog = Catalog::new();
        for (id, description) in [("b", "1"), ("a", "2"), ("b", "3"), ("c", "4")] {
            catalog.insert(service(id, description)).unwrap();
        }
        assert_eq!(catalog.ids(), ["a", "b", "c"]);
        catalog.remove("a");
        catalog.remove("nobody");
        let left: Vec<_> = catalog.services().map(|service| &*service.description).collect();
        assert_eq!(left, ["3", "4"]);
        assert_eq!(catalog.bytes, 4);
        catalog.clear(Some("r".into()));
        assert_eq!((catalog.registry(), catalog.ids().len(), catalog.bytes), (Some("r"), 0, 0));
    }

    #[test]
    fn is_bounded_in_bytes() {
        let mut catalog = Catalog::new();
        let long = "x".repeat(limits::CATALOG_BYTES_MAX / 2);
        catalog.insert(service("a", &long)).unwrap();
        assert!(catalog.insert(service("b", &long)).unwrap_err().contains("full"));
        // What is replaced makes room.
        catalog.insert(service("a", &long)).unwrap();
    }
}
