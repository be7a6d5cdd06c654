//! Kernel UDP socket backend.
