//! The hands: the only place that spawns programs, connects, and changes files. Rank 8.

mod file;
