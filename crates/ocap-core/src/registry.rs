//! Services that are objects of vats: names under which clusters get them.
//!
//! A registration holds its object, over restarts too, and ends with it: with its vat, or, if the
//! object is not durable, with the vat's incarnation.

use ocap_types::KRef;

use crate::api::CoreError;
use crate::core::Core;
use crate::keys;
use crate::limits;
use crate::rows::{Object, Party, Registration, Row, corrupt};
use crate::timer;

impl Core {
    /// From now on clusters that ask for this service get this object; only system subclusters, if
    /// it is `system_only`.
    ///
    /// # Errors
    /// [`CoreError::Invalid`] if the name is taken or cannot be one, or the reference is no object
    /// that exists; [`CoreError::Limit`] if there are too many.
    pub fn register_object(
        &mut self,
        name: &str,
        kref: KRef,
        system_only: bool,
    ) -> Result<(), CoreError> {
        self.turn(|core| {
            let invalid = |text: String| Err(CoreError::Invalid(text));
            if name.is_empty() || name.len() > limits::NAME_BYTES_MAX || name.starts_with("io:") {
                return invalid(format!("{name:?} cannot be the name of a kernel service"));
            }
            let key = keys::object_service(name);
            if name == timer::NAME
                || core.space.contains(&keys::service(name))?
                || core.space.contains(&key)?
            {
                return invalid(format!("kernel service '{name}' is already registered"));
            }
            if !core.lives(kref)? {
                return invalid(format!("{kref} is no object that can be a service"));
            }
            if core.space.scan(keys::OBJECT_SERVICES)?.len() >= limits::OBJECT_SERVICES_MAX {
                let text = "too many objects are registered as services; unregister some";
                return Err(CoreError::Limit(text.to_owned()));
            }
            core.hold(kref)?;
            core.space.put_new(key, Registration { kref, system_only }.write());
            Ok(())
        })
    }

    /// Ends a registration; clusters that have the object keep it. `false` if there is none.
    pub fn unregister_object(&mut self, name: &str) -> Result<bool, CoreError> {
        self.turn(|core| {
            let key = keys::object_service(name);
            let Some(row) = core.space.row::<Registration>(&key)? else { return Ok(false) };
            core.space.delete(key)?;
            core.release(row.kref).map(|()| true)
        })
    }

    /// Whether a cluster that asks for a service gets one.
    pub(crate) fn has_service(&self, name: &str, system: bool) -> Result<bool, CoreError> {
        Ok(name == timer::NAME || self.known_service(name, system)?.is_some())
    }

    /// What a cluster gets that asks for a service, if it may.
    pub(crate) fn service_for(
        &mut self,
        name: &str,
        system: bool,
    ) -> Result<Option<KRef>, CoreError> {
        if name == timer::NAME {
            return self.timer_service();
        }
        self.known_service(name, system)
    }

    fn known_service(&self, name: &str, system: bool) -> Result<Option<KRef>, CoreError> {
        if let Some(system_only) = self.services.get(name) {
            return if system || !system_only {
                self.space.row(&keys::service(name))
            } else {
                Ok(None)
            };
        }
        let row: Option<Registration> = self.space.row(&keys::object_service(name))?;
        Ok(row.filter(|row| system || !row.system_only).map(|row| row.kref))
    }

    /// Ends the registrations of objects that are gone.
    pub(crate) fn end_registrations(&mut self) -> Result<(), CoreError> {
        for (key, text) in self.space.scan(keys::OBJECT_SERVICES)? {
            let row = Registration::read(&text).ok_or_else(|| corrupt(&key, "no registration"))?;
            if !self.lives(row.kref)? {
                self.space.delete(key)?;
                self.release(row.kref)?;
            }
        }
        Ok(())
    }

    /// Whether a reference is an object whose owner still has it.
    pub(crate) fn lives(&self, kref: KRef) -> Result<bool, CoreError> {
        let KRef::Object(number) = kref else { return Ok(false) };
        match self.object(number)? {
            Some(Object { owner: Some(Party::Vat(vat)), .. }) => match self.entry(vat, kref)? {
                Some(entry) => Ok(entry.reachable && !self.is_stale(vat, kref, entry.vref)?),
                None => Ok(false),
            },
            Some(Object { owner: Some(Party::Kernel), .. }) => Ok(true),
            _ => Ok(false),
        }
    }
}
