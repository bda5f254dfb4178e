//! Services: what a service manager keeps running is looked at, changed, and watched until it is what it shall be.
//!
//! Everything is done by programs (systemctl, kubectl, or those a target names), so it works on any machine where programs
//! can be run. A service that starts and dies at once is seen as failed: it must run at two looks, as the same process.

mod errand;
mod perform;
mod state;
mod systemctl;
mod workload;

pub(super) use perform::perform;
