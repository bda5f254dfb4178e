//! Logs: the journal, files and the logs of pods as lines that are looked for.
//!
//! Whatever the source, its bytes go through an [`intake`]: cut into lines, kept within a stretch of time, matched, counted.
//! Memory is bounded whatever comes. A file on this machine is read here; everything else is a program whose standard
//! output is the log, so that it works on any machine where programs can be run.

mod file;
mod filter;
mod gather;
mod intake;
mod journal;
mod perform;
mod split;
mod stamp;
mod tap;
mod window;

pub(super) use perform::perform;
