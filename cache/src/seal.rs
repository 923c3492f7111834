//! Files that notice their own damage: one line with the SHA-256 of the rest, then the rest.

use crate::digest::Digest;

/// `body` behind its checksum.
pub(crate) fn seal(mut body: Vec<u8>) -> Vec<u8> {
    let mut file = format!("{}\n", Digest::of(&body)).into_bytes();
    file.append(&mut body);
    file
}

/// The body of a sealed file, or what is wrong with it.
pub(crate) fn unseal(file: &[u8]) -> Result<&[u8], &'static str> {
    let line = file
        .iter()
        .position(|byte| *byte == b'\n')
        .ok_or("it has no checksum line")?;
    let (checksum, body) = (&file[..line], &file[line + 1..]);
    if checksum == Digest::of(body).to_string().as_bytes() {
        Ok(body)
    } else {
        Err("its checksum does not match")
    }
}
