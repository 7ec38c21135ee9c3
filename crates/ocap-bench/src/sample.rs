//! Medians and how figures are printed.

use std::time::Duration;

/// The middle of some figures, or the mean of the two middle ones; NaN of none.
pub(crate) fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    match (sorted.len(), sorted.get(sorted.len() / 2)) {
        (length, Some(&upper)) if length % 2 == 0 => {
            sorted.get(length / 2 - 1).map_or(upper, |lower| f64::midpoint(*lower, upper))
        }
        (_, middle) => middle.copied().unwrap_or(f64::NAN),
    }
}

/// The figure that `part` of them are not above (0.99 for the 99th percentile); NaN of none.
pub(crate) fn percentile(figures: &[f64], part: f64) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[allow(clippy::cast_precision_loss, clippy::cast_sign_loss, reason = "a few thousand at most")]
    let rank = (sorted.len() as f64 * part).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

/// Seconds as a person reads them.
pub(crate) fn seconds(seconds: f64) -> String {
    if seconds >= 1.0 {
        format!("{seconds:.2} s")
    } else if seconds >= 0.01 {
        format!("{:.0} ms", seconds * 1e3)
    } else if seconds >= 0.001 {
        format!("{:.1} ms", seconds * 1e3)
    } else {
        format!("{:.0} µs", seconds * 1e6)
    }
}

/// A rate as a person reads it.
pub(crate) fn per_second(rate: f64) -> String {
    let whole = format!("{rate:.0}");
    let digits = whole.len();
    let mut text = String::new();
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (digits - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text.push_str(" per s");
    text
}

/// Things per second.
pub(crate) fn rate(things: u32, time: Duration) -> f64 {
    f64::from(things) / time.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::{median, per_second, percentile, seconds};

    #[test]
    fn medians_and_percentiles() {
        assert_eq!(median(&[3.0, 1.0, 2.0]).to_bits(), 2.0_f64.to_bits());
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]).to_bits(), 2.5_f64.to_bits());
        assert!(median(&[]).is_nan());
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(percentile(&hundred, 0.99).to_bits(), 99.0_f64.to_bits());
        assert_eq!(percentile(&[7.0], 0.99).to_bits(), 7.0_f64.to_bits());
        assert!(percentile(&[], 0.5).is_nan());
    }

    #[test]
    fn figures_are_readable() {
        assert_eq!(per_second(1_234_567.4), "1,234,567 per s");
        assert_eq!(per_second(99.6), "100 per s");
        assert_eq!(seconds(1.234), "1.23 s");
        assert_eq!(seconds(0.0234), "23 ms");
        assert_eq!(seconds(0.002_34), "2.3 ms");
        assert_eq!(seconds(0.000_12), "120 µs");
    }
}
