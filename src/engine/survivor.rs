//! What is left of an attempt whose process died: how it is looked for, and what was found.

/// How the processes of an attempt are told from others, on the host and in the boot in which it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// `RUN/STEP/ATTEMPT`, as it stands in the environment of its children.
    pub marker: String,
    /// The process it started, when its record has one.
    pub process: Option<Started>,
}

/// A process, told from a later one with the same id by the time of its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Started {
    /// Its id.
    pub pid: u32,
    /// When it was started, in clock ticks since the machine was; nothing where that cannot be told.
    pub at: Option<u64>,
}

/// A process of an earlier attempt that lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survivor {
    /// Its id.
    pub pid: u32,
    /// Its name for people: `sleep (123)`.
    pub label: String,
    /// Whether it is certainly one. One that is not stands in a group that bears the id of a process which was
    /// recorded and is gone: it is named, never waited for and never ended.
    pub is_certain: bool,
}
