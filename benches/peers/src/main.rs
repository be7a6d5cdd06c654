//! `make bench-book`: see `docs/benchmarks/book.md`.

fn main() {}
