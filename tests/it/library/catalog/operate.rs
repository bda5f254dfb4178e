//! Every day: health, limits, knobs, the audit trail.
