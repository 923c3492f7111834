//! The settings of a dataset, as a recipe writes them.
//!
//! These types are the vocabulary of the `dataset` step: their derived JSON schema drives its checks and
//! completion. [`Spec::check`] finds what the schema cannot say.

mod inputs;
mod lists;
mod pictures;
mod spectrogram;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::DataError;
use crate::pattern::{Condition, Pattern};

pub use inputs::InputArrays;
pub use lists::{ClassNames, Columns, Headers, Labels, Lists};
pub use pictures::{Color, Layout, Method, Resize};
pub use spectrogram::{MelScale, Spectrogram};

/// What to load and how.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Spec {
    /// Format of the files; `auto` recognizes it by their names and contents.
    pub format: Format,
    /// Which part: `train`, `test`, `all`, or the name of a folder such as `val`. May be left out where there is only one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split: Option<Split>,
    /// Data without splits: this share of each class is the split `test`, the rest `train`; which samples these are depends on nothing else.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub test_share: Option<f64>,
    /// Keep only this part of the split.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
    /// Keep only samples of these classes. Labels and the list of classes stay those of the whole data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<Vec<String>>,
    /// Keep this many samples, drawn with `seed`. Excludes `fraction`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub count: Option<usize>,
    /// Keep this share of the samples (0 < fraction ≤ 1, rounded to the nearest count, at least one), drawn with `seed`. Excludes `count`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub fraction: Option<f64>,
    /// Seed of the draw. A larger draw with the same seed contains the smaller one.
    pub seed: u64,
    /// Draw so that every class keeps its share.
    pub stratified: bool,
    /// What to do with images that do not decode and with empty class folders.
    pub on_error: OnError,
    /// Resize every image, before `crop`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resize: Option<Resize>,
    /// Cut `[height, width]` out of the middle of every image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crop: Option<[u32; 2]>,
    /// Colour of the images; image folders default to `rgb`, arrays stay as they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub color: Option<Color>,
    /// Order of the axes in the stored arrays (format `numpy`). Loaded samples are always channels-last.
    pub layout: Layout,
    /// Which array is for which input of the model (format `numpy`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inputs: Option<InputArrays>,
    /// Files of labels in the data (format `list`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub list: Option<Lists>,
    /// Where the listed images lie, such as `images/{name}.jpg`; without it they are found by their names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images: Option<String>,
    /// What the columns of the list mean; a header or the cells may show it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub columns: Option<Columns>,
    /// The number of the first class in the list.
    #[serde(skip_serializing_if = "is_zero")]
    pub first_label: i64,
    /// What classes are called that the data only number (formats `list`, `idx`, `numpy`), in label order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class_names: Option<ClassNames>,
    /// What samples are labelled with, where the data do not show it.
    #[serde(skip_serializing_if = "Labels::is_auto")]
    pub labels: Labels,
    /// Where the mask of an image lies, such as `masks/{name}.png` (formats `image-folder`, `list`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub masks: Option<String>,
    /// The values of a mask's pixels in the order of the classes; without it a value is the number of its class, and 255 none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mask_values: Option<Vec<u8>>,
    /// What the name of a file says, such as `{class}_{index}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Which sounds are the test split, by what their names say, such as `index < 5`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<String>,
    /// How sounds become pictures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spectrogram: Option<Spectrogram>,
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// Format of a dataset's files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Format {
    /// Recognize it.
    #[default]
    Auto,
    /// CIFAR-10 binary batches: `data_batch_N.bin`, `test_batch.bin`, `batches.meta.txt`.
    Cifar10,
    /// CIFAR-100 binary: `train.bin`, `test.bin`, `fine_label_names.txt`. Labels are the fine ones.
    Cifar100,
    /// JPEG, PNG, GIF, BMP, WebP or TIFF files as `<split>/<class>/<name>` or `<class>/<name>`; classes in alphabetical order.
    ImageFolder,
    /// Images that label files list: `name label` lines, tables, JSON lines, or one number a line beside sorted names.
    List,
    /// WAV files as log-mel spectrograms.
    Audio,
    /// MNIST-style IDX pairs: `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-…`, gzipped or not.
    Idx,
    /// NumPy arrays in an `.npz` or as `.npy` files: `x_train`/`y_train`/`x_test`/`y_test`, `x`/`y`, `images`/`labels`, ….
    Numpy,
}

impl Format {
    /// The name used in recipes.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Cifar10 => "cifar10",
            Self::Cifar100 => "cifar100",
            Self::ImageFolder => "image-folder",
            Self::List => "list",
            Self::Audio => "audio",
            Self::Idx => "idx",
            Self::Numpy => "numpy",
        }
    }
}

/// A part of a split: `{ to: 0.8 }` and `{ from: 0.8 }` have no sample in common. Each class is divided; which samples a part holds depends on
/// nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Part {
    /// The share of the samples that comes before.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub from: f64,
    /// The share of the samples at which the part ends.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub to: f64,
}

impl Default for Part {
    fn default() -> Self {
        Self { from: 0.0, to: 1.0 }
    }
}

/// Part of a dataset.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(from = "String", into = "String")]
#[schemars(with = "String")]
pub enum Split {
    /// The training part: `train`, `training`.
    Train,
    /// The test part: `test`, `testing`, `t10k`.
    Test,
    /// Every part, in the order train, test, then others by name.
    All,
    /// Another part by its name, such as `val`.
    Named(String),
}

impl From<String> for Split {
    fn from(name: String) -> Self {
        match name.to_ascii_lowercase().as_str() {
            "train" | "training" => Self::Train,
            "test" | "testing" | "t10k" => Self::Test,
            "all" => Self::All,
            _ => Self::Named(name),
        }
    }
}

impl From<Split> for String {
    fn from(split: Split) -> Self {
        split.name().to_owned()
    }
}

impl Split {
    /// The name used in recipes.
    pub fn name(&self) -> &str {
        match self {
            Self::Train => "train",
            Self::Test => "test",
            Self::All => "all",
            Self::Named(name) => name,
        }
    }

    /// Whether people customarily call a folder of this name a split.
    pub(crate) fn is_customary(name: &str) -> bool {
        matches!(
            name.to_ascii_lowercase().as_str(),
            "train" | "training" | "test" | "testing" | "t10k" | "val" | "valid" | "validation" | "dev" | "eval"
        )
    }
}

/// What to do with a sample that cannot be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnError {
    /// Refuse the dataset and name the first such sample.
    #[default]
    Fail,
    /// Leave the sample out and list it.
    Skip,
}

impl Spec {
    /// The setting for pictures that is given, if one is.
    pub(crate) fn of_pictures(&self) -> Option<&'static str> {
        let given = [
            ("resize", self.resize.is_some()),
            ("crop", self.crop.is_some()),
            ("color", self.color.is_some()),
        ];
        given.into_iter().find(|(_, given)| *given).map(|(key, _)| key)
    }

    /// Finds settings that contradict each other or cannot be met by any data.
    pub fn check(&self) -> Result<(), DataError> {
        let wrong = |key, why: &str| {
            Err(DataError::Setting {
                key,
                why: why.to_owned(),
            })
        };
        if self.count.is_some() && self.fraction.is_some() {
            return wrong("count", "excludes `fraction`; give one of them");
        }
        if self.count == Some(0) {
            return wrong("count", "0 samples asked for; give at least 1, or leave it out for all");
        }
        if let Some(fraction) = self.fraction
            && !(fraction > 0.0 && fraction <= 1.0)
        {
            return Err(DataError::Setting {
                key: "fraction",
                why: format!("{fraction} is not in 0 < fraction ≤ 1"),
            });
        }
        if let Some(share) = self.test_share
            && !(share > 0.0 && share < 1.0)
        {
            return Err(DataError::Setting {
                key: "test-share",
                why: format!("{share} is not in 0 < share < 1"),
            });
        }
        if let Some(Part { from, to }) = self.part
            && !(0.0 <= from && from < to && to <= 1.0)
        {
            return Err(DataError::Setting {
                key: "part",
                why: format!("{from} to {to} is not in 0 ≤ from < to ≤ 1"),
            });
        }
        if self.classes.as_ref().is_some_and(Vec::is_empty) {
            return wrong(
                "classes",
                "empty list; name at least one class, or leave it out for all",
            );
        }
        if let Some(resize) = self.resize {
            match (resize.shorter, resize.to) {
                (Some(_), Some(_)) => {
                    return wrong("resize", "`shorter` excludes `to`; give one of them");
                }
                (None, None) => {
                    return wrong("resize", "give `shorter: N` or `to: [height, width]`");
                }
                (Some(side), None) => check_sides("resize.shorter", [side, side])?,
                (None, Some(sides)) => check_sides("resize.to", sides)?,
            }
        }
        if let Some(columns) = &self.columns {
            columns.check()?;
        }
        if let Some(inputs) = &self.inputs {
            inputs.check()?;
            if !matches!(self.format, Format::Auto | Format::Numpy) {
                return wrong("inputs", "names arrays; set `format: numpy`, or remove it");
            }
        }
        let name = self
            .name
            .as_ref()
            .map(|name| Pattern::parse("name", name))
            .transpose()?;
        match (&self.test, &name) {
            (Some(test), Some(name)) => drop(Condition::parse("test", test, name)?),
            (Some(_), None) => {
                return wrong(
                    "test",
                    "is a condition on fields of `name`; give a pattern such as {class}_{index}",
                );
            }
            (None, _) => {}
        }
        if let Some(spectrogram) = &self.spectrogram {
            spectrogram.check()?;
        }
        if self.format == Format::Audio && (self.resize.is_some() || self.crop.is_some() || self.color.is_some()) {
            return wrong(
                "format",
                "audio has spectrograms and no pictures; remove `resize`, `crop` and `color`",
            );
        }
        if let Some(images) = &self.images
            && !Pattern::parse("images", images)?.has("name")
        {
            return wrong(
                "images",
                "lacks `{name}`: write it where the listed name stands, as in images/{name}.jpg",
            );
        }
        if !matches!(self.format, Format::Audio | Format::Auto) {
            for (key, given) in [
                ("test", self.test.is_some()),
                ("spectrogram", self.spectrogram.is_some()),
            ] {
                if given {
                    return wrong(key, "is for sounds; set `format: audio`, or remove it");
                }
            }
        }
        if self.format != Format::List && self.format != Format::Auto {
            for (key, given) in [
                ("list", self.list.is_some()),
                ("columns", self.columns.is_some()),
                ("images", self.images.is_some()),
                ("first-label", self.first_label != 0),
            ] {
                if given {
                    return wrong(key, "says how label files are read; set `format: list`, or remove it");
                }
            }
        }
        self.check_labels()?;
        let numbered = matches!(self.format, Format::Auto | Format::List | Format::Idx | Format::Numpy);
        let numbered = numbered || self.masks.is_some();
        if self.class_names.is_some() && !numbered {
            return wrong(
                "class-names",
                "names classes that are numbers, as those of `idx`, `numpy` and `list`; these data name theirs",
            );
        }
        if self.name.is_some() && !matches!(self.format, Format::Auto | Format::List | Format::Audio) {
            return wrong(
                "name",
                "is read of listed images and of sounds; set `format: list` or `format: audio`, or remove it",
            );
        }
        self.crop.map_or(Ok(()), |sides| check_sides("crop", sides))
    }

    /// Finds settings of labels that no data can meet.
    fn check_labels(&self) -> Result<(), DataError> {
        let wrong = |key, why: String| Err(DataError::Setting { key, why });
        if let Some(masks) = &self.masks {
            if !Pattern::parse("masks", masks)?.has("name") {
                let why = "lacks `{name}`: write it where the image's name stands, as in masks/{name}.png";
                return wrong("masks", why.into());
            }
            if !matches!(self.format, Format::Auto | Format::ImageFolder | Format::List) {
                let why =
                    "says where the masks of images lie; set `format: image-folder` or `format: list`, or remove it";
                return wrong("masks", why.into());
            }
            if !matches!(self.labels, Labels::Auto | Labels::Mask) {
                let why = format!(
                    "`masks` labels pixels; set `labels: mask`, or remove `labels: {}`",
                    self.labels.name()
                );
                return wrong("labels", why);
            }
        }
        let fits = match self.labels {
            Labels::Auto | Labels::Class => true,
            Labels::Boxes => matches!(self.format, Format::Auto | Format::List),
            Labels::Classes | Labels::Numbers => matches!(self.format, Format::Auto | Format::List | Format::Numpy),
            Labels::Mask => self.masks.is_some() || matches!(self.format, Format::Auto | Format::List | Format::Numpy),
        };
        if !fits {
            let why = match self.labels {
                Labels::Mask => {
                    "`mask` needs `masks`, a pattern that says where they lie, such as masks/{name}.png".into()
                }
                Labels::Boxes => {
                    "`boxes` are read from annotations of COCO or VOC; name their file or folder with `list`".into()
                }
                kind => format!("`{}` are read by the formats `list` and `numpy`", kind.name()),
            };
            return wrong("labels", why);
        }
        if let Some(values) = &self.mask_values {
            let again = values
                .iter()
                .enumerate()
                .find(|(at, value)| values[..*at].contains(value));
            if let Some((_, value)) = again {
                return wrong("mask-values", format!("{value} stands twice; a value is of one class"));
            }
            if values.len() < 2 {
                return wrong(
                    "mask-values",
                    "at least two values are needed, one for each class: [0, 255]".into(),
                );
            }
        }
        Ok(())
    }
}

/// The longest side of an image that a recipe may ask for.
const LONGEST_SIDE: u32 = 1 << 14;

fn check_sides(key: &'static str, sides: [u32; 2]) -> Result<(), DataError> {
    sides
        .iter()
        .find(|&&side| side == 0 || side > LONGEST_SIDE)
        .map_or(Ok(()), |side| {
            Err(DataError::Setting {
                key,
                why: format!("side of {side} pixels is not in 1..={LONGEST_SIDE}"),
            })
        })
}

#[cfg(test)]
mod tests;
