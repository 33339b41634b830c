//! What can go wrong in a lab, sorted by what the reader can do about it.

use serde::{Deserialize, Serialize};

/// Why a run could not go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LabError {
    /// A number of the run is no longer finite: smaller steps help, where a lab lets one choose them.
    Diverged { step: u64 },
    /// The device failed: the CPU engine can take over.
    Device { message: String },
    /// The data cannot be used: other data, or other columns, help.
    Data { message: String },
    /// A file of the site could not be read.
    Asset { path: String, message: String },
    /// A request to the reader's own endpoint failed.
    Http { message: String },
    /// Nobody typed the address of an endpoint, so that none is asked.
    NoAddress,
    /// No lab has this slug.
    Unknown { slug: String },
}

impl LabError {
    pub fn data(message: impl Into<String>) -> Self {
        Self::Data { message: message.into() }
    }
}

impl std::fmt::Display for LabError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Diverged { step } => {
                write!(f, "The run broke off at step {step}: its numbers are no longer finite. Your settings are kept.")
            }
            Self::Device { message } => {
                write!(f, "The device failed. The CPU engine runs everything. What the device said: {message}.")
            }
            Self::Data { message } => f.write_str(message),
            Self::Asset { path, message } => write!(
                f,
                "“{path}” could not be read: {message}. If you are offline, what was loaded before still runs; else try again."
            ),
            Self::Http { message } => f.write_str(message),
            Self::NoAddress => f.write_str("No address is typed for this lab, so nothing is sent anywhere."),
            Self::Unknown { slug } => {
                write!(f, "There is no lab “{slug}”. The home page lists them all.")
            }
        }
    }
}

impl std::error::Error for LabError {}
