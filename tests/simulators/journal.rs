//! What services wrote to their output, in the export format of the systemd journal: `systemd-journal-remote` makes a
//! journal of it that the stock `journalctl` reads.

use jiff::Timestamp;
use std::io::Write as _;
use std::path::Path;

/// A line of a unit, with the time it begins with, or that of the line before.
struct Entry {
    unit: String,
    at: Timestamp,
    line: String,
}

/// Writes all of it to standard output, the oldest first.
pub(crate) fn export(units: &Path) -> Result<(), String> {
    let mut entries = Vec::new();
    let folder = std::fs::read_dir(units).map_err(|why| format!("{}: {why}", units.display()))?;
    for place in folder.flatten() {
        let name = place.file_name().to_string_lossy().into_owned();
        let Some(unit) = name.strip_suffix(".service.d") else { continue };
        let Ok(output) = std::fs::read(place.path().join("out")) else { continue };
        let mut at = began(&place.path());
        for line in String::from_utf8_lossy(&output).lines() {
            at = time(line).unwrap_or(at);
            entries.push(Entry { unit: unit.to_owned(), at, line: line.to_owned() });
        }
    }
    entries.sort_by_key(|entry| entry.at);
    let mut out = std::io::stdout().lock();
    for (number, entry) in entries.iter().enumerate() {
        let written = write!(
            out,
            "__REALTIME_TIMESTAMP={}\n__MONOTONIC_TIMESTAMP={}\n_BOOT_ID=0123456789abcdef0123456789abcdef\n\
             _MACHINE_ID=fedcba9876543210fedcba9876543210\n_SYSTEMD_UNIT={}.service\nSYSLOG_IDENTIFIER={}\nMESSAGE={}\n\n",
            entry.at.as_microsecond(),
            1000 + number,
            entry.unit,
            entry.unit,
            entry.line,
        );
        written.map_err(|why| why.to_string())?;
    }
    Ok(())
}

/// When the unit was started, for lines that no time stands before.
fn began(state: &Path) -> Timestamp {
    let since = std::fs::read_to_string(state.join("since")).ok().and_then(|text| text.trim().parse().ok());
    since.and_then(|seconds| Timestamp::from_second(seconds).ok()).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// `2026-11-26T07:40:00.123Z` or PostgreSQL's `2026-11-26 07:40:00.123 UTC` at the beginning of a line.
fn time(line: &str) -> Option<Timestamp> {
    let mut words = line.split(' ');
    let first = words.next()?;
    if let Ok(time) = first.parse() {
        return Some(time);
    }
    let zone = |zone: &&str| matches!(*zone, "UTC" | "GMT" | "Etc/UTC");
    let clock = words.next()?;
    words.next().filter(zone)?;
    format!("{first}T{clock}Z").parse().ok()
}
