//! Pre-trade risk.
