//! One open lab: the store of its parameters, its run, and what came of it.

use std::collections::HashMap;

use heads_and_tails::drive::{Command, Engine, Event, Phase, Progress, Speed, Timing, VERSION, decide};
use heads_and_tails::lab::{Frame, LabError, ParamProblem, Row, Scope, Values};
use heads_and_tails::labs::Entry;
use leptos::leptos_dom::helpers::{TimeoutHandle, set_timeout_with_handle};
use leptos::prelude::*;
use std::time::Duration;

use crate::address::{self, Address};
use crate::engine::{Adapter, Heard, Worked};

/// A `Run` parameter restarts the run when it has rested this long.
const REST: Duration = Duration::from_millis(150);
/// The address follows the page at most this often.
const MIRROR: Duration = Duration::from_millis(250);
/// Steps that the race times.
const RACE_STEPS: u32 = 20;
/// Steps a second under which a real adapter is worth a race.
const SLOW: f64 = 50.0;

/// Something the reader must know, with what can be done about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    pub message: String,
    pub acts: Vec<Act>,
    /// Nothing is broken; it is only good to know.
    pub calm: bool,
}

impl Notice {
    fn new(message: impl Into<String>, acts: &[Act]) -> Self {
        Self { message: message.into(), acts: acts.to_vec(), calm: false }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Restart,
    Resume,
    OnCpu,
}

impl Act {
    pub fn label(self) -> &'static str {
        match self {
            Self::Restart => "Start again",
            Self::Resume => "Go on from the last state",
            Self::OnCpu => "Go on with the CPU engine",
        }
    }
}

/// Handles to the signals of an open lab; copied freely.
#[derive(Clone, Copy)]
pub struct Session {
    pub entry: &'static Entry,
    pub values: RwSignal<Values>,
    pub problems: RwSignal<Vec<ParamProblem>>,
    pub frame: RwSignal<Option<Frame>>,
    pub progress: RwSignal<Progress>,
    pub notice: RwSignal<Option<Notice>>,
    pub speed: RwSignal<Speed>,
    pub engine: RwSignal<Engine>,
    /// The engine that runs now, and why it was chosen.
    pub running_on: RwSignal<Engine>,
    pub device: RwSignal<String>,
    pub reason: RwSignal<String>,
    pub adapter: RwSignal<Adapter>,
    pub playing: RwSignal<bool>,
    /// The past step that is looked at.
    pub look: RwSignal<Option<u64>>,
    /// Finished rows by batch.
    pub rows: RwSignal<HashMap<String, Vec<Row>>>,
    /// The batch that is running.
    pub busy: RwSignal<Option<String>>,
    inner: StoredValue<Inner, LocalStorage>,
}

#[derive(Default)]
struct Inner {
    worker: Option<Worked>,
    background: Option<Worked>,
    racers: Vec<Worked>,
    timings: [Option<Timing>; 2],
    raced: bool,
    run: u32,
    /// WebGPU was tried here and could not be opened.
    no_gpu: bool,
    /// The newest state: what a run resumes from.
    state: Option<Vec<u8>>,
    files: Vec<(String, Vec<u8>)>,
    fault: Option<u64>,
    restart: Option<TimeoutHandle>,
    mirror: Option<TimeoutHandle>,
    address: Option<Address>,
}

impl Session {
    /// Opens a lab as its address says.
    pub fn open(entry: &'static Entry, at: Address) -> Self {
        let (values, problems) = Values::from_query(entry.specs, &at.params);
        let session = Self {
            entry,
            values: RwSignal::new(values),
            problems: RwSignal::new(problems),
            frame: RwSignal::new(None),
            progress: RwSignal::new(Progress::default()),
            notice: RwSignal::new(None),
            speed: RwSignal::new(at.speed),
            engine: RwSignal::new(at.engine),
            running_on: RwSignal::new(Engine::Cpu),
            device: RwSignal::new(String::new()),
            reason: RwSignal::new(String::new()),
            adapter: RwSignal::new(Adapter::Unknown),
            playing: RwSignal::new(!at.paused),
            look: RwSignal::new(None),
            rows: RwSignal::new(HashMap::new()),
            busy: RwSignal::new(None),
            inner: StoredValue::new_local(Inner { fault: at.fault, address: Some(at), ..Inner::default() }),
        };
        leptos::task::spawn_local(async move {
            session.adapter.set(crate::engine::adapter().await);
        });
        session.start(None);
        on_cleanup(move || session.inner.update_value(|inner| *inner = Inner::default()));
        session
    }

    /// Starts the run anew, from a state if there is one.
    pub fn start(self, state: Option<Vec<u8>>) {
        let no_gpu = self.inner.with_value(|inner| inner.no_gpu);
        let wanted = match self.engine.get_untracked() {
            Engine::Gpu if !no_gpu => Engine::Gpu,
            _ => Engine::Cpu,
        };
        self.notice.set(None);
        self.look.set(None);
        self.ensure(wanted);
        let command = self.inner.try_update_value(|inner| {
            inner.run += 1;
            inner.state = None;
            Command::Start {
                run: inner.run,
                lab: self.entry.card.slug.to_owned(),
                query: self.values.with_untracked(Values::to_query),
                speed: self.speed.get_untracked(),
                paused: !self.playing.get_untracked(),
                fault: inner.fault.take(),
                state,
            }
        });
        if let Some(command) = command {
            self.tell(command);
        }
        self.mirror();
    }

    /// Makes sure that an engine of this kind is up.
    fn ensure(self, wanted: Engine) {
        let up = self.inner.with_value(|inner| inner.worker.is_some());
        if up && self.running_on.get_untracked() == wanted {
            return;
        }
        self.running_on.set(wanted);
        self.device.set(String::new());
        self.reason.set(match (self.engine.get_untracked(), wanted) {
            (Engine::Auto, _) => {
                "Every lab starts on the CPU at once: models this small are mostly faster without a GPU.".to_owned()
            }
            (Engine::Gpu, Engine::Cpu) => "You asked for WebGPU, which could not be opened here.".to_owned(),
            (Engine::Cpu, _) => "You asked for the CPU.".to_owned(),
            (Engine::Gpu, _) => {
                "You asked for WebGPU. Its first step compiles shaders, which takes a while.".to_owned()
            }
        });
        match Worked::start(wanted.value(), move |heard| self.hear(heard)) {
            Ok(worker) => self.inner.update_value(|inner| {
                for (key, bytes) in &inner.files {
                    worker.send(Command::File { key: key.clone(), bytes: bytes.clone() });
                }
                inner.worker = Some(worker);
            }),
            Err(error) => self.lost(&error),
        }
    }

    fn tell(self, command: Command) {
        self.inner.with_value(|inner| {
            if let Some(worker) = &inner.worker {
                worker.send(command);
            }
        });
    }

    fn hear(self, heard: Heard) {
        let event = match heard {
            Heard::Event(event) => event,
            Heard::Fault(message) => return self.lost(&message),
        };
        let current = self.inner.with_value(|inner| inner.run);
        match event {
            Event::Hello { version, device } => {
                if version != VERSION {
                    self.lost("The engine is of another version. Load the page again.");
                }
                self.device.set(device);
            }
            Event::Frame { run, live, frame } if run == current => {
                if live == self.look.get_untracked().is_none() {
                    self.frame.set(Some(frame));
                }
                if live {
                    // Drawn with the next picture of the screen; only then may the engine send another.
                    request_animation_frame(move || self.tell(Command::Seen));
                }
            }
            Event::Progress { run, progress } if run == current => {
                self.progress.set(progress);
                if progress.phase == Phase::Done {
                    self.playing.set(false);
                }
                let slow = progress.most > 0.0 && progress.most < SLOW;
                if slow && self.engine.get_untracked() == Engine::Auto && self.adapter.get_untracked() == Adapter::Real
                {
                    self.race();
                }
            }
            Event::State { run, bytes, .. } if run == current => {
                self.inner.update_value(|inner| inner.state = Some(bytes));
            }
            Event::Request { id, .. } => {
                let response = Err("No address was typed for this lab, so nothing is sent anywhere.".to_owned());
                self.tell(Command::Response { id, response });
            }
            // Before any run: from the opening of the device.
            Event::Failed { run: 0, error } => self.without_gpu(&error),
            Event::Failed { run, error } if run == current => self.failed(&error),
            _ => {}
        }
    }

    /// The device of the GPU engine could not be opened: the CPU takes over, and one line says so.
    fn without_gpu(self, error: &LabError) {
        self.inner.update_value(|inner| (inner.no_gpu, inner.worker) = (true, None));
        self.start(None);
        let message = match error {
            LabError::Device { message } => {
                format!("WebGPU could not be opened ({message}). The CPU engine runs this lab.")
            }
            other => other.to_string(),
        };
        self.notice.set(Some(Notice { message, acts: vec![], calm: true }));
    }

    fn failed(self, error: &LabError) {
        self.playing.set(false);
        let on_gpu = self.running_on.get_untracked() == Engine::Gpu;
        match error {
            LabError::Device { .. } if on_gpu => {
                self.inner.update_value(|inner| inner.worker = None);
                self.notice.set(Some(Notice::new(error.to_string(), &[Act::OnCpu])));
            }
            _ => self.notice.set(Some(Notice::new(error.to_string(), &[Act::Restart]))),
        }
    }

    fn lost(self, message: &str) {
        let step = self.progress.with_untracked(|progress| progress.step);
        self.playing.set(false);
        self.inner.update_value(|inner| inner.worker = None);
        let gpu = self.running_on.get_untracked() == Engine::Gpu;
        let message = message.trim_end_matches('.');
        let message =
            format!("The engine stopped at step {step}: {message}. What was drawn and your settings are kept.");
        let acts: &[Act] = if gpu { &[Act::OnCpu] } else { &[Act::Resume, Act::Restart] };
        self.notice.set(Some(Notice::new(message, acts)));
    }

    pub fn act(self, act: Act) {
        let state = self.inner.try_update_value(|inner| inner.state.take()).flatten();
        self.playing.set(true);
        match act {
            Act::Restart => self.start(None),
            Act::Resume => self.start(state),
            Act::OnCpu => {
                self.engine.set(Engine::Cpu);
                self.start(state);
            }
        }
    }

    /// Sets a parameter from what a field, a drag or a painting says.
    pub fn set(self, key: &str, text: &str) {
        let before = self.values.get_untracked();
        let mut after = before.clone();
        let problem = after.set(key, text);
        self.problems.update(|problems| {
            problems.retain(|problem| problem.key != key);
            problems.extend(problem);
        });
        self.take(&before, after);
    }

    /// Takes a whole setting, as a preset or a link gives it: what it does not name is as declared.
    pub fn take_query(self, query: &str) {
        let before = self.values.get_untracked();
        let (mut after, problems) = Values::from_query(self.entry.specs, query);
        // A preset is about the lab, not about the seed that the reader chose.
        if !heads_and_tails::lab::params::pairs(query).iter().any(|(key, _)| key == "seed")
            && let Some(seed) = before.get("seed")
        {
            let _kept = after.set("seed", &seed_text(seed));
        }
        self.problems.set(problems);
        self.take(&before, after);
    }

    /// Changes what the query names and leaves the rest.
    pub fn merge_query(self, query: &str) {
        let before = self.values.get_untracked();
        let mut after = before.clone();
        let problems = after.apply(query);
        self.problems.set(problems);
        self.take(&before, after);
    }

    fn take(self, before: &Values, after: Values) {
        let scope = before.differs(&after);
        let query = after.to_query();
        self.values.set(after);
        self.mirror();
        match scope {
            None => {}
            Some(Scope::Run) => {
                self.inner.update_value(|inner| {
                    if let Some(timer) = inner.restart.take() {
                        timer.clear();
                    }
                    inner.restart = set_timeout_with_handle(
                        move || {
                            self.playing.set(true);
                            self.start(None);
                        },
                        REST,
                    )
                    .ok();
                });
            }
            Some(Scope::Live | Scope::View) => self.tell(Command::Set { query }),
        }
    }

    pub fn file(self, key: &str, name: &str, bytes: Vec<u8>) {
        self.tell(Command::File { key: key.to_owned(), bytes: bytes.clone() });
        self.inner.update_value(|inner| {
            inner.files.retain(|(kept, _)| kept != key);
            inner.files.push((key.to_owned(), bytes));
        });
        self.set(key, name);
        // The same name again may be another file.
        self.start(None);
    }

    pub fn play_or_pause(self) {
        if self.playing.get_untracked() {
            self.playing.set(false);
            self.tell(Command::Pause);
        } else {
            self.playing.set(true);
            if self.progress.with_untracked(|progress| progress.phase) == Phase::Paused {
                self.tell(Command::Resume);
            } else {
                self.start(None);
            }
        }
    }

    pub fn step_once(self) {
        self.playing.set(false);
        self.tell(Command::Step);
    }

    pub fn restart(self) {
        self.playing.set(true);
        self.start(None);
    }

    pub fn set_speed(self, speed: Speed) {
        self.speed.set(speed);
        self.tell(Command::Speed { speed });
        self.mirror();
    }

    /// Changes engines; the run starts again there.
    pub fn set_engine(self, engine: Engine) {
        self.engine.set(engine);
        self.playing.set(true);
        self.start(None);
    }

    pub fn look_at(self, at: Option<u64>) {
        self.look.set(at);
        self.tell(Command::Look { at });
    }

    /// The address of what is seen now.
    pub fn address(self) -> Option<Address> {
        let mut here = self.inner.with_value(|inner| inner.address.clone())?;
        here.params = self.values.with_untracked(Values::to_query);
        here.speed = self.speed.get_untracked();
        here.engine = self.engine.get_untracked();
        Some(here)
    }

    fn mirror(self) {
        self.inner.update_value(|inner| {
            if inner.mirror.is_none() {
                let follow = move || {
                    self.inner.update_value(|inner| inner.mirror = None);
                    if let Some(address) = self.address() {
                        address::mirror(&address.text());
                    }
                };
                inner.mirror = set_timeout_with_handle(follow, MIRROR).ok();
            }
        });
    }

    /// Runs the settings that have no row yet, beside the run, and keeps each row as it is done.
    pub fn run_batch(self, id: &str, settings: Vec<(String, String)>) {
        let whole = |query: &str| Values::from_query(self.entry.specs, query).0.to_query();
        let settings: Vec<(String, String)> =
            settings.into_iter().map(|(label, query)| (label, whole(&query))).collect();
        let wanted = |row: &Row| settings.iter().any(|(label, query)| *label == row.label && *query == row.query);
        // Rows of other settings would be read as these.
        self.rows.update(|rows| rows.entry(id.to_owned()).or_default().retain(wanted));
        let have = self.rows.with_untracked(|rows| rows.get(id).cloned().unwrap_or_default());
        let missing: Vec<_> =
            settings.into_iter().filter(|(label, _)| !have.iter().any(|row| row.label == *label)).collect();
        if missing.is_empty() {
            return;
        }
        self.busy.set(Some(id.to_owned()));
        let batch = id.to_owned();
        let hear = move |heard| match heard {
            Heard::Event(Event::Row { row, .. }) => {
                self.rows.update(|rows| rows.entry(batch.clone()).or_default().push(row));
            }
            Heard::Event(Event::Finished { .. }) => self.busy.set(None),
            Heard::Event(Event::Failed { error, .. }) => {
                self.busy.set(None);
                self.notice.set(Some(Notice::new(error.to_string(), &[])));
            }
            Heard::Fault(message) => {
                self.busy.set(None);
                let message = format!(
                    "The runs in the background stopped: {message} Finished ones are kept; start it again for the rest."
                );
                self.notice.set(Some(Notice::new(message, &[])));
            }
            Heard::Event(_) => {}
        };
        match Worked::start(Engine::Cpu.value(), hear) {
            Ok(worker) => {
                self.inner.with_value(|inner| {
                    for (key, bytes) in &inner.files {
                        worker.send(Command::File { key: key.clone(), bytes: bytes.clone() });
                    }
                });
                worker.send(Command::Batch { run: 1, lab: self.entry.card.slug.to_owned(), rows: missing });
                self.inner.update_value(|inner| inner.background = Some(worker));
            }
            Err(error) => self.lost(&error),
        }
    }

    /// What runs in the background waits while the reader drags something.
    pub fn hold(self, on: bool) {
        self.inner.with_value(|inner| {
            if let Some(worker) = &inner.background {
                worker.send(Command::Hold { on });
            }
        });
    }

    pub fn stop_batch(self) {
        self.inner.update_value(|inner| inner.background = None);
        self.busy.set(None);
    }

    /// Times this very lab on both engines, each in a worker of its own, and says which was faster. The running run
    /// stays where it is.
    pub fn race(self) {
        if self.inner.with_value(|inner| inner.raced) {
            return;
        }
        self.reason.set("Timing this lab on both engines …".to_owned());
        self.inner.update_value(|inner| {
            (inner.raced, inner.timings) = (true, [None; 2]);
            inner.racers.clear();
        });
        self.time_on(Engine::Cpu);
    }

    /// One after the other, so that they do not share the machine while they are timed.
    fn time_on(self, engine: Engine) {
        let hear = move |heard| match heard {
            Heard::Event(Event::Timed { steps, milliseconds, .. }) => {
                let timings = self.inner.try_update_value(|inner| {
                    inner.timings[usize::from(engine == Engine::Gpu)] = Some(Timing { steps, milliseconds });
                    inner.timings
                });
                match timings {
                    Some([Some(cpu), Some(gpu)]) => {
                        let (_, reason) = decide(cpu, gpu);
                        self.reason.set(reason);
                        // Not from inside the worker's own message.
                        set_timeout(move || self.inner.update_value(|inner| inner.racers.clear()), REST);
                    }
                    _ => self.time_on(Engine::Gpu),
                }
            }
            Heard::Event(Event::Failed { error, .. }) => self.reason.set(error.to_string()),
            Heard::Fault(message) => self.reason.set(format!("The race could not be run: {message}")),
            Heard::Event(_) => {}
        };
        match Worked::start(engine.value(), hear) {
            Ok(worker) => {
                worker.send(Command::Time {
                    run: 1,
                    lab: self.entry.card.slug.to_owned(),
                    query: self.values.with_untracked(Values::to_query),
                    steps: RACE_STEPS,
                });
                self.inner.update_value(|inner| inner.racers.push(worker));
            }
            Err(error) => self.reason.set(error),
        }
    }
}

fn seed_text(value: &heads_and_tails::lab::params::Value) -> String {
    match value {
        heads_and_tails::lab::params::Value::Int(seed) => seed.to_string(),
        _ => String::new(),
    }
}
