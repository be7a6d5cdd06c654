//! Full-depth order books.
