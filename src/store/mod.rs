//! The record on disk: transcript, evidence, ledger, inbox, locks. Rank 8.
