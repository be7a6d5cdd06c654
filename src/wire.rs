//! Byte layouts: one protocol a file, checked once, then infallible.
