//! The schedule is what it says: means, distributions, seeds.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn schedule(gaps: Gaps, rate: f64, seconds: u32, threads: u32) -> Schedule {
    Schedule { gaps, rate, duration: SECOND * seconds, seed: 42, threads }
}

fn gaps_of(moments: &[u64]) -> Vec<f64> {
    moments.windows(2).map(|pair| f64::from(u32::try_from(pair[1] - pair[0]).unwrap())).collect()
}

/// Kolmogorov's distance between `gaps` and the exponential distribution of the same mean, times the root of their number.
fn distance_from_exponential(mut gaps: Vec<f64>) -> f64 {
    gaps.sort_by(f64::total_cmp);
    let count = f64::from(u32::try_from(gaps.len()).unwrap());
    let mean = gaps.iter().sum::<f64>() / count;
    let mut below = 0.0;
    let mut worst: f64 = 0.0;
    for gap in gaps {
        let expected = 1.0 - (-gap / mean).exp();
        worst = worst.max((expected - below / count).abs());
        below += 1.0;
        worst = worst.max((expected - below / count).abs());
    }
    worst * count.sqrt()
}

/// Anderson and Darling's statistic against the exponential distribution of the same mean.
fn anderson_darling(mut gaps: Vec<f64>) -> f64 {
    gaps.sort_by(f64::total_cmp);
    let count = f64::from(u32::try_from(gaps.len()).unwrap());
    let mean = gaps.iter().sum::<f64>() / count;
    let mut weight = 1.0;
    let mut sum = 0.0;
    for (low, high) in gaps.iter().zip(gaps.iter().rev()) {
        // ln F(low) + ln (1 - F(high)), with F(x) = 1 - exp(-x / mean); gaps of 0 ns round up to half of one.
        let low = low.max(0.5);
        sum += weight * ((1.0 - (-low / mean).exp()).ln() - high / mean);
        weight += 2.0;
    }
    -count - sum / count
}

/// 1 % critical value for an exponential of unknown mean (Stephens 1974, case 4).
const ANDERSON_DARLING_1_PERCENT: f64 = 1.957;
/// 1 % critical value for an exponential of unknown mean (Stephens 1974, Lilliefors' form).
const KOLMOGOROV_1_PERCENT: f64 = 1.308;

#[test]
fn exponential_gaps_have_the_mean_and_the_distribution() {
    for threads in [1, 2, 5] {
        let schedule = schedule(Gaps::Exponential, 50_000.0, 4, threads);
        let moments: Vec<u64> = schedule.of_thread(threads - 1).collect();
        let wanted = 200_000.0 / f64::from(threads);
        let sent = f64::from(u32::try_from(moments.len()).unwrap());
        // A Poisson count stays within four standard deviations.
        assert!((sent - wanted).abs() < 4.0 * wanted.sqrt(), "{sent} sent, {wanted} wanted");
        let gaps = gaps_of(&moments);
        assert!(distance_from_exponential(gaps.clone()) < KOLMOGOROV_1_PERCENT);
        assert!(anderson_darling(gaps) < ANDERSON_DARLING_1_PERCENT);
    }
}

#[test]
fn a3_exponential_threads_merge_to_an_exponential_of_the_whole_rate() {
    let schedule = schedule(Gaps::Exponential, 20_000.0, 5, 4);
    let mut merged: Vec<u64> = (0..4).flat_map(|thread| schedule.of_thread(thread)).collect();
    merged.sort_unstable();
    let wanted = 100_000.0_f64;
    let sent = f64::from(u32::try_from(merged.len()).unwrap());
    assert!((sent - wanted).abs() < 4.0 * wanted.sqrt());
    assert!(anderson_darling(gaps_of(&merged)) < ANDERSON_DARLING_1_PERCENT);
}

#[test]
fn the_tests_of_distribution_refuse_what_is_not_exponential() {
    let fixed: Vec<u64> = schedule(Gaps::Fixed, 1_000.0, 5, 1).of_thread(0).collect();
    assert!(distance_from_exponential(gaps_of(&fixed)) > 10.0);
    assert!(anderson_darling(gaps_of(&fixed)) > 100.0);
    // Threads that share a stream send in pairs: what the original's generator would do.
    let one: Vec<u64> = schedule(Gaps::Exponential, 1_000.0, 5, 1).of_thread(0).collect();
    let paired: Vec<u64> = one.iter().flat_map(|&at| [at, at]).collect();
    assert!(anderson_darling(gaps_of(&paired)) > 100.0);
}

#[test]
fn a3_fixed_threads_interleave_evenly() {
    let schedule = schedule(Gaps::Fixed, 3_000.0, 2, 3);
    let mut merged: Vec<u64> = (0..3).flat_map(|thread| schedule.of_thread(thread)).collect();
    merged.sort_unstable();
    assert_eq!(merged.len(), 6_000);
    assert_eq!(merged[0], 0);
    assert!(merged.windows(2).all(|pair| (333_333..=333_334).contains(&(pair[1] - pair[0]))));
}

#[test]
fn a2_the_seed_and_the_thread_decide_and_nothing_else() {
    let moments = |seed, thread| {
        let schedule = Schedule { seed, ..schedule(Gaps::Exponential, 1_000.0, 1, 2) };
        schedule.of_thread(thread).collect::<Vec<u64>>()
    };
    assert_eq!(moments(1, 0), moments(1, 0));
    assert_ne!(moments(1, 0), moments(2, 0));
    assert_ne!(moments(1, 0), moments(1, 1), "the original's fault: threads repeat each other");
}

#[test]
fn a1_moments_never_decrease_and_end_with_the_run() {
    for gaps in [Gaps::Exponential, Gaps::Fixed] {
        let moments: Vec<u64> = schedule(gaps, 100_000.0, 1, 1).of_thread(0).collect();
        assert!(moments.is_sorted());
        assert!(moments.last().is_some_and(|&at| at < 1_000_000_000));
    }
}
