//! Dumps, restores, and what is looked at afterwards.
