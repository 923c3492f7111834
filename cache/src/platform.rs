//! What systems do differently: which file a name means, when a file changed, who may write it.
//!
//! Elsewhere than on Unix the standard library tells less: no number of a file, no time of its last change but the one that programs may set.
//! Locks then exclude a little less, and a source that was replaced by one of the same length and times is taken for the old one.

use std::fs::{self, File, Metadata};
use std::io;
use std::path::Path;
use std::time::SystemTime;

/// Seconds and nanoseconds since 1970.
pub(crate) type Time = (i64, i64);

#[cfg(unix)]
mod system {
    use std::fs::Permissions;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use super::{File, Metadata, Path, SystemTime, Time, io};

    /// Tells a folder from all others.
    pub(crate) type Identity = (u64, u64);

    /// Device and inode.
    #[expect(clippy::unnecessary_wraps, reason = "on other systems it may fail")]
    pub(crate) fn identity(_: &Path, metadata: &Metadata) -> io::Result<Identity> {
        Ok(numbers(metadata))
    }

    /// Device and inode of a file.
    pub(crate) fn numbers(metadata: &Metadata) -> (u64, u64) {
        (metadata.dev(), metadata.ino())
    }

    /// When the content was modified, by what programs may set.
    pub(crate) fn modified(metadata: &Metadata) -> Time {
        (metadata.mtime(), metadata.mtime_nsec())
    }

    /// When anything about the file was changed, which programs may not set.
    pub(crate) fn changed(metadata: &Metadata) -> Time {
        (metadata.ctime(), metadata.ctime_nsec())
    }

    /// Whether two looks at files were at the same one.
    pub(crate) fn is_same(one: &Metadata, other: &Metadata) -> bool {
        numbers(one) == numbers(other)
    }

    /// A file that nobody writes once it is complete.
    pub(crate) fn read_only<'a>(builder: tempfile::Builder<'a, 'a>) -> tempfile::Builder<'a, 'a> {
        with_mode(builder, 0o444)
    }

    /// A file like any other of the user.
    pub(crate) fn ordinary<'a>(builder: tempfile::Builder<'a, 'a>) -> tempfile::Builder<'a, 'a> {
        with_mode(builder, 0o666)
    }

    fn with_mode<'a>(mut builder: tempfile::Builder<'a, 'a>, mode: u32) -> tempfile::Builder<'a, 'a> {
        builder.permissions(Permissions::from_mode(mode));
        builder
    }

    /// Sets the time of modification to now, of a file that may be read-only.
    pub(crate) fn touch(path: &Path) -> io::Result<()> {
        File::open(path)?.set_modified(SystemTime::now())
    }
}

#[cfg(not(unix))]
mod system {
    use std::path::PathBuf;
    use std::time::UNIX_EPOCH;

    use super::{File, Metadata, Path, SystemTime, Time, fs, io};

    /// Tells a folder from all others.
    pub(crate) type Identity = PathBuf;

    /// The path without links.
    pub(crate) fn identity(path: &Path, _: &Metadata) -> io::Result<Identity> {
        fs::canonicalize(path)
    }

    /// Numbers of a file; the standard library has none here.
    pub(crate) fn numbers(_: &Metadata) -> (u64, u64) {
        (0, 0)
    }

    /// When the content was modified, by what programs may set.
    pub(crate) fn modified(metadata: &Metadata) -> Time {
        metadata.modified().map_or((0, 0), since_epoch)
    }

    /// When the file was made.
    pub(crate) fn changed(metadata: &Metadata) -> Time {
        metadata.created().map_or((0, 0), since_epoch)
    }

    fn since_epoch(time: SystemTime) -> Time {
        match time.duration_since(UNIX_EPOCH) {
            Ok(since) => (since.as_secs() as i64, i64::from(since.subsec_nanos())),
            Err(before) => (-(before.duration().as_secs() as i64), 0),
        }
    }

    /// Whether two looks at files were at the same one, as far as their times tell.
    pub(crate) fn is_same(one: &Metadata, other: &Metadata) -> bool {
        changed(one) == changed(other)
    }

    /// A file that nobody writes once it is complete; that is not enforced here, where a read-only file could not be replaced.
    pub(crate) fn read_only<'a>(builder: tempfile::Builder<'a, 'a>) -> tempfile::Builder<'a, 'a> {
        builder
    }

    /// A file like any other of the user.
    pub(crate) fn ordinary<'a>(builder: tempfile::Builder<'a, 'a>) -> tempfile::Builder<'a, 'a> {
        builder
    }

    /// Sets the time of modification to now.
    pub(crate) fn touch(path: &Path) -> io::Result<()> {
        File::options().write(true).open(path)?.set_modified(SystemTime::now())
    }
}

pub(crate) use system::{Identity, changed, identity, is_same, modified, numbers, ordinary, read_only, touch};

/// Whether `path` still names the open file.
pub(crate) fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let open = file.metadata()?;
    Ok(fs::metadata(path).is_ok_and(|named| is_same(&named, &open)))
}
