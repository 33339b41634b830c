//! One open lab: the store of its parameters, its run, and what came of it.

use std::collections::HashMap;
use std::rc::Rc;

use heads_and_tails::drive::{
    Command, Engine, Event, Fault, FaultKind, Phase, Progress, Speed, Timing, VERSION, decide, stride,
};
use heads_and_tails::lab::guess::Guess;
use heads_and_tails::lab::params::{Kind, ParamSpec, Part, Value, pairs};
use heads_and_tails::lab::sending;
use heads_and_tails::lab::{BatchSpec, Body, Frame, HttpRequest, LabError, Panel, ParamProblem, Row, Scope, Values};
use heads_and_tails::labs::Entry;
use leptos::leptos_dom::helpers::{TimeoutHandle, set_timeout_with_handle};
use leptos::prelude::*;
use std::time::Duration;
use wasm_bindgen::JsCast;

use crate::address::{self, Address, PARTS, Start};
use crate::connect::Connection;
use crate::engine::{Adapter, Heard, Worked, relaxed_simd};
use crate::files::GivenFiles;
use crate::turns::Turns;

/// A `Run` parameter restarts the run when it has rested this long.
const REST: Duration = Duration::from_millis(150);
/// The address follows the page at most this often.
const MIRROR: Duration = Duration::from_millis(250);
/// Changes of the same parameters that follow each other faster than this are one to undo, as of a slider that is
/// dragged.
const ONE_CHANGE: f64 = 700.0;
/// Changes that can be undone.
const MOST_UNDONE: usize = 100;
/// How long a frame stands where motion is unwelcome, in milliseconds. The run goes on meanwhile.
const CALM: Duration = Duration::from_millis(500);
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
    /// The run could not begin, so that what is drawn is of the setting before.
    pub earlier: bool,
}

impl Notice {
    fn new(message: impl Into<String>, acts: &[Act]) -> Self {
        Self { message: message.into(), acts: acts.to_vec(), calm: false, earlier: false }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    Restart,
    /// From the last state that the page holds, which is of this step.
    Resume(u64),
    OnCpu,
    /// Opens the file dialog of this parameter.
    PickFile(&'static str),
    /// Empties this parameter, called so.
    Clear {
        key: &'static str,
        name: &'static str,
    },
    /// Sets the size of a step, called so, to this.
    Lower {
        key: &'static str,
        name: &'static str,
        to: String,
    },
    Reload,
}

impl Act {
    pub fn label(&self) -> String {
        match self {
            Self::Restart => "Start again".to_owned(),
            Self::Resume(step) => format!("Go on from step {step}"),
            Self::OnCpu => "Go on with the CPU engine".to_owned(),
            Self::PickFile(_) => "Choose another file".to_owned(),
            Self::Clear { name, .. } => format!("Clear “{name}”"),
            Self::Lower { name, to, .. } => format!("Lower the {} to {to}", name.to_lowercase()),
            Self::Reload => "Load the page again".to_owned(),
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
    /// Whether a question is on its way to the reader's server.
    pub sending: RwSignal<bool>,
    /// The past step that is looked at.
    pub look: RwSignal<Option<u64>>,
    /// Finished rows by batch.
    pub rows: RwSignal<HashMap<String, Vec<Row>>>,
    /// The batch that is running.
    pub busy: RwSignal<Option<String>>,
    /// What undoing brings back, the newest last, and what redoing does.
    pub past: RwSignal<Vec<Values>>,
    pub undone: RwSignal<Vec<Values>>,
    /// The curve that the reader drew, and whether the run is still to show itself.
    pub guess: RwSignal<Option<Guess>>,
    pub guessing: RwSignal<bool>,
    /// No engine was asked for yet: the reader has to.
    pub waiting: RwSignal<bool>,
    /// What the second run differs in, as a query; nothing if there is none.
    pub compare: RwSignal<Option<String>>,
    /// As the address had it, for what does not change on the page.
    pub asked: StoredValue<Address>,
    /// Who is drawn when.
    pub turns: Turns,
    files: GivenFiles,
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
    /// The run that the last frame is of.
    seen: u32,
    /// WebGPU was tried here and could not be opened.
    no_gpu: bool,
    /// The newest state, and its step: what a run resumes from.
    state: Option<(u64, Vec<u8>)>,
    /// The files that the running engine was given, by parameter.
    told: Vec<(&'static str, Rc<[u8]>)>,
    fault: Option<Fault>,
    restart: Option<TimeoutHandle>,
    mirror: Option<TimeoutHandle>,
    /// When parameters were last changed, and which.
    changed: f64,
    changed_keys: Vec<&'static str>,
    /// The address does not follow this run.
    aside: bool,
    connection: Connection,
    /// What the lab asks of the reader's server, while it waits for the answer.
    asked: Option<(u32, HttpRequest)>,
    /// What was sent before it.
    sent_before: u32,
    /// The reader has pressed a key that runs this very setting: nothing is sent before.
    may_send: bool,
}

impl Session {
    /// Opens a lab as its address says.
    pub fn open(entry: &'static Entry, at: Address) -> Self {
        Self::begin(entry, at, false)
    }

    /// Opens a lab where the address does not follow it: on a page that is not the lab's own, or beside another run.
    pub fn aside(entry: &'static Entry, at: Address) -> Self {
        Self::begin(entry, at, true)
    }

    fn begin(entry: &'static Entry, at: Address, aside: bool) -> Self {
        let (values, problems) = Values::from_query(entry.specs, &at.params);
        let drawn_before = at.guess.is_some();
        let session = Self {
            entry,
            values: RwSignal::new(values),
            problems: RwSignal::new(problems.into_iter().chain(at.mends.iter().cloned()).collect()),
            frame: RwSignal::new(None),
            progress: RwSignal::new(Progress::default()),
            notice: RwSignal::new(None),
            speed: RwSignal::new(at.speed),
            engine: RwSignal::new(at.engine),
            running_on: RwSignal::new(Engine::Cpu),
            device: RwSignal::new(String::new()),
            reason: RwSignal::new(String::new()),
            adapter: RwSignal::new(Adapter::Unknown),
            // Whoever sends a guess wants it to be seen before the run.
            playing: RwSignal::new(at.start == Start::AtOnce && !drawn_before),
            look: RwSignal::new(None),
            sending: RwSignal::new(false),
            rows: RwSignal::new(HashMap::new()),
            busy: RwSignal::new(None),
            past: RwSignal::new(Vec::new()),
            undone: RwSignal::new(Vec::new()),
            guess: RwSignal::new(at.guess.clone()),
            guessing: RwSignal::new(drawn_before),
            waiting: RwSignal::new(at.start == Start::Click),
            compare: RwSignal::new(at.compare.clone()),
            turns: Turns::new(),
            files: expect_context(),
            inner: StoredValue::new_local(Inner { fault: at.fault, aside, ..Inner::default() }),
            asked: StoredValue::new(at),
        };
        leptos::task::spawn_local(async move {
            let adapter = crate::engine::adapter().await;
            // The page may be gone meanwhile.
            let _gone = session.adapter.try_set(adapter);
        });
        if !session.waiting.get_untracked() {
            session.start(None);
        }
        on_cleanup(move || {
            session.inner.update_value(|inner| {
                inner.connection.close();
                *inner = Inner::default();
            });
        });
        session
    }

    /// Whether the run moves. Tracked.
    pub fn runs(self) -> bool {
        self.playing.get() && self.progress.with(|progress| !matches!(progress.phase, Phase::Idle | Phase::Done))
    }

    /// Whether frames come by themselves, so that none of them must be seen at once. Tracked.
    pub fn flows(self) -> bool {
        self.runs() && self.look.get().is_none()
    }

    /// Whether what is seen belongs to a run that broke. Tracked.
    pub fn stopped(self) -> bool {
        self.notice.with(|notice| notice.as_ref().is_some_and(|notice| !notice.calm && !notice.acts.is_empty()))
    }

    /// Whether it belongs to a setting before, for this one could not begin. Tracked.
    pub fn shows_earlier(self) -> bool {
        self.notice.with(|notice| notice.as_ref().is_some_and(|notice| notice.earlier))
    }

    /// Tracked.
    pub fn seed_now(self) -> i64 {
        self.values.with(|values| match values.get("seed") {
            Some(Value::Int(seed)) => *seed,
            _ => 0,
        })
    }

    pub fn next_seed(self) {
        if !self.entry.card.chance {
            return;
        }
        let next = (untrack(|| self.seed_now()) + 1) % 10_000;
        self.set("seed", &next.to_string());
    }

    /// Whether the address asks for this figure, parameter or part to be left out.
    pub fn hides(self, name: &str) -> bool {
        self.asked.with_value(|at| at.hide.iter().any(|hidden| hidden == name))
    }

    /// Whether the address holds this parameter where it is.
    pub fn locks(self, key: &str) -> bool {
        self.asked.with_value(|at| at.lock.iter().any(|locked| locked == key || locked == "all"))
    }

    /// A sentence about each name in the address's lists that this lab does not have. What its figures are called is
    /// known once there is a frame.
    pub fn unknown_names(self) -> Vec<String> {
        let parameter = |name: &str| self.entry.specs.iter().any(|spec| spec.key == name);
        let figures = self.frame.with_untracked(|frame| {
            let own = frame.as_ref()?.panels.iter().map(|panel| panel.id.clone());
            Some(own.chain(self.entry.batch_figures()).collect::<Vec<String>>())
        });
        let figure = |name: &str| figures.as_ref().is_none_or(|figures| figures.iter().any(|id| id == name));
        let part = |name: &str| PARTS.iter().any(|(part, _)| *part == name);
        self.asked.with_value(|at| {
            let locked = at.lock.iter().filter(|name| !parameter(name) && *name != "all");
            let hidden = at.hide.iter().filter(|name| !parameter(name) && !part(name) && !figure(name));
            // Where none is known, that is said in place of the figures.
            let some = at.panels.iter().any(|name| figure(name));
            let shown = at.panels.iter().filter(|name| some && !figure(name));
            let guessed = at.guess.iter().map(|guess| &guess.panel).filter(|name| !figure(name));
            let clip = |name: &String| name.chars().take(24).collect::<String>();
            let said = |names: Vec<&String>, what: &str| -> Vec<String> {
                names.into_iter().map(|name| format!("“{}” {what}", clip(name))).collect()
            };
            [
                said(locked.collect(), "in “lock” is no parameter of this lab; nothing is locked for it."),
                said(
                    hidden.collect(),
                    "in “hide” is no figure, parameter or part of this lab; nothing is left out for it.",
                ),
                said(shown.collect(), "in “panel” is no figure of this lab; the others are shown."),
                said(guessed.collect(), "in “guess” is no figure of this lab; nothing is drawn, and Play begins."),
            ]
            .concat()
        })
    }

    /// Starts the run anew, from a state if there is one.
    pub fn start(self, state: Option<Vec<u8>>) {
        self.waiting.set(false);
        let no_gpu = self.inner.with_value(|inner| inner.no_gpu);
        let wanted = match self.engine.get_untracked() {
            Engine::Gpu if !no_gpu => Engine::Gpu,
            Engine::Relaxed if relaxed_simd() => Engine::Relaxed,
            _ => Engine::Cpu,
        };
        self.notice.set(None);
        self.look.set(None);
        self.sending.set(false);
        self.inner.update_value(|inner| {
            inner.connection.begin(state.is_some());
            inner.asked = None;
        });
        self.ensure(wanted);
        self.tell_files();
        let command = self.inner.try_update_value(|inner| {
            inner.run += 1;
            inner.state = None;
            Command::Start {
                run: inner.run,
                lab: self.entry.card.slug.to_owned(),
                query: self.values.with_untracked(Values::to_query),
                speed: self.speed.get_untracked(),
                paused: !self.playing.get_untracked(),
                // A fault of loading is the page's own, and comes before this.
                fault: inner.fault.take_if(|fault| !matches!(fault.kind, FaultKind::Load | FaultKind::Version)),
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
        if up && !self.would_mistake_files() && self.running_on.get_untracked() == wanted {
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
            (Engine::Relaxed, Engine::Relaxed) => {
                "You asked for relaxed SIMD: faster, but its last digits depend on the processor.".to_owned()
            }
            (Engine::Relaxed, _) => "You asked for relaxed SIMD, which this browser does not have.".to_owned(),
            (Engine::Gpu, _) => {
                "You asked for WebGPU. Its first step compiles shaders, which takes a while.".to_owned()
            }
        });
        let broken = self.inner.with_value(|inner| inner.fault.is_some_and(|fault| fault.kind == FaultKind::Load));
        let kind = if broken { "missing" } else { wanted.value() };
        match Worked::start(kind, move |heard| self.hear(heard)) {
            Ok(worker) => self.inner.update_value(|inner| (inner.worker, inner.told) = (Some(worker), Vec::new())),
            Err(error) => self.lost(&error),
        }
    }

    /// The parameters that name a file, with its name.
    fn named_files(self) -> Vec<(&'static str, String)> {
        let named = |values: &Values| {
            let specs = self.entry.specs.iter();
            let named = specs.filter_map(|spec| match values.get(spec.key) {
                Some(Value::File(name)) if !name.is_empty() => Some((spec.key, name.to_string())),
                _ => None,
            });
            named.collect()
        };
        self.values.with_untracked(named)
    }

    /// Those of the named files that were given here, by parameter.
    fn given_files(self) -> Vec<(&'static str, Rc<[u8]>)> {
        let lab = self.entry.card.slug;
        let given = |(key, name): (_, String)| Some((key, self.files.find(lab, key, &name)?));
        self.named_files().into_iter().filter_map(given).collect()
    }

    /// Whether the engine would read an earlier file in place of one that is named and was not given here.
    fn would_mistake_files(self) -> bool {
        let given = self.given_files();
        let missing = |key: &str| !given.iter().any(|(other, _)| *other == key);
        let told = |key: &str| self.inner.with_value(|inner| inner.told.iter().any(|(other, _)| *other == key));
        self.named_files().iter().any(|(key, _)| missing(key) && told(key))
    }

    /// Gives an engine that works beside the run what the run has.
    fn give_files(self, worker: &Worked) {
        for (key, bytes) in self.given_files() {
            worker.send(Command::File { key: key.to_owned(), bytes: bytes.to_vec() });
        }
    }

    /// Gives the engine the files that it does not have yet.
    fn tell_files(self) {
        for (key, bytes) in self.given_files() {
            self.inner.update_value(|inner| {
                let Some(worker) = &inner.worker else { return };
                if !inner.told.iter().any(|(told, known)| *told == key && Rc::ptr_eq(known, &bytes)) {
                    worker.send(Command::File { key: key.to_owned(), bytes: bytes.to_vec() });
                    inner.told.retain(|(told, _)| *told != key);
                    inner.told.push((key, bytes));
                }
            });
        }
    }

    fn tell(self, command: Command) {
        // What waits for a picture of the screen may come after its page has gone.
        self.inner.try_with_value(|inner| {
            if let Some(worker) = &inner.worker {
                worker.send(command);
            }
        });
    }

    fn hear(self, heard: Heard) {
        let event = match heard {
            Heard::Event(event) => event,
            Heard::Fault(message) => return self.lost(&message),
            Heard::Unloaded(message) => return self.unloaded(&message),
            Heard::Stranger => return self.another_version(),
        };
        let current = self.inner.with_value(|inner| inner.run);
        match event {
            Event::Hello { version, device } => {
                let provoked = self.inner.with_value(|inner| inner.fault).is_some_and(|f| f.kind == FaultKind::Version);
                if version != VERSION || provoked {
                    return self.another_version();
                }
                self.device.set(device);
            }
            Event::Frame { run, live, frame } if run == current => {
                if live == self.look.get_untracked().is_none() {
                    self.inner.update_value(|inner| inner.seen = run);
                    self.frame.set(Some(frame));
                }
                if live {
                    // Drawn with the next picture of the screen; only then may the engine send another.
                    if calm() {
                        set_timeout(move || self.tell(Command::Seen), CALM);
                    } else {
                        self.turns.then(move || self.tell(Command::Seen));
                    }
                }
            }
            Event::Progress { run, progress } if run == current => {
                self.progress.set(progress);
                // What waits for the reader goes on when it is told to; others wait for a parameter.
                if progress.phase == Phase::Done || (progress.phase == Phase::Idle && self.asks()) {
                    self.playing.set(false);
                }
                // A lab that asks a server is as slow as that one.
                let slow = progress.most > 0.0 && progress.most < SLOW && !self.asks();
                if slow && self.engine.get_untracked() == Engine::Auto && self.adapter.get_untracked() == Adapter::Real
                {
                    self.race();
                }
            }
            Event::State { run, step, bytes } if run == current => {
                self.inner.update_value(|inner| inner.state = Some((step, bytes)));
            }
            Event::Request { id, request } => {
                self.inner.update_value(|inner| {
                    inner.asked = Some((id, request));
                    inner.sent_before = inner.connection.sent();
                });
                if self.inner.with_value(|inner| inner.may_send) || self.secret(Part::Address).is_none() {
                    self.send_asked();
                } else {
                    self.playing.set(false);
                }
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
            // Its driver's own words are for whoever looks into the engine's facts.
            LabError::Device { message } => {
                self.reason.set(format!("You asked for WebGPU, which could not be opened here: {message}"));
                "WebGPU could not be opened here. The CPU engine runs this lab.".to_owned()
            }
            other => other.to_string(),
        };
        self.notice.set(Some(Notice { calm: true, ..Notice::new(message, &[]) }));
    }

    fn failed(self, error: &LabError) {
        self.playing.set(false);
        self.inner.with_value(|inner| inner.connection.doubt());
        let on_gpu = self.running_on.get_untracked() == Engine::Gpu;
        let acts = match error {
            LabError::Device { .. } if on_gpu => {
                self.inner.update_value(|inner| inner.worker = None);
                vec![Act::OnCpu]
            }
            LabError::Diverged { .. } => self.lowered().into_iter().chain([Act::Restart]).collect(),
            LabError::Data { message } => self.without_data(message),
            LabError::Http { .. } => {
                let from = self.inner.with_value(|inner| inner.state.as_ref().map(|(step, _)| *step));
                from.map(Act::Resume).into_iter().chain([Act::Restart]).collect()
            }
            _ => vec![Act::Restart],
        };
        // What a run drew before it failed is its own; what stands there when it cannot even begin is not.
        let began = self.inner.with_value(|inner| inner.seen == inner.run);
        let earlier = !began && self.frame.with_untracked(Option::is_some);
        let message = match error {
            // A driver's own words come last: they may be long.
            LabError::Device { message } => {
                format!("The device failed. {} It said: {message}.", self.stopped_at())
            }
            _ if earlier => format!("{error} The figures are still those of the setting before."),
            _ => error.to_string(),
        };
        self.notice.set(Some(Notice { earlier, ..Notice::new(message, &acts) }));
    }

    /// What helps where data cannot be used: the same file, or the same text that is complained of, would fail again.
    fn without_data(self, message: &str) -> Vec<Act> {
        let files = self.named_files();
        let complained = |spec: &ParamSpec| matches!(spec.kind, Kind::Text { .. }) && message.contains(spec.name);
        let is_file = |spec: &ParamSpec| files.iter().any(|(key, _)| *key == spec.key);
        let named = self.entry.specs.iter().filter(|spec| is_file(spec) || complained(spec));
        let acts = |spec: &ParamSpec| {
            // In an embed, and where the address hides it, there is no field.
            let pick = control(spec.key).filter(|_| is_file(spec)).map(|_| Act::PickFile(spec.key));
            pick.into_iter().chain([Act::Clear { key: spec.key, name: spec.name }])
        };
        let acts: Vec<Act> = named.filter(|spec| !self.locks(spec.key)).flat_map(acts).collect();
        if acts.is_empty() { vec![Act::Restart] } else { acts }
    }

    /// Whether the lab asks a server of the reader's.
    pub fn asks(self) -> bool {
        self.entry.specs.iter().any(ParamSpec::is_secret)
    }

    fn secret(self, part: Part) -> Option<String> {
        self.values.with_untracked(|values| values.secret(part).map(str::to_owned))
    }

    /// Sends what the lab asks, and gives it the answer. Where no address is typed, it is told so.
    fn send_asked(self) {
        let Some((id, request)) = self.inner.with_value(|inner| inner.asked.clone()) else { return };
        let answer = move |response| {
            let _gone = self.sending.try_set(false);
            let sent = self.inner.try_update_value(|inner| {
                inner.asked = None;
                inner.connection.sent() - inner.sent_before
            });
            self.tell(Command::Response { id, response, sent: sent.unwrap_or(0) });
        };
        let Some(address) = self.secret(Part::Address) else { return answer(Err(LabError::NoAddress)) };
        let key = self.secret(Part::Key);
        let connection = self.inner.with_value(|inner| inner.connection.clone());
        self.sending.set(true);
        leptos::task::spawn_local(async move {
            let secrets = [key.as_deref().unwrap_or_default(), address.trim().trim_end_matches('/')];
            if let Some(response) = connection.send(&request, &address, key.as_deref()).await {
                answer(response.map(|response| sending::without_secrets(response, &secrets)));
            }
        });
    }

    /// Nothing more is sent before the reader says so; what is under way is given up and asked again then.
    fn stop_sending(self) {
        self.sending.set(false);
        self.inner.update_value(|inner| {
            inner.may_send = false;
            inner.connection.stop();
        });
    }

    fn stopped_at(self) -> String {
        let step = self.progress.with_untracked(|progress| progress.step);
        format!("It stopped at step {step}; what was drawn and your settings are kept.")
    }

    /// What lowers the step size to a third.
    fn lowered(self) -> Option<Act> {
        let spec = self.entry.specs.iter().find(|spec| spec.step_size && !self.locks(spec.key))?;
        let now = self.values.with_untracked(|values| match values.get(spec.key) {
            Some(Value::Real(now)) => Some(*now),
            _ => None,
        })?;
        let to =
            format!("{:.0e}", now / 3.0).parse::<f64>().ok().filter(|to| spec.read(&to.to_string()).1.is_none())?;
        Some(Act::Lower { key: spec.key, name: spec.name, to: to.to_string() })
    }

    /// The engine ended in mid-run.
    fn lost(self, message: &str) {
        let step = self.progress.with_untracked(|progress| progress.step);
        self.playing.set(false);
        let from = self.inner.try_update_value(|inner| {
            inner.connection.stop();
            (inner.worker, inner.asked) = (None, None);
            inner.state.as_ref().map(|(step, _)| *step)
        });
        let gpu = self.running_on.get_untracked() == Engine::Gpu;
        let message = message.trim_end_matches('.');
        let message =
            format!("The engine stopped at step {step}: {message}. What was drawn and your settings are kept.");
        let mut acts = Vec::new();
        if gpu {
            acts.push(Act::OnCpu);
        } else {
            acts.extend(from.flatten().map(Act::Resume));
            acts.push(Act::Restart);
        }
        self.notice.set(Some(Notice::new(message, &acts)));
    }

    /// The engine never came up.
    fn unloaded(self, message: &str) {
        self.playing.set(false);
        self.inner.update_value(|inner| (inner.worker, inner.fault) = (None, None));
        let message = message.trim_end_matches('.');
        let message = format!("The engine could not be loaded: {message}. Your settings are kept.");
        let mut acts = vec![Act::Restart];
        if self.running_on.get_untracked() == Engine::Gpu {
            acts.insert(0, Act::OnCpu);
        }
        self.notice.set(Some(Notice::new(message, &acts)));
    }

    /// A browser's cache may hold an old engine for a new page, or the other way round. Loading once more mends it;
    /// if it did not, the reader has to say so, or the page would load for ever.
    fn another_version(self) {
        self.playing.set(false);
        self.inner.update_value(|inner| (inner.worker, inner.fault) = (None, None));
        let again = self.asked.with_value(|at| at.version.is_some());
        if !again && !self.inner.with_value(|inner| inner.aside) {
            return self.reload();
        }
        let message = "The engine is of another version than this page: the browser kept one of them. \
                       Load the page again past the browser's cache (Ctrl+Shift+R). Your settings are in the address.";
        self.notice.set(Some(Notice::new(message, &[Act::Reload])));
    }

    fn reload(self) {
        if let Some(address) = self.address() {
            address::mirror(&Address { version: Some(format!("{VERSION:x}")), ..address }.text());
        }
        if window().location().reload().is_err() {
            leptos::logging::log!("this frame cannot load itself again");
        }
    }

    pub fn act(self, act: Act) {
        if let Act::PickFile(key) = act {
            if let Some(field) = control(key) {
                field.click();
            }
            return;
        }
        let state = self.inner.try_update_value(|inner| {
            inner.may_send = true;
            inner.state.take()
        });
        let state = state.flatten().map(|(_, bytes)| bytes);
        self.playing.set(true);
        match act {
            Act::Restart => self.start(None),
            Act::Resume(_) => self.start(state),
            Act::OnCpu => {
                self.engine.set(Engine::Cpu);
                self.start(state);
            }
            Act::Lower { key, to, .. } => self.set(key, &to),
            Act::Clear { key, .. } => self.set(key, ""),
            Act::PickFile(_) => {}
            Act::Reload => self.reload(),
        }
    }

    /// Sets a parameter from what a field, a drag or a painting says.
    pub fn set(self, key: &str, text: &str) {
        let before = self.values.get_untracked();
        let mut after = before.clone();
        let problem = after.choose(key, text);
        self.problems.update(|problems| {
            problems.retain(|problem| problem.key != key);
            problems.extend(problem);
        });
        self.take(&before, after);
    }

    /// Takes a setting, as a preset or a link gives it: what it does not name is as declared, or stays where the query
    /// begins with `&`.
    pub fn take_query(self, query: &str) {
        if query.starts_with('&') {
            return self.merge_query(query);
        }
        let before = self.values.get_untracked();
        let (mut after, problems) = Values::from_query(self.entry.specs, query);
        // A preset is about the lab, not about the seed that the reader chose.
        if !pairs(query).iter().any(|(key, _)| key == "seed") {
            let _kept = after.set("seed", &untrack(|| self.seed_now()).to_string());
        }
        after.keep_secrets(&before);
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

    fn take(self, before: &Values, mut after: Values) {
        for spec in self.entry.specs.iter().filter(|spec| self.locks(spec.key)) {
            if let Some(value) = before.get(spec.key) {
                let _held = after.set(spec.key, &spec.text(value));
            }
        }
        if after == *before {
            return;
        }
        if before.changes(&after).is_empty() {
            // A secret alone: nothing to undo, for it is kept nowhere.
            return self.put(before, after);
        }
        let now = js_sys::Date::now();
        let keys = self.entry.specs.iter().map(|spec| spec.key);
        let keys: Vec<&str> = keys.filter(|key| before.get(key) != after.get(key)).collect();
        let goes_on = self.inner.try_update_value(|inner| {
            let soon = now - std::mem::replace(&mut inner.changed, now) <= ONE_CHANGE;
            let same = std::mem::replace(&mut inner.changed_keys, keys.clone()) == keys;
            soon && same
        });
        if goes_on != Some(true) || self.past.with_untracked(Vec::is_empty) {
            self.past.update(|past| {
                past.push(before.clone());
                if past.len() > MOST_UNDONE {
                    past.remove(0);
                }
            });
        }
        self.undone.set(Vec::new());
        self.put(before, after);
    }

    /// Brings back what the last change replaced.
    pub fn undo(self) {
        self.go_back(self.past, self.undone);
    }

    pub fn redo(self) {
        self.go_back(self.undone, self.past);
    }

    fn go_back(self, from: RwSignal<Vec<Values>>, to: RwSignal<Vec<Values>>) {
        let Some(mut values) = from.try_update(Vec::pop).flatten() else { return };
        let now = self.values.get_untracked();
        values.keep_secrets(&now);
        to.update(|to| to.push(now.clone()));
        self.problems.set(Vec::new());
        self.inner.update_value(|inner| inner.changed = 0.0);
        self.put(&now, values);
    }

    fn put(self, before: &Values, after: Values) {
        let scope = before.differs(&after);
        let query = after.to_query_after(before);
        let new_secrets = before.differs_in_secrets(&after);
        self.values.set(after);
        self.mirror();
        // Whoever changes a setting is not yet asking for it.
        if self.asks() && (new_secrets || scope != Some(Scope::View)) {
            self.stop_sending();
            self.play(false);
        }
        if new_secrets {
            // What failed did so at another address, or with another key.
            self.notice.update(|notice| {
                let begun = self.progress.with_untracked(|progress| progress.step > 1);
                if notice.is_some() || begun {
                    let acts = notice.take().map_or_else(|| vec![Act::Restart], |notice| notice.acts);
                    let message = "Nothing is sent to the new address before you say so. Answers so far are those of the old one; start again for a run that asks one server alone.";
                    *notice = Some(Notice { calm: true, ..Notice::new(message, &acts) });
                }
            });
        }
        match scope {
            None => {}
            Some(_) if self.waiting.get_untracked() => {}
            Some(Scope::Run) => self.start_at_rest(),
            Some(Scope::Live | Scope::View) => self.tell(Command::Set { query }),
        }
    }

    /// Starts anew once the reader's hand rests: a slider that is dragged changes many times a second.
    fn start_at_rest(self) {
        let start = move || {
            if let Some(guessing) = self.guessing.try_get_untracked() {
                self.playing.set(!guessing && self.secret(Part::Address).is_none());
                self.start(None);
            }
        };
        self.inner.update_value(|inner| {
            if let Some(timer) = inner.restart.take() {
                timer.clear();
            }
            inner.restart = set_timeout_with_handle(start, REST).ok();
        });
    }

    /// Puts the whole setting of a comparison's second run, which has nothing to undo of its own.
    pub fn follow(self, after: Values) {
        let before = self.values.get_untracked();
        self.put(&before, after);
    }

    /// Lets the reader draw a curve on a panel before the run, which goes back to its start; or takes it away.
    pub fn guess_on(self, panel: &Panel) {
        if self.guess.with_untracked(|guess| guess.as_ref().is_some_and(|guess| guess.panel == panel.id)) {
            self.guess.set(None);
            self.guessing.set(false);
            return self.mirror();
        }
        let Body::Chart(chart) = &panel.body else { return };
        // Flat in the middle of the figure: something to take hold of by keys. The first stroke of a pen replaces it.
        let middle = if chart.y.log { (chart.y.min * chart.y.max).sqrt() } else { (chart.y.min + chart.y.max) / 2.0 };
        let points = [chart.x.min, chart.x.max].map(|x| [x as f32, middle as f32]);
        self.guess.set(Guess::new(&panel.id, points));
        self.guessing.set(true);
        self.playing.set(false);
        self.start(None);
    }

    /// One stroke of the reader's curve.
    pub fn draw_guess(self, from: [f32; 2], to: [f32; 2], anew: bool) {
        self.guess.update(|guess| match guess {
            Some(old) if anew => *guess = Guess::new(&old.panel, [to]),
            Some(guess) => guess.draw(from, to),
            None => {}
        });
        self.mirror();
    }

    pub fn file(self, key: &str, name: &str, bytes: Vec<u8>) {
        let Some(spec) = self.entry.specs.iter().find(|spec| spec.key == key) else { return };
        // Under the name that the link will hold, which may be cut.
        self.files.keep(self.entry.card.slug, spec.key, &spec.text(&spec.read(name).0), bytes);
        self.set(key, name);
        // The same name again may be another file.
        if !self.waiting.get_untracked() {
            self.start_at_rest();
        }
    }

    pub fn play(self, on: bool) {
        self.playing.set(on);
        if !on {
            self.stop_sending();
            return self.tell(Command::Pause);
        }
        self.guessing.set(false);
        if self.lacks_address() {
            return self.playing.set(false);
        }
        if self.resume_asked() {
            return self.tell(Command::Resume);
        }
        // After a request that failed, the run goes on from what it had found.
        let resume = self.notice.with_untracked(|notice| {
            let acts = notice.iter().flat_map(|notice| &notice.acts);
            acts.into_iter().find(|act| matches!(act, Act::Resume(_))).cloned()
        });
        if let Some(act) = resume.filter(|_| self.asks()) {
            return self.act(act);
        }
        let (phase, up) = (
            self.progress.with_untracked(|progress| progress.phase),
            self.inner.with_value(|inner| inner.worker.is_some()),
        );
        if up && (phase == Phase::Paused || phase == Phase::Idle && self.asks()) {
            // A request may take its time, and can be given up before the engine is heard of again.
            self.progress.update(|progress| progress.phase = Phase::Running);
            self.tell(Command::Resume);
        } else {
            self.start(None);
        }
    }

    /// Whether the lab asks a server that nobody has typed, which is then said beside the field.
    fn lacks_address(self) -> bool {
        let Some(spec) = self.entry.specs.iter().find(|spec| spec.is_address()) else { return false };
        let lacks = self.secret(Part::Address).is_none();
        if lacks {
            let message = "Type where your server listens first. Nothing was sent.".to_owned();
            self.problems.update(|problems| {
                problems.retain(|problem| problem.key != spec.key);
                problems.push(ParamProblem { key: spec.key.to_owned(), message });
            });
            if let Some(field) = control(spec.key) {
                let _focused = field.focus();
            }
        }
        lacks
    }

    /// The reader lets requests be sent; whether one was waiting for that.
    fn resume_asked(self) -> bool {
        let waits = self.inner.try_update_value(|inner| {
            inner.may_send = true;
            inner.asked.is_some()
        });
        if waits == Some(true) {
            self.send_asked();
        }
        waits == Some(true)
    }

    /// One step of the run or, where an earlier one is looked at, to the step after it.
    pub fn step_once(self) {
        if let Some(at) = self.look.get_untracked() {
            let (recorded, of) = self.progress.with_untracked(|progress| (progress.recorded, progress.of));
            let next = at - at % stride(of) + stride(of);
            return self.look_at((next <= recorded).then_some(next));
        }
        self.playing.set(false);
        self.guessing.set(false);
        // The lab takes its step all the same, and says that it waits.
        let _told = self.lacks_address();
        if self.resume_asked() {
            // This answer ends the step.
            return self.tell(Command::Pause);
        }
        if self.waiting.get_untracked() {
            self.start(None);
        }
        self.tell(Command::Step);
    }

    /// From the first step. Whoever paused looks at that first, and whoever asks a server has not said yet to ask it.
    pub fn restart(self) {
        let paused = self.asks() || self.progress.with_untracked(|progress| progress.phase == Phase::Paused);
        self.playing.set(!paused && !self.guessing.get_untracked());
        self.stop_sending();
        self.inner.with_value(|inner| inner.connection.forget());
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

    /// The address of the whole lab, outside of any other page, as it stands now. Tracked.
    pub fn whole(self) -> String {
        self.values.track();
        let here = self.address();
        here.map(|at| Address { embed: false, panels: vec![], ..at }.text()).unwrap_or_default()
    }

    /// The address of what is seen now.
    pub fn address(self) -> Option<Address> {
        let here = self.asked.try_with_value(Clone::clone)?;
        Some(Address {
            params: self.values.with_untracked(Values::to_query),
            speed: self.speed.get_untracked(),
            engine: self.engine.get_untracked(),
            compare: self.compare.get_untracked(),
            guess: self.guess.get_untracked(),
            fault: None,
            version: None,
            ..here
        })
    }

    pub fn mirror(self) {
        self.inner.update_value(|inner| {
            if inner.mirror.is_none() && !inner.aside {
                let follow = move || {
                    self.inner.try_update_value(|inner| inner.mirror = None);
                    if let Some(address) = self.address() {
                        address::mirror(&address.text());
                    }
                };
                inner.mirror = set_timeout_with_handle(follow, MIRROR).ok();
            }
        });
    }

    /// Where a batch runs: beside the run on the same device, for a GPU takes many runs at once. What is judged and mapped
    /// is to be the same on every machine, so relaxed arithmetic is not asked for it.
    pub fn batch_engine(self) -> Engine {
        if self.running_on.get() == Engine::Gpu { Engine::Gpu } else { Engine::Cpu }
    }

    /// Whether these rows of a batch are of other settings than it would run now. Tracked. What is only looked at makes no
    /// other setting.
    pub fn is_of_others(self, batch: &BatchSpec, rows: &[Row]) -> bool {
        let settings = self.values.with(|values| (batch.rows)(values));
        !rows.iter().all(|row| self.is_one_of(row, &settings))
    }

    fn is_one_of(self, row: &Row, settings: &[(String, String)]) -> bool {
        let values = |query: &str| Values::from_query(self.entry.specs, query).0;
        let same = |query: &str| values(query).differs(&values(&row.query)).is_none_or(|scope| scope == Scope::View);
        settings.iter().any(|(label, query)| *label == row.label && same(query))
    }

    /// Runs the settings that have no row yet, beside the run, and keeps each row as it is done.
    pub fn run_batch(self, id: &str, settings: Vec<(String, String)>) {
        let wanted = |row: &Row| self.is_one_of(row, &settings);
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
        let hear = move |heard: Heard| {
            if let Some(message) = heard.gone() {
                self.busy.set(None);
                let message = format!(
                    "The runs in the background stopped: {message}. Finished ones are kept; start it again for the rest."
                );
                self.notice.set(Some(Notice::new(message, &[])));
            }
            match heard {
                Heard::Event(Event::Row { row, .. }) => {
                    self.rows.update(|rows| rows.entry(batch.clone()).or_default().push(row));
                }
                Heard::Event(Event::Finished { .. }) => self.busy.set(None),
                Heard::Event(Event::Failed { error, .. }) => {
                    self.busy.set(None);
                    self.notice.set(Some(Notice::new(error.to_string(), &[])));
                }
                _ => {}
            }
        };
        match Worked::start(untrack(|| self.batch_engine()).value(), hear) {
            Ok(worker) => {
                self.give_files(&worker);
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
        let hear = move |heard: Heard| match heard {
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
            Heard::Event(_) => {}
            gone => self.reason.set(format!("The race could not be run: {}.", gone.gone().unwrap_or_default())),
        };
        match Worked::start(engine.value(), hear) {
            Ok(worker) => {
                self.give_files(&worker);
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

/// Whether the reader asked for little motion.
/// The control of a parameter.
fn control(key: &str) -> Option<web_sys::HtmlElement> {
    document().get_element_by_id(&format!("param-{key}"))?.dyn_into().ok()
}

fn calm() -> bool {
    window().match_media("(prefers-reduced-motion: reduce)").ok().flatten().is_some_and(|query| query.matches())
}
