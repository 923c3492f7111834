//! Arrays of samples: in memory, or in pieces that lie elsewhere and are read sample by sample.
//!
//! A piece is a `.npy` file of a few MiB. It is verified when it is first touched and read by position afterwards, so that a
//! dataset of any size costs the memory of the samples that are looked at, in any order.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::dataset::Bytes;
use crate::error::DataError;
use crate::{npy, position};

/// Files of pieces that are open at once, at most.
const OPEN: usize = 32;

/// Bytes that are stored somewhere, such as a blob of a cache.
pub trait Stored: Send + Sync {
    /// All of them, verified.
    fn read(&self) -> Result<Vec<u8>, String>;
    /// Opens them to be read in part; with `verify` they are read through first.
    fn open(&self, verify: bool) -> Result<Box<dyn ReadAt>, String>;
}

/// Bytes of which any part can be read.
pub trait ReadAt: Send + Sync {
    /// How many there are.
    fn size(&self) -> io::Result<u64>;
    /// Fills `to` with what lies from `offset` on.
    fn read_at(&self, to: &mut [u8], offset: u64) -> io::Result<()>;
}

/// Takes pieces as they are made.
pub trait Shelf: Sync {
    /// Stores a piece under its name.
    fn put(&self, name: &str, bytes: Vec<u8>) -> Result<Arc<dyn Stored>, String>;
}

impl ReadAt for File {
    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, to: &mut [u8], offset: u64) -> io::Result<()> {
        position::read_exact_at(self, to, offset)
    }
}

impl ReadAt for Arc<Vec<u8>> {
    fn size(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }

    fn read_at(&self, to: &mut [u8], offset: u64) -> io::Result<()> {
        let end = offset.saturating_add(to.len() as u64);
        let from = self.get(offset as usize..end as usize);
        to.copy_from_slice(from.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

impl Stored for Arc<Vec<u8>> {
    fn read(&self) -> Result<Vec<u8>, String> {
        Ok(self.to_vec())
    }

    fn open(&self, _verify: bool) -> Result<Box<dyn ReadAt>, String> {
        Ok(Box::new(self.clone()))
    }
}

/// A shelf in memory.
pub struct Memory;

impl Shelf for Memory {
    fn put(&self, _name: &str, bytes: Vec<u8>) -> Result<Arc<dyn Stored>, String> {
        Ok(Arc::new(Arc::new(bytes)))
    }
}

/// One array of samples: `[N, H, W, C]` for images, `[N, …]` for anything else.
pub struct Samples {
    shape: Vec<usize>,
    place: Place,
}

enum Place {
    Memory(Values),
    Pieces(Pieces),
}

/// The numbers of [`Samples`] in memory, in C order.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Raw bytes, as images have.
    U8(Bytes),
    /// Floats.
    F32(Vec<f32>),
}

/// The values of one sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sample<'a> {
    /// Bytes.
    U8(&'a [u8]),
    /// Floats.
    F32(&'a [f32]),
}

/// The type of stored values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    U8,
    F32,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::U8 => "uint8",
            Self::F32 => "float32",
        }
    }

    /// NumPy's type string.
    fn descr(self) -> &'static str {
        match self {
            Self::U8 => <u8 as npy::Element>::DESCR,
            Self::F32 => <f32 as npy::Element>::DESCR,
        }
    }

    fn size(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::F32 => 4,
        }
    }
}

impl Samples {
    /// Samples of `shape` (with the leading sample axis), or `None` if the number of values is another.
    pub fn new(shape: Vec<usize>, values: Values) -> Option<Self> {
        let len = match &values {
            Values::U8(bytes) => bytes.len(),
            Values::F32(floats) => floats.len(),
        };
        let expected = shape
            .iter()
            .try_fold(1usize, |product, &side| product.checked_mul(side))?;
        let place = Place::Memory(values);
        (!shape.is_empty() && expected == len).then_some(Self { shape, place })
    }

    /// Samples in pieces of `each` samples, of which the last may hold fewer.
    /// `name` is how the blobs that hold them begin.
    pub(crate) fn in_pieces(
        name: &'static str,
        shape: Vec<usize>,
        kind: Kind,
        each: usize,
        stored: Vec<Arc<dyn Stored>>,
    ) -> Self {
        let pieces = stored.into_iter().map(|stored| Piece {
            stored,
            verified: OnceLock::new(),
        });
        let place = Place::Pieces(Pieces {
            name,
            kind,
            each,
            all: pieces.collect(),
            open: Mutex::default(),
        });
        Self { shape, place }
    }

    /// Shape with the leading sample axis.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Shape of one sample.
    pub fn sample_shape(&self) -> &[usize] {
        &self.shape[1..]
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.shape[0]
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of values of one sample.
    pub fn sample_len(&self) -> usize {
        self.sample_shape().iter().product()
    }

    pub(crate) fn kind(&self) -> Kind {
        match &self.place {
            Place::Memory(Values::U8(_)) => Kind::U8,
            Place::Memory(Values::F32(_)) => Kind::F32,
            Place::Pieces(pieces) => pieces.kind,
        }
    }

    /// Samples of a piece, where they lie in pieces.
    pub(crate) fn each(&self) -> usize {
        match &self.place {
            Place::Memory(_) => self.len().max(1),
            Place::Pieces(pieces) => pieces.each,
        }
    }

    /// What `work` makes of sample `index`, wherever it lies. Samples may be asked for in any order, from any thread.
    ///
    /// # Errors
    /// There is no such sample; its piece is damaged or gone.
    pub fn with<R>(&self, index: usize, work: impl FnOnce(Sample<'_>) -> R) -> Result<R, DataError> {
        let len = self.sample_len();
        if index >= self.len() {
            let why = format!("sample {index} asked for, there are {}", self.len());
            return Err(DataError::Setting { key: "samples", why });
        }
        match &self.place {
            Place::Memory(Values::U8(bytes)) => Ok(work(Sample::U8(&bytes[index * len..(index + 1) * len]))),
            Place::Memory(Values::F32(floats)) => Ok(work(Sample::F32(&floats[index * len..(index + 1) * len]))),
            Place::Pieces(pieces) => pieces.with(index, self.sample_shape(), self.len(), work),
        }
    }

    /// All values, in memory.
    ///
    /// # Errors
    /// Those of [`Samples::with`]; they do not fit into memory.
    pub fn to_values(&self) -> Result<Values, DataError> {
        let total = self.len() * self.sample_len();
        Ok(match self.kind() {
            Kind::U8 => {
                let mut all = reserve::<u8>(total)?;
                self.visit(|sample| {
                    if let Sample::U8(values) = sample {
                        all.extend_from_slice(values);
                    }
                })?;
                Values::U8(all.into())
            }
            Kind::F32 => {
                let mut all = reserve::<f32>(total)?;
                self.visit(|sample| {
                    if let Sample::F32(values) = sample {
                        all.extend_from_slice(values);
                    }
                })?;
                Values::F32(all)
            }
        })
    }

    fn visit(&self, mut work: impl FnMut(Sample<'_>)) -> Result<(), DataError> {
        (0..self.len()).try_for_each(|index| self.with(index, &mut work))
    }
}

/// Room for `count` values.
pub(crate) fn reserve<T>(count: usize) -> Result<Vec<T>, DataError> {
    let mut values = Vec::new();
    values.try_reserve_exact(count).map_err(|_| DataError::Memory {
        place: "samples".into(),
        bytes: count as u64 * size_of::<T>() as u64,
    })?;
    Ok(values)
}

/// How the blobs of the samples themselves begin.
pub(crate) const SAMPLES: &str = "samples";
/// How the blobs of masks begin.
pub(crate) const MASKS: &str = "masks";

/// The name of the blob that holds a piece.
pub(crate) fn piece_name(name: &str, index: usize) -> String {
    format!("{name}-{index:05}.npy")
}

struct Pieces {
    /// How the names of the pieces begin.
    name: &'static str,
    kind: Kind,
    each: usize,
    all: Vec<Piece>,
    /// The pieces used last, the latest at the end.
    open: Mutex<VecDeque<(usize, Arc<Open>)>>,
}

struct Piece {
    stored: Arc<dyn Stored>,
    /// What came of reading it through.
    verified: OnceLock<Result<(), String>>,
}

/// An open piece.
struct Open {
    file: Box<dyn ReadAt>,
    /// Where its values begin.
    start: u64,
}

thread_local! {
    /// Room for the bytes of a sample, and for its floats.
    static SCRATCH: RefCell<(Vec<u8>, Vec<f32>)> = RefCell::default();
}

impl Pieces {
    fn with<R>(
        &self,
        index: usize,
        sample: &[usize],
        samples: usize,
        work: impl FnOnce(Sample<'_>) -> R,
    ) -> Result<R, DataError> {
        let number = index / self.each;
        let broken = |why: String| DataError::malformed(piece_name(self.name, number), why);
        let count = self.each.min(samples - number * self.each);
        let piece = self.piece(number, count, sample).map_err(broken)?;
        // Taken and put back, so that `work` may itself look at samples.
        let (mut bytes, mut floats) = SCRATCH.take();
        let len = sample.iter().product::<usize>() * self.kind.size();
        bytes.resize(len, 0);
        let offset = piece.start + ((index % self.each) * len) as u64;
        let read = piece.file.read_at(&mut bytes, offset);
        let result = read.map(|()| match self.kind {
            Kind::U8 => work(Sample::U8(&bytes)),
            Kind::F32 => {
                floats.clear();
                floats.extend(bytes.as_chunks().0.iter().map(|&value| f32::from_le_bytes(value)));
                work(Sample::F32(&floats))
            }
        });
        SCRATCH.set((bytes, floats));
        result.map_err(|error| broken(error.to_string()))
    }

    /// A piece of `count` samples, opened; verified if nobody has done so yet.
    fn piece(&self, number: usize, count: usize, sample: &[usize]) -> Result<Arc<Open>, String> {
        let open = || self.open.lock().unwrap_or_else(PoisonError::into_inner);
        {
            let mut open = open();
            if let Some(place) = open.iter().rposition(|(other, _)| *other == number) {
                let found = open[place].1.clone();
                if place + 1 < open.len()
                    && let Some(used) = open.remove(place)
                {
                    open.push_back(used);
                }
                return Ok(found);
            }
        }
        let piece = self.all.get(number).ok_or("there is no such piece")?;
        piece
            .verified
            .get_or_init(|| piece.stored.open(true).map(drop))
            .clone()?;
        let file = piece.stored.open(false)?;
        let start = self.header(file.as_ref(), count, sample)?;
        let opened = Arc::new(Open { file, start });
        let mut open = open();
        if open.len() >= OPEN {
            open.pop_front();
        }
        open.push_back((number, opened.clone()));
        Ok(opened)
    }

    /// Where the values of a piece begin; an error if it does not hold what is expected of it.
    fn header(&self, file: &dyn ReadAt, count: usize, sample: &[usize]) -> Result<u64, String> {
        let shape = [&[count], sample].concat();
        let expected = npy::header(self.kind.descr(), &shape);
        let mut found = vec![0; expected.len()];
        let size = file.size().map_err(|error| error.to_string())?;
        let values = (shape.iter().product::<usize>() * self.kind.size()) as u64;
        let read = file.read_at(&mut found, 0);
        if size != expected.len() as u64 + values || read.is_err() || found != expected {
            return Err(format!("not an array of {} of shape {shape:?}", self.kind.name()));
        }
        Ok(expected.len() as u64)
    }
}
