//! Names of archive entries: normalized, or refused with the reason.

/// The longest name of an entry, in bytes (`PATH_MAX` of Linux).
const LONGEST: usize = 4096;

/// The name with `/` between its parts and without empty and `.` parts; empty for the root folder itself.
pub(super) fn normalize(name: &[u8]) -> Result<String, &'static str> {
    if name.len() > LONGEST {
        return Err("has a name of more than 4096 bytes");
    }
    let name = String::from_utf8_lossy(name).replace('\\', "/");
    if name.contains('\0') {
        return Err("has a NUL in its name");
    }
    if name.starts_with('/') {
        return Err("is an absolute path");
    }
    if matches!(name.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic()) {
        return Err("names a drive");
    }
    let parts: Vec<&str> = name.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.contains(&"..") {
        return Err("leaves its folder by `..`");
    }
    Ok(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::normalize;

    #[test]
    fn names_are_brought_to_one_form() {
        let forms: [&[u8]; 4] = [
            b"./train//dog/1.jpg",
            b"train\\dog\\1.jpg",
            b"train/./dog/1.jpg",
            b"train/dog/1.jpg",
        ];
        for form in forms {
            assert_eq!(normalize(form).as_deref(), Ok("train/dog/1.jpg"));
        }
        assert_eq!(normalize(b"./").as_deref(), Ok(""));
        assert_eq!(normalize(b"caf\xe9.jpg").as_deref(), Ok("caf\u{fffd}.jpg"));
    }

    #[test]
    fn names_that_leave_their_folder_are_refused() {
        let names: [&[u8]; 6] = [b"../x", b"a/../../x", b"a\\..\\x", b"/etc/x", b"C:\\x", b"\\\\host\\x"];
        for name in names {
            assert!(normalize(name).is_err(), "{}", String::from_utf8_lossy(name));
        }
        assert!(normalize(&[b'x'; 5000]).is_err());
        assert!(normalize(b"a\0b").is_err());
        assert_eq!(normalize(b"a..b/..c").as_deref(), Ok("a..b/..c"));
    }
}
