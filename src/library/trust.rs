//! Whether a file that was found, not named, may be believed.

use rustix::process::geteuid;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

const WRITABLE_BY_OTHERS: u32 = 0o002;
const STICKY: u32 = 0o1000;

/// Why a file found on the way up may not be used, or nothing when it may (`rulings.md` 20): a library says which
/// environment is production, so nobody else may be able to put one above the working folder.
///
/// # Errors
/// The file or its folder cannot be looked at.
pub(super) fn distrust(file: &Path, folder: &Path) -> std::io::Result<Option<&'static str>> {
    // The link itself counts too: whoever owns it chooses the file.
    for metadata in [file.symlink_metadata()?, file.metadata()?] {
        if !is_ours_or_roots(&metadata) {
            return Ok(Some("it belongs to another user"));
        }
        if !metadata.is_symlink() && metadata.mode() & WRITABLE_BY_OTHERS != 0 {
            return Ok(Some("every user of this machine may write to it"));
        }
    }
    let mode = folder.metadata()?.mode();
    if mode & WRITABLE_BY_OTHERS != 0 && mode & STICKY == 0 {
        return Ok(Some("every user of this machine may replace it, because its folder is open to all"));
    }
    Ok(None)
}

fn is_ours_or_roots(metadata: &Metadata) -> bool {
    metadata.uid() == 0 || metadata.uid() == geteuid().as_raw()
}
