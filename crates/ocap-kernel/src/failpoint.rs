//! Places where a test makes the kernel die, as if by `kill -9`.
//!
//! `OCAP_FAILPOINT=before-commit:N`, `after-commit:N` or `after-release:N` ends the process at the
//! N-th such point (counting from 1). Only in builds with debug assertions or the `failpoints`
//! feature; elsewhere the variable means nothing.

/// The three moments around a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Point {
    /// Nothing of the batch is on disk.
    BeforeCommit,
    /// The batch is durable, nothing of it has left.
    AfterCommit,
    /// Its effects have been handed on.
    AfterRelease,
}

/// The one failpoint of this process, if any.
#[derive(Debug)]
pub(crate) struct Failpoint {
    armed: Option<(Point, u64)>,
    hits: u64,
}

impl Failpoint {
    /// Reads the environment.
    pub(crate) fn from_env() -> Self {
        let armed = if cfg!(any(debug_assertions, feature = "failpoints")) {
            std::env::var("OCAP_FAILPOINT").ok().as_deref().and_then(parse)
        } else {
            None
        };
        Failpoint { armed, hits: 0 }
    }

    /// Passes a point; does not return if it is the one.
    pub(crate) fn pass(&mut self, point: Point) {
        let Some((wanted, count)) = self.armed else { return };
        if wanted == point {
            self.hits += 1;
            if self.hits == count {
                let me = rustix::process::getpid();
                let _ = rustix::process::kill_process(me, rustix::process::Signal::KILL);
            }
        }
    }
}

fn parse(text: &str) -> Option<(Point, u64)> {
    let (name, count) = text.split_once(':')?;
    let point = match name {
        "before-commit" => Point::BeforeCommit,
        "after-commit" => Point::AfterCommit,
        "after-release" => Point::AfterRelease,
        _ => return None,
    };
    Some((point, count.parse().ok().filter(|n| *n > 0)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_well_formed_settings_arm_it() {
        assert_eq!(parse("after-commit:3"), Some((Point::AfterCommit, 3)));
        assert_eq!(parse("after-commit:0"), None);
        assert_eq!(parse("elsewhere:1"), None);
        assert_eq!(parse("before-commit"), None);
    }
}
