//! The header of an `.npy` file: a magic, a version, a length and a Python dictionary in text.

use crate::error::DataError;

const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// What a header says, checked against the length of its file.
#[derive(Debug)]
pub(super) struct Header {
    /// Type string without the byte order.
    pub descr: String,
    pub big_endian: bool,
    pub fortran: bool,
    pub shape: Vec<usize>,
    /// Where the values begin.
    pub data_start: usize,
}

/// Number of elements of a shape, if it can be counted.
pub(super) fn elements(shape: &[usize]) -> Option<usize> {
    shape
        .iter()
        .try_fold(1usize, |product, &side| product.checked_mul(side))
}

impl Header {
    pub fn parse(file: &[u8], place: &str) -> Result<Self, DataError> {
        let broken = |why: &str| DataError::malformed(place, format!("not an .npy file: {why}"));
        let rest = file
            .strip_prefix(MAGIC)
            .ok_or_else(|| broken("it does not begin with \\x93NUMPY"))?;
        let (len, prefix) = match *rest {
            [1, _, a, b, ..] => (usize::from(u16::from_le_bytes([a, b])), 10),
            [2 | 3, _, a, b, c, d, ..] => (u32::from_le_bytes([a, b, c, d]) as usize, 12),
            [version, _, _, _, ..] => return Err(broken(&format!("version {version} is not 1, 2 or 3"))),
            _ => return Err(broken("the header is truncated")),
        };
        let data_start = prefix + len;
        let text = file
            .get(prefix..data_start)
            .ok_or_else(|| broken("the header is truncated"))?;
        let text = std::str::from_utf8(text).map_err(|_| broken("the header is not text"))?;
        let dictionary = Dictionary::parse(text).map_err(|why| broken(&format!("header: {why}")))?;
        let Dictionary {
            descr: Some(descr),
            fortran: Some(fortran),
            shape: Some(shape),
        } = dictionary
        else {
            return Err(broken("the header lacks descr, fortran_order or shape"));
        };
        let big_endian = descr.starts_with('>');
        let descr = descr.trim_start_matches(['<', '>', '|', '=']).to_owned();
        let Some(Ok(size @ 1..=16)) = descr.get(1..).map(str::parse::<usize>) else {
            return Err(broken(&format!("element type `{descr}` has no size")));
        };
        let claimed = elements(&shape).and_then(|elements| elements.checked_mul(size));
        let present = file.len() - data_start;
        if claimed != Some(present) {
            let why = format!(
                "shape {shape:?} of `{descr}` takes {}, the file holds {present}",
                claimed.map_or_else(
                    || "more bytes than can be counted".to_owned(),
                    |claimed| format!("{claimed} bytes"),
                )
            );
            return Err(DataError::malformed(place, why));
        }
        Ok(Self {
            descr,
            big_endian,
            fortran,
            shape,
            data_start,
        })
    }
}

/// A header of version 1.0, padded so that the values begin at a multiple of 64.
pub(super) fn write(descr: &str, shape: &[usize]) -> Vec<u8> {
    let sides: Vec<String> = shape.iter().map(usize::to_string).collect();
    let comma = if sides.len() == 1 { "," } else { "" };
    let sides = sides.join(", ") + comma;
    let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({sides}), }}");
    let padded = (10 + text.len() + 1).next_multiple_of(64) - 10;
    let mut header = MAGIC.to_vec();
    header.extend([1, 0]);
    header.extend((padded as u16).to_le_bytes());
    header.extend(format!("{text:<width$}\n", width = padded - 1).into_bytes());
    header
}

/// The three entries of the header, as far as they were met.
#[derive(Default)]
struct Dictionary {
    descr: Option<String>,
    fortran: Option<bool>,
    shape: Option<Vec<usize>>,
}

impl Dictionary {
    fn parse(text: &str) -> Result<Self, String> {
        let mut text = Text(text);
        let mut dictionary = Self::default();
        text.expect('{')?;
        while !text.accept('}') {
            let key = text.string()?;
            text.expect(':')?;
            match key {
                "descr" => dictionary.descr = Some(text.string()?.to_owned()),
                "fortran_order" => dictionary.fortran = Some(text.boolean()?),
                "shape" => dictionary.shape = Some(text.tuple()?),
                _ => return Err(format!("unknown key `{key}`")),
            }
            if !text.accept(',') {
                text.expect('}')?;
                break;
            }
        }
        Ok(dictionary)
    }
}

/// The rest of a Python literal.
struct Text<'a>(&'a str);

impl<'a> Text<'a> {
    fn accept(&mut self, token: char) -> bool {
        self.0 = self.0.trim_start();
        let rest = self.0.strip_prefix(token);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn expect(&mut self, token: char) -> Result<(), String> {
        if self.accept(token) {
            Ok(())
        } else {
            Err(format!("`{token}` expected before `{:.20}`", self.0))
        }
    }

    fn string(&mut self) -> Result<&'a str, String> {
        let quote = if self.accept('"') {
            '"'
        } else {
            self.expect('\'').map(|()| '\'')?
        };
        let (string, rest) = self.0.split_once(quote).ok_or("a string does not end")?;
        self.0 = rest;
        Ok(string)
    }

    fn boolean(&mut self) -> Result<bool, String> {
        self.0 = self.0.trim_start();
        for (word, value) in [("True", true), ("False", false)] {
            if let Some(rest) = self.0.strip_prefix(word) {
                self.0 = rest;
                return Ok(value);
            }
        }
        Err(format!("True or False expected before `{:.20}`", self.0))
    }

    fn tuple(&mut self) -> Result<Vec<usize>, String> {
        self.expect('(')?;
        let mut sides = Vec::new();
        while !self.accept(')') {
            self.0 = self.0.trim_start();
            let end = self.0.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.0.len());
            let (digits, rest) = self.0.split_at(end);
            sides.push(
                digits
                    .parse()
                    .map_err(|_| format!("a length expected before `{:.20}`", self.0))?,
            );
            // Python 2 wrote long integers with an L.
            self.0 = rest.strip_prefix('L').unwrap_or(rest);
            if !self.accept(',') {
                self.expect(')')?;
                break;
            }
        }
        Ok(sides)
    }
}
