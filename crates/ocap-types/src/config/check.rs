//! From JSON to a config, refusing every key and value that is not known.

use indexmap::IndexMap;
use serde_json::{Map, Value};

use super::names::{GLOBAL_NAMES, check_name, nearest};
use super::problem::{ConfigError, join};
use super::{
    ClusterConfig, IoClients, IoConfig, IoDirection, IoKind, IoMode, IoUnit, VatConfig, VatLimits,
    WhenDisconnected,
};
use crate::limits::{
    ALLOWED_HOSTS_MAX, CHANNEL_ADDRESS_BYTES_MAX, CLUSTER_CHANNELS_MAX, CLUSTER_SERVICES_MAX,
    CLUSTER_VATS_MAX, CRANK_BYTES_MAX, CRANK_CPU_MS_MAX, CRANK_SYSCALLS_MAX, CRANK_TICKS_MAX,
    HEAP_BYTES_MAX, HEAP_BYTES_MIN, HOST_BYTES_MAX, SERVICE_NAME_BYTES_MAX, STACK_BYTES_MAX,
    STACK_BYTES_MIN, STORE_BYTES_MAX, STORE_BYTES_MIN, VAT_GLOBALS_MAX,
};
use crate::quote::quoted;

type Checked<T> = Result<T, ConfigError>;

pub(super) fn cluster(value: &Value, root: &str) -> Checked<ClusterConfig> {
    const KEYS: &[&str] = &["name", "bootstrap", "forceReset", "services", "io", "vats", "bundles"];
    let config = Object::closed(Some(value), root, KEYS)?;
    let name = config.optional("name", |value, path| {
        let name = string(Some(value), path)?;
        check_name(name).map_err(|e| ConfigError::at(path, e.to_string()))?;
        Ok(name.to_owned())
    })?;
    let cluster = ClusterConfig {
        name,
        bootstrap: string(config.get("bootstrap"), &config.path("bootstrap"))?.to_owned(),
        force_reset: config.optional("forceReset", boolean)?,
        services: config.optional("services", |value, path| {
            strings(value, path, CLUSTER_SERVICES_MAX, SERVICE_NAME_BYTES_MAX)
        })?,
        io: config.optional("io", |value, path| {
            record(Some(value), path, "channels", CLUSTER_CHANNELS_MAX, io)
        })?,
        vats: record(config.get("vats"), &config.path("vats"), "vats", CLUSTER_VATS_MAX, vat)?,
        bundles: config.optional("bundles", |value, path| {
            record(Some(value), path, "bundles", CLUSTER_VATS_MAX, vat)
        })?,
    };
    check_bundle_names(&cluster, &config)?;
    if !cluster.vats.contains_key(&cluster.bootstrap) {
        return Err(ConfigError::Bootstrap(cluster.bootstrap));
    }
    Ok(cluster)
}

/// A bundle is named by a vat, and not by another bundle.
fn check_bundle_names(cluster: &ClusterConfig, config: &Object<'_>) -> Checked<()> {
    let at = |kind: &str, name: &str, problem: String| {
        let path = join(&join(&config.path(kind), name), "bundleName");
        Err(ConfigError::at(&path, problem))
    };
    for (name, bundle) in cluster.bundles.iter().flatten() {
        if bundle.bundle_name.is_some() {
            let problem = "a bundle is given by bundleSpec or sourceSpec, not by another bundle";
            return at("bundles", name, problem.to_owned());
        }
    }
    for (name, vat) in &cluster.vats {
        if let Some(bundle) = &vat.bundle_name
            && !cluster.bundles.as_ref().is_some_and(|bundles| bundles.contains_key(bundle))
        {
            return at("vats", name, format!("bundles has no {}", quoted(bundle)));
        }
    }
    Ok(())
}

pub(super) fn vat(value: &Value, path: &str) -> Checked<VatConfig> {
    const SPECS: [&str; 3] = ["sourceSpec", "bundleSpec", "bundleName"];
    const KEYS: &[&str] = &[
        "sourceSpec",
        "bundleSpec",
        "bundleName",
        "creationOptions",
        "parameters",
        "platformConfig",
        "globals",
        "network",
    ];
    let config = Object::closed(Some(value), path, KEYS)?;
    let given: Vec<&str> = SPECS.into_iter().filter(|key| config.get(key).is_some()).collect();
    if given.len() != 1 {
        let received = if given.is_empty() { "none".to_owned() } else { given.join(" and ") };
        let what = "Expected exactly one of sourceSpec, bundleSpec and bundleName";
        return Err(ConfigError::at(path, format!("{what}, but received: {received}")));
    }
    let spec = |key| {
        config.optional(key, |value, path| match value {
            Value::String(text) if !text.is_empty() => Ok(text.clone()),
            _ => Err(ConfigError::expected(path, "a non-empty string", Some(value))),
        })
    };
    Ok(VatConfig {
        source_spec: spec("sourceSpec")?,
        bundle_spec: spec("bundleSpec")?,
        bundle_name: spec("bundleName")?,
        creation_options: config.truthy("creationOptions", |value, path| {
            let options = Object::of(Some(value), path)?.entries;
            creation_options(Some(options), path)?;
            Ok(options.clone())
        })?,
        parameters: config.get("parameters").cloned(),
        platform_config: config.truthy("platformConfig", |value, path| {
            platform(value, path)?;
            Ok(value.clone())
        })?,
        globals: config.truthy("globals", globals)?,
        network: config.truthy("network", |value, path| {
            let network = Object::closed(Some(value), path, &["allowedHosts"])?;
            let hosts = network.path("allowedHosts");
            match network.get("allowedHosts") {
                Some(list) => strings(list, &hosts, ALLOWED_HOSTS_MAX, HOST_BYTES_MAX)?,
                None => return Err(ConfigError::expected(&hosts, "an array value", None)),
            };
            Ok(value.clone())
        })?,
    })
}

pub(super) fn creation_options(
    options: Option<&Map<String, Value>>,
    path: &str,
) -> Checked<VatLimits> {
    let Some(entries) = options else { return Ok(VatLimits::default()) };
    let options = Object { entries, path };
    options.refuse_unknown(&["limits"])?;
    let limits = options.optional("limits", |value, path| {
        const KEYS: &[&str] = &[
            "crankTicks",
            "crankCpuMs",
            "heapBytes",
            "stackBytes",
            "crankSyscalls",
            "crankBytes",
            "storeBytes",
        ];
        let limits = Object::closed(Some(value), path, KEYS)?;
        let number =
            |key, min, max| limits.optional(key, |value, path| integer(value, path, min, max));
        Ok(VatLimits {
            crank_ticks: number("crankTicks", 1, CRANK_TICKS_MAX)?,
            crank_cpu_ms: number("crankCpuMs", 1, CRANK_CPU_MS_MAX)?,
            heap_bytes: number("heapBytes", HEAP_BYTES_MIN, HEAP_BYTES_MAX)?,
            stack_bytes: number("stackBytes", STACK_BYTES_MIN, STACK_BYTES_MAX)?,
            crank_syscalls: number("crankSyscalls", 1, CRANK_SYSCALLS_MAX)?,
            crank_bytes: number("crankBytes", 1, CRANK_BYTES_MAX)?,
            store_bytes: number("storeBytes", STORE_BYTES_MIN, STORE_BYTES_MAX)?,
        })
    })?;
    Ok(limits.unwrap_or_default())
}

fn platform(value: &Value, path: &str) -> Checked<()> {
    let platform = Object::closed(Some(value), path, &["fs"])?;
    platform.optional("fs", |value, path| {
        let fs = Object::closed(Some(value), path, &["rootDir", "existsSync", "promises"])?;
        string(fs.get("rootDir"), &fs.path("rootDir"))?;
        fs.optional("existsSync", boolean)?;
        fs.optional("promises", |value, path| {
            let promises = Object::closed(Some(value), path, &["readFile", "access"])?;
            promises.optional("readFile", boolean)?;
            promises.optional("access", boolean)
        })
    })?;
    Ok(())
}

fn globals(value: &Value, path: &str) -> Checked<Vec<String>> {
    let names = strings(value, path, VAT_GLOBALS_MAX, SERVICE_NAME_BYTES_MAX)?;
    for (i, name) in names.iter().enumerate() {
        if !GLOBAL_NAMES.contains(&name.as_str()) {
            let path = join(path, &i.to_string());
            let problem = format!("unknown global {}{}", quoted(name), hint(name, &GLOBAL_NAMES));
            return Err(ConfigError::at(&path, problem));
        }
    }
    Ok(names)
}

pub(super) fn io(value: &Value, path: &str) -> Checked<IoConfig> {
    const TYPES: &[(&str, &str)] = &[
        ("console", ""),
        ("listen", "hostport"),
        ("network", "hostport"),
        ("file", "path"),
        ("socket", "path"),
    ];
    let config = Object::of(Some(value), path)?;
    let (kind, address) = one_of(config.get("type"), &config.path("type"), TYPES)?;
    // Which keys there may be depends on the type.
    let mut keys = vec!["type", "direction", "unit"];
    keys.extend([address].into_iter().filter(|key| !key.is_empty()));
    keys.extend((kind == "socket").then_some("mode"));
    keys.extend(matches!(kind, "socket" | "listen" | "network").then_some("whenDisconnected"));
    keys.extend(matches!(kind, "socket" | "listen").then_some("clients"));
    config.refuse_unknown(&keys)?;
    let address = match address {
        "" => String::new(),
        key => self::address(config.get(key), &config.path(key))?,
    };
    let kind = match kind {
        "console" => IoKind::Console,
        "listen" => IoKind::Listen { hostport: address },
        "network" => IoKind::Network { hostport: address },
        "file" => IoKind::File { path: address },
        _ => IoKind::Socket { path: address },
    };
    let directions =
        &[("in", IoDirection::In), ("out", IoDirection::Out), ("inout", IoDirection::Inout)];
    let units = &[
        ("line", IoUnit::Line),
        ("string", IoUnit::String),
        ("chars", IoUnit::Chars),
        ("bytes", IoUnit::Bytes),
    ];
    let direction =
        config.optional("direction", |value, path| Ok(one_of(Some(value), path, directions)?.1))?;
    let unit = config.optional("unit", |value, path| Ok(one_of(Some(value), path, units)?.1))?;
    let modes = &[("listen", IoMode::Listen), ("connect", IoMode::Connect)];
    let mode = config.optional("mode", |value, path| Ok(one_of(Some(value), path, modes)?.1))?;
    let policies = &[
        ("reject", WhenDisconnected::Reject),
        ("wait", WhenDisconnected::Wait),
        ("drop", WhenDisconnected::Drop),
    ];
    let when_disconnected = config
        .optional("whenDisconnected", |value, path| Ok(one_of(Some(value), path, policies)?.1))?;
    let numbers = &[("one", IoClients::One), ("many", IoClients::Many)];
    let clients =
        config.optional("clients", |value, path| Ok(one_of(Some(value), path, numbers)?.1))?;
    if clients == Some(IoClients::Many) {
        let refuse =
            |key: &str, problem: &str| Err(ConfigError::at(&config.path(key), problem.to_owned()));
        if mode == Some(IoMode::Connect) {
            return refuse("clients", "must be left out where the kernel connects");
        }
        if when_disconnected.is_some() {
            let problem = "must be left out with many clients: a connection that has ended does \
                           not come back";
            return refuse("whenDisconnected", problem);
        }
    }
    if matches!(kind, IoKind::File { .. })
        && !matches!(direction, Some(IoDirection::In | IoDirection::Out))
    {
        let problem = "must be \"in\" (the vat reads the file) or \"out\" (it appends to it)";
        return Err(ConfigError::at(&config.path("direction"), problem.to_owned()));
    }
    if let IoKind::Listen { hostport } | IoKind::Network { hostport } = &kind {
        host_and_port(hostport)
            .map_err(|problem| ConfigError::at(&config.path("hostport"), problem))?;
    }
    Ok(IoConfig { kind, direction, unit, mode, when_disconnected, clients })
}

/// A host and a port, as `127.0.0.1:9000`, `[::1]:9000` or `localhost:9000`.
fn host_and_port(text: &str) -> Result<(), String> {
    let problem = || format!("{text:?} is no host and port such as 127.0.0.1:9000");
    let (host, port) = text.rsplit_once(':').ok_or_else(problem)?;
    let bracketed = host.starts_with('[') && host.ends_with(']');
    if host.is_empty() || (host.contains(':') && !bracketed) {
        return Err(problem());
    }
    match port.parse::<u16>() {
        Ok(0) => Err(format!("{text:?}: port 0 would be another one at each start")),
        Ok(_) => Ok(()),
        Err(_) => Err(problem()),
    }
}

fn address(value: Option<&Value>, path: &str) -> Checked<String> {
    let text = string(value, path)?;
    let problem = match text {
        "" => "must not be empty".to_owned(),
        _ if text.contains('\0') => "must not contain NUL".to_owned(),
        _ if text.len() > CHANNEL_ADDRESS_BYTES_MAX => {
            format!("has more than {CHANNEL_ADDRESS_BYTES_MAX} bytes")
        }
        _ => return Ok(text.to_owned()),
    };
    Err(ConfigError::at(path, problem))
}

/// An object and where it lies.
struct Object<'a> {
    entries: &'a Map<String, Value>,
    path: &'a str,
}

impl<'a> Object<'a> {
    fn of(value: Option<&'a Value>, path: &'a str) -> Checked<Self> {
        match value {
            Some(Value::Object(entries)) => Ok(Object { entries, path }),
            _ => Err(ConfigError::expected(path, "an object", value)),
        }
    }

    fn closed(value: Option<&'a Value>, path: &'a str, keys: &[&str]) -> Checked<Self> {
        let object = Object::of(value, path)?;
        object.refuse_unknown(keys)?;
        Ok(object)
    }

    fn refuse_unknown(&self, keys: &[&str]) -> Checked<()> {
        match self.entries.keys().find(|key| !keys.contains(&key.as_str())) {
            None => Ok(()),
            Some(key) => {
                let problem = format!("unknown key{}", hint(key, keys));
                Err(ConfigError::at(&self.path(key), problem))
            }
        }
    }

    fn get(&self, key: &str) -> Option<&'a Value> {
        self.entries.get(key)
    }

    fn path(&self, key: &str) -> String {
        join(self.path, key)
    }

    /// What `check` makes of a value, if the key is there.
    fn optional<T>(
        &self,
        key: &str,
        check: impl FnOnce(&'a Value, &str) -> Checked<T>,
    ) -> Checked<Option<T>> {
        self.get(key).map(|value| check(value, &self.path(key))).transpose()
    }

    /// The same for keys where null, false, zero and the empty string mean that it is not there.
    fn truthy<T>(
        &self,
        key: &str,
        check: impl FnOnce(&'a Value, &str) -> Checked<T>,
    ) -> Checked<Option<T>> {
        let falsy = match self.get(key) {
            Some(Value::Null | Value::Bool(false)) => true,
            Some(Value::Number(n)) => n.as_f64() == Some(0.0),
            Some(Value::String(text)) => text.is_empty(),
            _ => false,
        };
        if falsy { Ok(None) } else { self.optional(key, check) }
    }
}

fn hint(key: &str, known: &[&str]) -> String {
    match nearest(key, known) {
        Some(meant) => format!("; did you mean {meant}?"),
        None => format!("; known are {}", known.join(", ")),
    }
}

/// An object whose keys are names.
fn record<T>(
    value: Option<&Value>,
    path: &str,
    what: &str,
    count_max: usize,
    check: impl Fn(&Value, &str) -> Checked<T>,
) -> Checked<IndexMap<String, T>> {
    let object = Object::of(value, path)?;
    if object.entries.len() > count_max {
        return Err(ConfigError::at(path, format!("has more than {count_max} {what}")));
    }
    let entries = object.entries.iter().map(|(name, value)| {
        let path = object.path(name);
        check_name(name).map_err(|e| ConfigError::at(&path, e.to_string()))?;
        Ok((name.clone(), check(value, &path)?))
    });
    entries.collect()
}

fn string<'a>(value: Option<&'a Value>, path: &str) -> Checked<&'a str> {
    value.and_then(Value::as_str).ok_or_else(|| ConfigError::expected(path, "a string", value))
}

fn strings(value: &Value, path: &str, count_max: usize, bytes_max: usize) -> Checked<Vec<String>> {
    let Value::Array(items) = value else {
        return Err(ConfigError::expected(path, "an array value", Some(value)));
    };
    if items.len() > count_max {
        return Err(ConfigError::at(path, format!("has more than {count_max} items")));
    }
    let items = items.iter().enumerate().map(|(i, item)| {
        let path = join(path, &i.to_string());
        let text = string(Some(item), &path)?;
        if text.len() > bytes_max {
            return Err(ConfigError::at(&path, format!("has more than {bytes_max} bytes")));
        }
        Ok(text.to_owned())
    });
    items.collect()
}

fn boolean(value: &Value, path: &str) -> Checked<bool> {
    value.as_bool().ok_or_else(|| ConfigError::expected(path, "a boolean", Some(value)))
}

fn integer(value: &Value, path: &str, min: u64, max: u64) -> Checked<u64> {
    // JSON does not tell 1e6 from 1000000; the reader does. Within the limits both are exact.
    #[allow(clippy::cast_sign_loss, reason = "the cast saturates, and zero is below every minimum")]
    let whole = || value.as_f64().filter(|n| n.fract() == 0.0).map(|n| n as u64);
    let number = value.as_u64().or_else(whole);
    number.filter(|n| (min..=max).contains(n)).ok_or_else(|| {
        ConfigError::expected(path, &format!("a whole number from {min} to {max}"), Some(value))
    })
}

/// The member of a list that a string names.
fn one_of<T: Copy>(
    value: Option<&Value>,
    path: &str,
    members: &[(&'static str, T)],
) -> Checked<(&'static str, T)> {
    let named = value.and_then(Value::as_str);
    members.iter().find(|(name, _)| Some(*name) == named).copied().ok_or_else(|| {
        let names: Vec<&str> = members.iter().map(|(name, _)| *name).collect();
        ConfigError::expected(path, &format!("one of {}", names.join(", ")), value)
    })
}
