//! What the page and an engine say to each other.

use serde::{Deserialize, Serialize};

use crate::lab::{Frame, HttpRequest, HttpResponse, LabError, Row};

/// Page and engine must speak alike, and a browser may hold an old engine beside a new page: this is a hash of all
/// that gives messages their form. Another version is refused, and the page loads once more.
pub const VERSION: u64 = fingerprint(&[
    include_bytes!("message.rs"),
    include_bytes!("../chart/mod.rs"),
    include_bytes!("../lab/error.rs"),
    include_bytes!("../lab/panel.rs"),
    include_bytes!("../lab/mod.rs"),
]);

/// FNV-1a, while compiling.
const fn fingerprint(texts: &[&[u8]]) -> u64 {
    let (mut hash, mut text) = (0xcbf2_9ce4_8422_2325_u64, 0);
    while text < texts.len() {
        let mut at = 0;
        while at < texts[text].len() {
            hash = (hash ^ texts[text][at] as u64).wrapping_mul(0x0000_0100_0000_01b3);
            at += 1;
        }
        text += 1;
    }
    hash
}

/// What an engine is asked to suffer, and after which step, so that everyone can see what happens then:
/// `fault=panic:150` in the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    pub kind: FaultKind,
    pub step: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FaultKind {
    /// The engine's code fails.
    Panic,
    /// The graphics processor is taken away.
    Device,
    /// More memory is asked for than there is.
    Memory,
    /// A number of the run becomes infinite.
    Diverge,
    /// The engine's files do not come.
    Load,
    /// The engine speaks as another version does.
    Version,
}

impl FaultKind {
    /// With its name in the address and what it does.
    pub const ALL: &'static [(Self, &'static str, &'static str)] = &[
        (Self::Panic, "panic", "the engine's code fails"),
        (Self::Device, "device", "the graphics processor is taken away"),
        (Self::Memory, "memory", "more memory is asked for than there is"),
        (Self::Diverge, "diverge", "a number of the run becomes infinite"),
        (Self::Load, "load", "the engine's files do not come"),
        (Self::Version, "version", "the engine speaks as another version does"),
    ];
}

impl Fault {
    /// From `kind` or `kind:step`.
    pub fn named(text: &str) -> Option<Self> {
        let (name, step) = text.split_once(':').unwrap_or((text, "0"));
        let (kind, ..) = FaultKind::ALL.iter().find(|(_, known, _)| *known == name)?;
        Some(Self { kind: *kind, step: step.parse().ok()? })
    }
}

/// From the page. Travels as JSON, with `bytes` as a buffer beside it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Command {
    /// Starts a run, from a saved state if there is one.
    Start {
        run: u32,
        lab: String,
        query: String,
        speed: Speed,
        paused: bool,
        fault: Option<Fault>,
        #[serde(skip)]
        state: Option<Vec<u8>>,
    },
    /// `Live` or `View` parameters changed.
    Set {
        query: String,
    },
    Speed {
        speed: Speed,
    },
    Pause,
    Resume,
    Step,
    Stop,
    /// The page has drawn the frame that it was sent.
    Seen,
    /// Looks at the last recorded step not after `at`, or at the run as it goes.
    Look {
        at: Option<u64>,
    },
    /// What is run in the background waits while this is on: the reader is dragging something.
    Hold {
        on: bool,
    },
    /// Runs settings, `(label, query)`, to their ends.
    Batch {
        run: u32,
        lab: String,
        rows: Vec<(String, String)>,
    },
    /// Times some steps of a lab, after a few to warm up.
    Time {
        run: u32,
        lab: String,
        query: String,
        steps: u32,
    },
    File {
        key: String,
        #[serde(skip)]
        bytes: Vec<u8>,
    },
    Response {
        id: u32,
        response: Result<HttpResponse, LabError>,
        /// How often the request was sent for it.
        sent: u32,
    },
}

impl Command {
    /// The part that travels beside the JSON.
    pub fn take_bytes(&mut self) -> Option<Vec<u8>> {
        match self {
            Self::Start { state, .. } => state.take(),
            Self::File { bytes, .. } => Some(std::mem::take(bytes)),
            _ => None,
        }
    }

    /// The inverse of [`take_bytes`](Self::take_bytes).
    pub fn put_bytes(&mut self, arrived: Vec<u8>) {
        match self {
            Self::Start { state, .. } => *state = Some(arrived),
            Self::File { bytes, .. } => *bytes = arrived,
            _ => {}
        }
    }
}

/// From an engine. Travels as postcard bytes: frames are large, and JSON would turn NaN into null.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// The engine is up, on this device.
    Hello {
        version: u64,
        device: String,
    },
    Started {
        run: u32,
    },
    /// What is seen now, or what was seen at a past step that the page looks at.
    Frame {
        run: u32,
        live: bool,
        frame: Frame,
    },
    Progress {
        run: u32,
        progress: Progress,
    },
    /// The newest state of the run: postcard bytes of a [`State`](crate::lab::State).
    State {
        run: u32,
        step: u64,
        bytes: Vec<u8>,
    },
    Row {
        run: u32,
        row: Row,
    },
    Timed {
        run: u32,
        steps: u32,
        milliseconds: f64,
    },
    Request {
        id: u32,
        request: HttpRequest,
    },
    Finished {
        run: u32,
    },
    Failed {
        run: u32,
        error: LabError,
    },
}

/// How far a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    pub step: u64,
    pub of: Option<u64>,
    /// Steps a second, as they are shown.
    pub rate: f64,
    /// Steps a second, if nothing held them back.
    pub most: f64,
    pub phase: Phase,
    /// The last step on record, for the time line.
    pub recorded: u64,
    /// Fused operations that ran on the CPU in this engine so far: none, if it is the GPU's.
    pub on_cpu: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    #[default]
    Paused,
    Running,
    /// Nothing to do until a parameter changes.
    Idle,
    Done,
}

/// How fast steps are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Speed {
    Slow,
    /// Each step is seen.
    One,
    Four,
    #[default]
    Max,
}

impl Speed {
    pub const ALL: &'static [Self] = &[Self::Slow, Self::One, Self::Four, Self::Max];

    /// Steps a second at most.
    pub fn steps_a_second(self) -> Option<f64> {
        match self {
            Self::Slow => Some(5.0),
            Self::One => Some(60.0),
            Self::Four => Some(240.0),
            Self::Max => None,
        }
    }

    /// In the link, and on its button.
    pub fn label(self) -> &'static str {
        match self {
            Self::Slow => "slow",
            Self::One => "1×",
            Self::Four => "4×",
            Self::Max => "max",
        }
    }

    pub fn value(self) -> &'static str {
        self.label().trim_end_matches('×')
    }

    pub fn named(value: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|speed| speed.value() == value)
    }
}
