//! The order rule and the checks: from a runbook to a step graph. Rank 4.
