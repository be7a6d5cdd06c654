//! Counters, latency histograms and the TSC clock.
