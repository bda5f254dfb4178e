//! The review on the dashboard, its times, and who may do it.
