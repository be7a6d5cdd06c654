//! Order entry.
