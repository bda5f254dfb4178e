//! Dumps that are proven, restores, and migrations that are taken back.
