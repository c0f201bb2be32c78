use super::*;

fn moment(ns: u64) -> Moment {
    Moment::of_ns(ns)
}

#[test]
fn bounds_rise_by_a_third_or_a_half_and_each_is_counted_below_itself() {
    assert_eq!((bound(0), bound(1)), (Duration::from_nanos(128), Duration::from_nanos(192)));
    assert_eq!(bound(BOUNDS - 1), Duration::from_nanos(1 << 33));
    for place in 0..BOUNDS {
        let units = u32::try_from(bound(place).as_nanos() >> UNIT).unwrap();
        let written = place + FIRST;
        assert_eq!((place_of(units - 1), place_of(units)), (written, written + 1), "{units}");
        let next = bound((place + 1).min(BOUNDS - 1)).as_nanos() >> UNIT;
        assert!(next * 2 <= u128::from(units) * 3, "{units}");
    }
    assert_eq!((place_of(0), place_of(u32::MAX)), (0, PLACES - 1));
}

#[test]
fn each_span_is_counted_by_itself_and_read_while_it_is_written() {
    let spans = Spans::new();
    let reader = spans.reader().unwrap();
    let all = [Span::Complete, Span::Ordered, Span::Committed, Span::Answered];
    let peers = NodeId::all().map(Span::RoundTrip);
    let all: Vec<Span> = all.into_iter().chain([Span::Applied]).chain(peers).collect();
    let (begin, soon, late) = (moment(5_000_000), moment(5_001_280), moment(10_005_000_000));
    for (&span, times) in all.iter().zip(1..) {
        for _ in 0..times {
            spans.record(span, begin, soon);
        }
    }
    spans.record(Span::Applied, begin, late);
    for (&span, times) in all.iter().zip(1..) {
        let histogram = reader.read(span);
        let long = u64::from(span == Span::Applied);
        assert_eq!(histogram.count(), times + long, "{span:?}");
        assert_eq!(histogram.counts[place_of(20) - FIRST], times, "{span:?}");
        assert_eq!(histogram.counts[BOUNDS], long, "{span:?}");
        let sum = times * 1_280 + long * 10_000_000_000;
        assert_eq!(histogram.sum, Duration::from_nanos(sum), "{span:?}");
        let both = histogram.and(&histogram);
        assert_eq!((both.count(), both.sum), (2 * histogram.count(), 2 * histogram.sum));
    }
}

#[test]
fn w2_a_copy_measures_nothing() {
    let spans = Spans::new();
    spans.clone().record(Span::Applied, moment(0), moment(0));
    assert_eq!(spans.reader().unwrap().read(Span::Applied).count(), 0);
    assert!(spans.clone().reader().is_none());
}

#[test]
fn moments_go_round() {
    for begin in [0, 5_000_000_000, u64::from(u32::MAX) << UNIT, 1 << 50] {
        for passed in [0, 64, 6_400, 240_000_000_000] {
            let spans = Spans::new();
            spans.record(Span::Applied, moment(begin), moment(begin + passed));
            let sum = spans.reader().unwrap().read(Span::Applied).sum;
            assert_eq!(sum, Duration::from_nanos(passed), "{begin}");
        }
    }
}

/// As single ones, whatever comes between; counted when it differs, and when told to.
#[test]
fn runs_of_equal_spans_are_counted_as_so_many() {
    let mut spans = Spans::new();
    let reader = spans.reader().unwrap();
    let counts = || [Span::Ordered, Span::Committed].map(|span| reader.read(span).count());
    let us = Duration::from_micros;
    for (span, since, now, after) in [
        (Span::Ordered, 1, 9_000, [0, 0]),
        (Span::Ordered, 1, 9_000, [0, 0]),
        (Span::Ordered, 2, 9_000, [2, 0]),
        (Span::Committed, 2, 9_000, [3, 0]),
        (Span::Committed, 2, 10_000, [3, 1]),
        (Span::Committed, 2, 10_000, [3, 1]),
    ] {
        spans.took(span, us(since), now);
        assert_eq!(counts(), after);
    }
    spans.flush();
    spans.flush();
    assert_eq!(counts(), [3, 3]);
    assert_eq!(reader.read(Span::Committed).sum, Duration::from_nanos((109 + 2 * 125) << UNIT));
}
