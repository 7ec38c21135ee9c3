//! Every limit of this crate, with its unit and its reason.

/// Characters in the bodies of one message, or of one group of resolutions. What liveslots allows.
pub const BODY_CHARS_MAX: usize = 10_000_000;

/// References in the slots of one message, or of one group of resolutions. What liveslots allows.
pub const SLOTS_MAX: usize = 10_000;

/// Values inside one value that is decoded here. A decoded value takes up to forty times the memory
/// of its text, so the text's own limit is not enough.
pub const DECODED_VALUES_MAX: usize = 1_000_000;

/// Levels of nesting in a value that is decoded here. The JSON reader recurses once per level, and
/// 127 is where it stops by itself.
pub const DECODED_DEPTH_MAX: usize = 127;

/// Digits of a bigint that is decoded here. Enough for a 4096-bit number several times over; keeps
/// whoever computes with it from quadratic work.
pub const BIGINT_DIGITS_MAX: usize = 10_000;

/// Bytes of a vat's, channel's, bundle's or cluster's name. They appear in every log line and key.
pub const NAME_BYTES_MAX: usize = 64;

/// Bytes of a service's name, which may be `io:<subcluster>:<channel>`.
pub const SERVICE_NAME_BYTES_MAX: usize = 256;

/// Vats, or bundles, in one cluster. All of one cluster's vats start in one turn.
pub const CLUSTER_VATS_MAX: usize = 1_000;

/// Channels in one cluster. Each holds a descriptor of the kernel's.
pub const CLUSTER_CHANNELS_MAX: usize = 256;

/// Services one cluster asks for.
pub const CLUSTER_SERVICES_MAX: usize = 1_000;

/// Entries of `globals`; more than there are names.
pub const VAT_GLOBALS_MAX: usize = 64;

/// Hosts in `network.allowedHosts`. The list is searched for each `fetch`.
pub const ALLOWED_HOSTS_MAX: usize = 1_000;

/// Bytes of one host name: the limit of DNS, rounded up.
pub const HOST_BYTES_MAX: usize = 256;

/// Bytes of a path or an address of a channel. Above every operating system's own limit.
pub const CHANNEL_ADDRESS_BYTES_MAX: usize = 4_096;

/// Engine interrupts a vat may ask for per crank: hours of work.
pub const CRANK_TICKS_MAX: u64 = 1_000_000_000_000;

/// CPU milliseconds a vat may ask for per crank: ten minutes. The wall-clock backstop is a multiple.
pub const CRANK_CPU_MS_MAX: u64 = 600_000;

/// Heap bytes a vat needs at least: a hardened realm and the supervisor.
pub const HEAP_BYTES_MIN: u64 = 4 << 20;

/// Heap bytes a vat may ask for: 4 GiB.
pub const HEAP_BYTES_MAX: u64 = 4 << 30;

/// Stack bytes a vat needs at least to run the supervisor.
pub const STACK_BYTES_MIN: u64 = 64 << 10;

/// Stack bytes a vat may ask for: half of what the smallest worker has.
pub const STACK_BYTES_MAX: u64 = 16 << 20;

/// Syscalls a vat may ask for per crank.
pub const CRANK_SYSCALLS_MAX: u64 = 1_000_000;

/// Bytes of syscalls and vatstore writes a vat may ask for per crank: 48 MiB, all of which the
/// kernel holds at once, and which fits into one frame of a worker.
pub const CRANK_BYTES_MAX: u64 = 48 << 20;

/// Bytes a vat's store needs at least: the supervisor's own records and a few of the vat's.
pub const STORE_BYTES_MIN: u64 = 64 << 10;

/// Bytes a vat's store may have unless its config says otherwise: 1 GiB, so that no vat fills the disk
/// unnoticed.
pub const STORE_BYTES_DEFAULT: u64 = 1 << 30;

/// Bytes a vat may ask for in its store: 1 TiB.
pub const STORE_BYTES_MAX: u64 = 1 << 40;

/// Characters of foreign text quoted in an error message.
pub const QUOTED_CHARS_MAX: usize = 64;

/// Bytes of an OCAP URL. The reference's have at most three hints, each shorter than 256 bytes.
pub const URL_BYTES_MAX: usize = 4_096;
