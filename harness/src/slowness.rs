//! How slow this machine is right now: the limits of time in pages follow it.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// How much work a probe is: some five milliseconds of one core.
const WORK: u64 = 4_000_000;
/// How many probes at the beginning say how long it takes undisturbed.
const FIRST_PROBES: usize = 5;
/// How often it is measured.
const INTERVAL: Duration = Duration::from_millis(500);
/// Over how many of the last probes the mean is taken.
const PROBES: usize = 8;
/// By how much a browser that runs the suite slows down this probe itself, on a machine with nothing else to do: so far
/// nothing counts as slow.
const ORDINARY: f64 = 2.0;
/// The most that a limit is stretched.
const MOST: f64 = 8.0;

/// Measures until it is dropped: a fixed piece of work takes so many times as long as when nothing disturbed it.
#[derive(Debug)]
pub(crate) struct Slowness {
    factor: Arc<AtomicU64>,
    /// Dropping it ends the measuring.
    _end: Sender<()>,
}

impl Slowness {
    /// Begins to measure.
    pub(crate) fn measure() -> Self {
        let factor = Arc::new(AtomicU64::new(1.0_f64.to_bits()));
        let (end, ended) = channel();
        let told = Arc::clone(&factor);
        // It ends with the channel. Without a thread nothing is measured, and limits stay as they are.
        let _ = std::thread::Builder::new().name("slowness".to_owned()).spawn(move || keep_measuring(&told, &ended));
        Self { factor, _end: end }
    }

    /// By what limits of time have to be multiplied: 1 on a machine that does nothing but run the suite.
    pub(crate) fn factor(&self) -> f64 {
        f64::from_bits(self.factor.load(Ordering::Relaxed))
    }
}

fn keep_measuring(factor: &AtomicU64, ended: &Receiver<()>) {
    let mut undisturbed = (0..FIRST_PROBES).map(|_| probe()).min().unwrap_or_default();
    let mut last: Vec<Duration> = Vec::new();
    while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(INTERVAL) {
        let took = probe();
        undisturbed = undisturbed.min(took);
        if last.len() == PROBES {
            last.remove(0);
        }
        last.push(took);
        factor.store(stretched(&last, undisturbed).to_bits(), Ordering::Relaxed);
    }
}

/// The factor by which the mean of the last probes is longer than is ordinary.
fn stretched(last: &[Duration], undisturbed: Duration) -> f64 {
    let count = u32::try_from(last.len()).unwrap_or(u32::MAX).max(1);
    let mean = last.iter().sum::<Duration>() / count;
    let ratio = mean.as_secs_f64() / undisturbed.as_secs_f64().max(f64::MIN_POSITIVE);
    let factor = (ratio / ORDINARY).clamp(1.0, MOST);
    (factor * 10.0).round() / 10.0
}

fn probe() -> Duration {
    let clock = Instant::now();
    let mut state = 0xcbf2_9ce4_8422_2325_u64;
    for byte in 0..WORK {
        state = (state ^ black_box(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    black_box(state);
    clock.elapsed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_follow_what_a_piece_of_work_takes() {
        let ms = Duration::from_millis;
        for (last, factor) in [
            (vec![], 1.0),
            (vec![ms(5), ms(5)], 1.0),
            (vec![ms(5), ms(14)], 1.0),
            (vec![ms(20), ms(20)], 2.0),
            (vec![ms(20), ms(40), ms(30)], 3.0),
            (vec![ms(5000)], 8.0),
        ] {
            assert!((stretched(&last, ms(5)) - factor).abs() < 1e-9, "{last:?}");
        }
    }

    #[test]
    fn measuring_begins_at_one() {
        assert!((Slowness::measure().factor() - 1.0).abs() < 1e-9);
    }
}
