//! The other side of the wire: a small exchange that publishes a feed and answers orders.
