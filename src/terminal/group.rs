//! Our own process group.

use rustix::process::Pid;

/// The process group of this process. `None` where its leader lives in another namespace of processes, as the shell
/// outside of a container does: the system then says 0, which `rustix::process::getpgrp` takes for impossible.
pub(crate) fn own_group() -> Option<Pid> {
    Pid::from_raw(nix::unistd::getpgrp().as_raw())
}
