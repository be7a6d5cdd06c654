//! wirebook's books beside other people's: the same streams, in the same run, on the same memory.

pub mod stream;
