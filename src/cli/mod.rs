//! The command line: the only place that wires, prints, reads arguments, environment and clock. Rank 10.
