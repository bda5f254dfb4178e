//! Ends the program at a place of its choosing, as `kill -9` does, without a hook in the program.

use super::{Output, Sandbox, finish};
use std::process::Command;

/// Kills the program as it is about to make a system call for the n-th time; what it has started lives on. Gives back
/// nothing when it was killed, and how it ended when it never came so far.
///
/// Each thread counts its own calls. What the program writes for itself it writes in its first thread, long before a
/// child of it writes as often.
pub(crate) fn killed_at(sandbox: &Sandbox, arguments: &[&str], call: &str, nth: usize) -> Option<Output> {
    let program = sandbox.command(arguments);
    let mut command = Command::new("strace");
    command
        .args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}")])
        .args(["-e", &format!("inject={call}:signal=KILL:when={nth}")])
        .arg(program.get_program())
        .args(program.get_args())
        .current_dir(sandbox.folder())
        .env_clear()
        .envs(sandbox.environment())
        .stdin(std::process::Stdio::null());
    let output = finish(&mut command);
    (output.code != 128 + 9).then_some(output)
}
