//! What every reader of safetensors needs: a header that is held against the bytes that are there, and numbers as f32.
//!
//! Nothing is taken on trust: no length of the header is used before it is compared with the file, and nothing but the
//! header itself is ever copied.

use burn::tensor::{bf16, f16};
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};

/// Bytes of a header that are read. The largest of models need less.
const MOST_HEADER: usize = 1 << 20;
/// Bytes of the header's own length.
const LENGTH: usize = size_of::<u64>();

/// A safetensors file whose header agrees with its bytes.
#[derive(Debug)]
pub struct TensorFile<'a> {
    header: Metadata,
    /// Where the numbers begin in the file.
    start: usize,
    bytes: &'a [u8],
}

/// Why bytes are no whole safetensors file. Each is a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FormatError {
    /// It does not begin as such a file does: with the length of a header, and its brace.
    Foreign,
    /// The header is longer than any that is read.
    HeaderLength { promised: u64 },
    /// The header ends in its midst.
    HeaderCut { promised: u64, held: usize },
    /// The header is no JSON, or does not say what and where its tensors are.
    Header,
    /// An entry that describes the file is no text.
    Entry { key: String, got: String },
    /// The header describes more or fewer numbers than there are.
    Length { promised: usize, held: usize },
}

impl std::fmt::Display for FormatError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Foreign => f.write_str("This is not a safetensors file."),
            Self::HeaderLength { promised } => {
                write!(f, "The header of this file has {promised} bytes; {MOST_HEADER} are the most.")
            }
            Self::HeaderCut { promised, held } => {
                write!(f, "This file is cut off: its header should have {promised} bytes, and {held} are there.")
            }
            Self::Header => f.write_str("The header of this file does not say what tensors it holds and where."),
            Self::Entry { key, got } => write!(
                f,
                "“{key}” in the “__metadata__” of this file is {got} without quotes. All entries there are texts: write it as \"{got}\", in quotes."
            ),
            Self::Length { promised, held } if held < promised => write!(
                f,
                "This file is cut off: {promised} bytes of numbers should follow its header, and {held} do. Copy it once more."
            ),
            Self::Length { promised, held } => {
                write!(f, "{held} bytes follow the header of this file, which describes {promised}.")
            }
        }
    }
}

impl std::error::Error for FormatError {}

impl<'a> TensorFile<'a> {
    /// # Errors
    ///
    /// When header and bytes do not agree.
    pub fn open(bytes: &'a [u8]) -> Result<Self, FormatError> {
        let Some((length, rest)) = bytes.split_first_chunk::<LENGTH>().filter(|(_, rest)| rest.starts_with(b"{"))
        else {
            return Err(FormatError::Foreign);
        };
        let promised = u64::from_le_bytes(*length);
        if promised > MOST_HEADER as u64 {
            return Err(FormatError::HeaderLength { promised });
        }
        let Some((header, data)) = rest.split_at_checked(promised as usize) else {
            return Err(FormatError::HeaderCut { promised, held: rest.len() });
        };
        let length = header.len();
        let header: Metadata = serde_json::from_slice(header).map_err(|_| unread(header))?;
        match header.data_len() {
            promised if promised != data.len() => Err(FormatError::Length { promised, held: data.len() }),
            _ => Ok(Self { header, start: LENGTH + length, bytes }),
        }
    }

    /// Names of all tensors, in order.
    pub fn names(&self) -> Vec<String> {
        let mut names = self.header.offset_keys();
        names.sort_unstable();
        names
    }

    /// An entry of the header that is no tensor.
    pub fn entry(&self, key: &str) -> Option<&str> {
        self.header.metadata().as_ref()?.get(key).map(String::as_str)
    }

    pub fn info(&self, name: &str) -> Option<&TensorInfo> {
        self.header.info(name)
    }

    /// Where a tensor's numbers lie in the file.
    pub fn place(&self, info: &TensorInfo) -> std::ops::Range<usize> {
        self.start + info.data_offsets.0..self.start + info.data_offsets.1
    }

    /// A tensor's numbers; none, if they are of a type that [`floats`] does not read.
    pub fn floats(&self, info: &TensorInfo) -> Option<Vec<f32>> {
        floats(info.dtype, &self.bytes[self.place(info)])
    }
}

/// Why a header cannot be read. The parser's own words would tell a reader nothing.
fn unread(header: &[u8]) -> FormatError {
    let header: serde_json::Value = serde_json::from_slice(header).unwrap_or_default();
    let mut entries = header.get("__metadata__").and_then(serde_json::Value::as_object).into_iter().flatten();
    match entries.find(|(_, entry)| !entry.is_string()) {
        Some((key, entry)) => FormatError::Entry { key: clipped(key), got: clipped(&entry.to_string()) },
        None => FormatError::Header,
    }
}

/// Types that [`floats`] reads, as a sentence names them.
pub const READ: &str = "F16, BF16 and F32";

/// Numbers of these types as f32; none of any other.
pub fn floats(dtype: Dtype, bytes: &[u8]) -> Option<Vec<f32>> {
    Some(match dtype {
        Dtype::F16 => bytes.as_chunks().0.iter().map(|&half| f16::from_le_bytes(half).to_f32()).collect(),
        Dtype::BF16 => bytes.as_chunks().0.iter().map(|&half| bf16::from_le_bytes(half).to_f32()).collect(),
        Dtype::F32 => bytes.as_chunks().0.iter().map(|&single| f32::from_le_bytes(single)).collect(),
        _ => return None,
    })
}

/// A name or a message from a file, which may be of any length, as it is quoted.
pub fn clipped(text: &str) -> String {
    const MOST: usize = 120;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
