//! One ordered stream from two lines.
