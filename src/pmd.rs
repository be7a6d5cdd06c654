//! Ports and queues.
