//! Files read by position, without a cursor that readers would share.

use std::fs::File;
use std::io;

/// Reads at most `to.len()` bytes from `offset` on; 0 at the end of the file.
#[cfg(unix)]
pub(crate) fn read_at(file: &File, to: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, to, offset)
}

/// Reads at most `to.len()` bytes from `offset` on; 0 at the end of the file.
#[cfg(windows)]
pub(crate) fn read_at(file: &File, to: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, to, offset)
}

/// Fills `to` with what is there from `offset` on.
///
/// # Errors
/// `UnexpectedEof` where there is less.
pub(crate) fn read_exact_at(file: &File, to: &mut [u8], offset: u64) -> io::Result<()> {
    let mut done = 0;
    while done < to.len() {
        match read_at(file, &mut to[done..], offset + done as u64) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => done += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn what_is_there_is_read_and_the_end_is_told() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789").unwrap();
        let mut bytes = [0; 4];
        read_exact_at(&file, &mut bytes, 3).unwrap();
        assert_eq!(&bytes, b"3456");
        let end = read_exact_at(&file, &mut bytes, 8).map_err(|error| error.kind());
        assert_eq!(end, Err(io::ErrorKind::UnexpectedEof));
        assert_eq!(read_at(&file, &mut bytes, 10).unwrap(), 0);
    }
}
