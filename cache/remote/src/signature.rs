//! Signatures of requests to Amazon S3 and what speaks its protocol: AWS Signature Version 4
//! (<https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>).

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use sha2::{Digest as _, Sha256};

/// Who signs, and for where.
pub(crate) struct Signer {
    pub key_id: String,
    pub secret: String,
    /// Of credentials that end by themselves.
    pub session: Option<String>,
    pub region: String,
}

/// What is signed of a request without a query.
pub(crate) struct Signed<'a> {
    pub method: &'a str,
    pub host: &'a str,
    /// Encoded, with a slash at its beginning.
    pub path: &'a str,
    /// SHA-256 of the body, in hexadecimal digits.
    pub body: &'a str,
    /// Further headers, by lower-case name in the order of names.
    pub headers: &'a [(&'a str, &'a str)],
}

impl Signer {
    /// The headers that a request gets, `authorization` among them.
    pub(crate) fn headers(&self, request: &Signed<'_>, now: SystemTime) -> Vec<(&'static str, String)> {
        let time = timestamp(now);
        let day = &time[..8];
        let mut headers: Vec<(&str, &str)> = vec![
            ("host", request.host),
            ("x-amz-content-sha256", request.body),
            ("x-amz-date", &time),
        ];
        if let Some(session) = &self.session {
            headers.push(("x-amz-security-token", session));
        }
        headers.extend(request.headers);
        headers.sort_unstable();
        let names = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
        let mut canonical = format!("{}\n{}\n\n", request.method, request.path);
        for (name, value) in &headers {
            // Writing to a `String` cannot fail.
            let _ = writeln!(canonical, "{name}:{value}");
        }
        let _ = write!(canonical, "\n{names}\n{}", request.body);

        let scope = format!("{day}/{}/s3/aws4_request", self.region);
        let text = format!(
            "AWS4-HMAC-SHA256\n{time}\n{scope}\n{}",
            hexadecimal(&Sha256::digest(canonical))
        );
        let secret = format!("AWS4{}", self.secret);
        let key = [day, &self.region, "s3", "aws4_request"]
            .iter()
            .fold(secret.into_bytes(), |key, part| hmac(&key, part.as_bytes()).to_vec());
        let signature = hexadecimal(&hmac(&key, text.as_bytes()));

        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope},SignedHeaders={names},Signature={signature}",
            self.key_id
        );
        let mut signed = vec![
            ("x-amz-content-sha256", request.body.to_owned()),
            ("x-amz-date", time.clone()),
            ("authorization", authorization),
        ];
        if let Some(session) = &self.session {
            signed.push(("x-amz-security-token", session.clone()));
        }
        signed
    }
}

/// Bytes in a block of SHA-256.
const BLOCK: usize = 64;

/// HMAC with SHA-256 (RFC 2104).
fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = [0; BLOCK];
    if key.len() > BLOCK {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let hash = |pad: u8, rest: &[u8]| {
        let mut state = Sha256::new();
        state.update(block.map(|byte| byte ^ pad));
        state.update(rest);
        <[u8; 32]>::from(state.finalize())
    };
    hash(0x5c, &hash(0x36, message))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A path with all but unreserved characters and slashes as `%20` and the like (RFC 3986).
pub(crate) fn encoded(path: &str) -> String {
    path.bytes().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}

/// `20130524T000000Z`.
fn timestamp(now: SystemTime) -> String {
    let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (year, month, day) = date(seconds / 86_400);
    let [hour, minute, second] = [seconds / 3600 % 24, seconds / 60 % 60, seconds % 60];
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

/// The date so many days after 1970-01-01 in the Gregorian calendar. Years are counted from March, so that the day that leap years have more is
/// their last; 400 of them have 146,097 days.
fn date(days: u64) -> (u64, u64, u64) {
    // From 0000-03-01 to 1970-01-01.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    // Months of 31, 30, 31, 30, 31 days repeat: 153 days are five months.
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + next, month, day)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Midnight of 24 May 2013, when Amazon's examples are signed.
    fn then() -> SystemTime {
        UNIX_EPOCH + Duration::from_hours(380_376)
    }

    fn signer() -> Signer {
        Signer {
            key_id: "AKIAIOSFODNN7EXAMPLE".into(),
            secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into(),
            session: None,
            region: "us-east-1".into(),
        }
    }

    fn signature(request: &Signed<'_>) -> String {
        let headers = signer().headers(request, then());
        let (_, authorization) = headers.iter().find(|(name, _)| *name == "authorization").unwrap();
        authorization.rsplit('=').next().unwrap().to_owned()
    }

    #[test]
    fn the_examples_of_amazons_documentation_are_signed_so() {
        let empty = hexadecimal(&Sha256::digest(b""));
        let get = Signed {
            method: "GET",
            host: "examplebucket.s3.amazonaws.com",
            path: "/test.txt",
            body: &empty,
            headers: &[("range", "bytes=0-9")],
        };
        assert_eq!(
            signature(&get),
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
        );
        let body = hexadecimal(&Sha256::digest(b"Welcome to Amazon S3."));
        let path = encoded("/test$file.text");
        let put = Signed {
            method: "PUT",
            host: "examplebucket.s3.amazonaws.com",
            path: &path,
            body: &body,
            headers: &[
                ("date", "Fri, 24 May 2013 00:00:00 GMT"),
                ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
            ],
        };
        assert_eq!(
            signature(&put),
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"
        );
    }

    #[test]
    fn hmac_gives_the_values_of_rfc_4231() {
        let of = |key: &[u8], message: &[u8]| hexadecimal(&hmac(key, message));
        assert_eq!(
            of(b"Jefe", b"what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert_eq!(
            of(&[0xaa; 131], b"Test Using Larger Than Block-Size Key - Hash Key First"),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }

    #[test]
    fn days_become_dates() {
        let found: Vec<_> = [0, 59, 789, 11_016, 20_453, 47_540].map(date).into();
        let expected = [
            (1970, 1, 1),
            (1970, 3, 1),
            (1972, 2, 29),
            (2000, 2, 29),
            (2025, 12, 31),
            (2100, 2, 28),
        ];
        assert_eq!(found, expected);
        assert_eq!(date(47_541), (2100, 3, 1));
        assert_eq!(timestamp(then()), "20130524T000000Z");
    }
}
