//! What the main lcore does beside the loop.
