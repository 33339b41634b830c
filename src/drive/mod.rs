//! The loop that runs a lab: in a worker for the page, in a thread for the tests.
//!
//! It speaks [`Command`]s and [`Event`]s through a [`Port`], paces the steps, records them, and answers
//! looks at the past from a second instance of the lab. It knows no browser, no page and no particular lab.

mod mailbox;
mod message;
mod race;
mod recorder;
mod runner;

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use burn::tensor::Device;
use futures_util::future::{Either, select};

pub use mailbox::Mailbox;
pub use message::{Command, Event, Fault, FaultKind, Phase, Progress, Speed, VERSION};
pub use race::{Engine, Timing, decide};
pub use recorder::{BUDGET, Recorder, stride};
pub use runner::{Runner, Running, find};

use crate::lab::{Host, HttpRequest, HttpResponse, LabError, Left, Row, Scope, State, Status, Task, Values, World};
use crate::mech::ops::flex_calls;

/// A lab computes at most this long before the mailbox is looked into, so that a click is never late.
const BREATH: f64 = 12.0;
/// Milliseconds between two states that the page is sent to resume from.
const STATE_EVERY: f64 = 2000.0;
/// Milliseconds over which a rate is measured.
const RATE_OVER: f64 = 500.0;
/// Milliseconds between two reports on a run while the page looks at its past, where no frame sets the pace.
const REPORT_EVERY: f64 = 50.0;
/// Steps before a timing begins, in which a just-in-time compiler or a shader compiler is still at work.
const WARM_UP: u64 = 3;

/// What the loop asks of whatever it runs in.
pub trait Port: 'static {
    fn send(&self, event: Event);
    /// Lets messages arrive.
    fn turn(&self) -> Pin<Box<dyn Future<Output = ()> + '_>>;
    fn sleep(&self, milliseconds: f64) -> Pin<Box<dyn Future<Output = ()> + '_>>;
    fn now(&self) -> f64;
    fn asset<'a>(&'a self, path: &'a str) -> Task<'a, Vec<u8>>;
    fn kept<'a>(&'a self, key: &'a str) -> Task<'a, Option<Vec<u8>>>;
    fn keep<'a>(&'a self, key: &'a str, bytes: &'a [u8]) -> Task<'a, bool>;
}

/// The world as a lab sees it from behind a port.
struct Relay<P> {
    port: Rc<P>,
    mailbox: Rc<Mailbox>,
    breathed: Cell<f64>,
}

impl<P: Port> World for Relay<P> {
    fn asset<'a>(&'a self, path: &'a str) -> Task<'a, Vec<u8>> {
        self.port.asset(path)
    }

    fn file(&self, key: &str) -> Option<Rc<[u8]>> {
        self.mailbox.file(key)
    }

    fn kept<'a>(&'a self, key: &'a str) -> Task<'a, Option<Vec<u8>>> {
        self.port.kept(key)
    }

    fn keep<'a>(&'a self, key: &'a str, bytes: &'a [u8]) -> Task<'a, bool> {
        self.port.keep(key, bytes)
    }

    fn http(&self, request: HttpRequest) -> Task<'_, HttpResponse> {
        let (id, response) = self.mailbox.response();
        self.port.send(Event::Request { id, request });
        Box::pin(response)
    }

    fn sent(&self) -> u32 {
        self.mailbox.sent()
    }

    fn now(&self) -> f64 {
        self.port.now()
    }

    fn breathe(&self) -> Pin<Box<dyn Future<Output = ()> + '_>> {
        Box::pin(async {
            if self.port.now() - self.breathed.get() > BREATH {
                self.port.turn().await;
                self.mailbox.released().await;
                self.breathed.set(self.port.now());
            }
        })
    }
}

/// Serves the page until it is gone.
pub async fn serve<P: Port>(
    port: Rc<P>,
    mailbox: Rc<Mailbox>,
    device: Device,
    device_name: String,
    runners: &'static [Runner],
) {
    let relay = Relay { port: port.clone(), mailbox: mailbox.clone(), breathed: Cell::new(0.0) };
    let host = Host::new(device, Rc::new(relay));
    port.send(Event::Hello { version: VERSION, device: device_name });
    let mut run: Option<Run<P>> = None;
    loop {
        let command = match &run {
            Some(run) if run.phase == Phase::Running => mailbox.take(),
            _ => Some(mailbox.next().await),
        };
        match (command, &mut run) {
            (Some(Command::Start { run: id, lab, query, speed, paused, fault, state }), _) => {
                run = None;
                let start = Run::start(&port, &host, runners, Start { id, lab, query, speed, paused, fault, state });
                match select(Box::pin(start), Box::pin(mailbox.interruption())).await {
                    Either::Left((Ok(started), _)) => run = Some(started),
                    Either::Left((Err(error), _)) => port.send(Event::Failed { run: id, error }),
                    Either::Right(_) => {}
                }
            }
            (Some(Command::Stop), _) => run = None,
            (Some(Command::Batch { run: id, lab, rows }), _) => {
                run = None;
                let batch = run_batch(&*port, &host, runners, id, &lab, &rows);
                if let Either::Left((Err(error), _)) = select(Box::pin(batch), Box::pin(mailbox.interruption())).await {
                    port.send(Event::Failed { run: id, error });
                }
            }
            (Some(Command::Time { run: id, lab, query, steps }), _) => {
                run = None;
                let timing = time(&*port, &host, runners, &lab, &query, steps);
                match select(Box::pin(timing), Box::pin(mailbox.interruption())).await {
                    Either::Left((Ok(milliseconds), _)) => port.send(Event::Timed { run: id, steps, milliseconds }),
                    Either::Left((Err(error), _)) => port.send(Event::Failed { run: id, error }),
                    Either::Right(_) => {}
                }
            }
            (command, Some(current)) => {
                let advanced = {
                    let work = async {
                        match command {
                            Some(command) => current.obey(command, &host).await,
                            None => current.advance(&host, &mailbox).await,
                        }
                    };
                    match select(Box::pin(work), Box::pin(mailbox.interruption())).await {
                        Either::Left((result, _)) => Some(result),
                        Either::Right(_) => None,
                    }
                };
                match advanced {
                    Some(Ok(())) => {}
                    Some(Err(error)) => {
                        port.send(Event::Failed { run: current.id, error });
                        run = None;
                    }
                    None => run = None,
                }
            }
            (_, None) => {}
        }
    }
}

async fn run_batch<P: Port>(
    port: &P,
    host: &Host,
    runners: &'static [Runner],
    id: u32,
    lab: &str,
    rows: &[(String, String)],
) -> Result<(), LabError> {
    let runner = find(runners, lab)?;
    let settings: Vec<Values> = rows.iter().map(|(_, query)| Values::from_query(runner.specs, query).0).collect();
    let mut done = |index: usize, Left { readouts, found }| {
        let (label, _) = &rows[index];
        let row = Row { label: label.clone(), query: settings[index].to_query(), readouts, found };
        port.send(Event::Row { run: id, row });
    };
    (runner.batch)(&settings, host, &mut done).await?;
    port.send(Event::Finished { run: id });
    Ok(())
}

async fn time<P: Port>(
    port: &P,
    host: &Host,
    runners: &'static [Runner],
    lab: &str,
    query: &str,
    steps: u32,
) -> Result<f64, LabError> {
    let runner = find(runners, lab)?;
    let (values, _) = Values::from_query(runner.specs, query);
    let mut lab = (runner.start)(&values, host).await?;
    let (mut ended, mut spent) = (false, 0.0);
    for step in 0..WARM_UP + u64::from(steps) {
        if ended {
            // Beyond its end a lab may do anything; a short one begins again, off the clock.
            lab = (runner.start)(&values, host).await?;
        }
        let before = port.now();
        ended = lab.step(host).await? == Status::Done;
        host.breathe().await;
        if step >= WARM_UP {
            spent += port.now() - before;
        }
    }
    Ok(spent)
}

struct Start {
    id: u32,
    lab: String,
    query: String,
    speed: Speed,
    paused: bool,
    fault: Option<Fault>,
    state: Option<Vec<u8>>,
}

/// One run of one lab.
struct Run<P> {
    port: Rc<P>,
    id: u32,
    runner: &'static Runner,
    values: Values,
    lab: Box<dyn Running>,
    phase: Phase,
    speed: Speed,
    step: u64,
    of: Option<u64>,
    /// What goes wrong on purpose.
    fault: Option<Fault>,
    /// A frame is on its way to the page, or being drawn.
    in_flight: bool,
    /// Something changed since the last frame that was sent.
    stale: bool,
    recorder: Recorder,
    look: Option<u64>,
    /// The lab that shows the step that is looked at.
    past: Option<Box<dyn Running>>,
    state_sent: f64,
    reported: f64,
    turned: f64,
    due: f64,
    meter: Meter,
}

impl<P: Port> Run<P> {
    async fn start(port: &Rc<P>, host: &Host, runners: &'static [Runner], start: Start) -> Result<Self, LabError> {
        let runner = find(runners, &start.lab)?;
        let (values, _) = Values::from_query(runner.specs, &start.query);
        let mut lab = (runner.start)(&values, host).await?;
        if let Some(bytes) = start.state {
            let state = postcard::from_bytes::<State>(&bytes)
                .map_err(|_| LabError::data("The saved run cannot be read. Start it again."))?;
            lab.restore(&state, host).await?;
        }
        let frame = lab.frame();
        // A state may be of the last step, and beyond its end a lab may do anything.
        let ended = frame.of.is_some_and(|of| frame.step >= of);
        let phase = match (ended, start.paused) {
            (true, _) => Phase::Done,
            (false, true) => Phase::Paused,
            (false, false) => Phase::Running,
        };
        let now = port.now();
        let mut run = Self {
            port: port.clone(),
            id: start.id,
            runner,
            values,
            lab,
            phase,
            speed: start.speed,
            step: frame.step,
            of: frame.of,
            fault: start.fault,
            in_flight: false,
            stale: true,
            recorder: Recorder::new(frame.of, BUDGET),
            look: None,
            past: None,
            state_sent: now,
            reported: now,
            turned: now,
            due: now,
            meter: Meter::new(now),
        };
        port.send(Event::Started { run: run.id });
        run.recorder.record(run.lab.save().await?, frame);
        run.show().await?;
        Ok(run)
    }

    async fn obey(&mut self, command: Command, host: &Host) -> Result<(), LabError> {
        match command {
            Command::Set { query } => {
                let mut values = self.values.clone();
                values.apply(&query);
                match self.values.differs(&values) {
                    None => {}
                    // The page starts a new run for these; from elsewhere the values are simply not taken.
                    Some(Scope::Run) => {}
                    Some(Scope::Live | Scope::View) => {
                        self.values = values;
                        self.lab.change(&self.values, host).await?;
                        self.stale = true;
                        if self.phase == Phase::Idle {
                            self.phase = Phase::Running;
                        }
                        self.answer_look(host).await?;
                    }
                }
            }
            Command::Speed { speed } => {
                self.speed = speed;
                self.due = self.port.now();
                self.meter = Meter::new(self.due);
            }
            Command::Pause if self.phase == Phase::Running => {
                self.phase = Phase::Paused;
                self.stale = true;
                self.send_state().await?;
            }
            // A lab that waits for something may find it when it is told to go on.
            Command::Resume if matches!(self.phase, Phase::Paused | Phase::Idle) => {
                self.phase = Phase::Running;
                self.due = self.port.now();
                self.meter = Meter::new(self.due);
            }
            Command::Step if self.phase != Phase::Done => {
                self.phase = Phase::Paused;
                self.one_step(host).await?;
                self.send_state().await?;
            }
            Command::Seen => self.in_flight = false,
            Command::Look { at } => {
                self.look = at;
                if at.is_none() {
                    self.past = None;
                }
                self.stale = true;
                self.answer_look(host).await?;
            }
            _ => {}
        }
        self.show().await?;
        Ok(())
    }

    /// One step when it is due, or a wait until then.
    async fn advance(&mut self, host: &Host, mailbox: &Mailbox) -> Result<(), LabError> {
        let now = self.port.now();
        if self.speed.steps_a_second().is_some() && now < self.due {
            select(self.port.sleep(self.due - now), Box::pin(mailbox.arrival())).await;
            return Ok(());
        }
        if let Some(rate) = self.speed.steps_a_second() {
            // After a pause of the machine the run goes on from now; it does not catch up.
            self.due = (self.due + 1000.0 / rate).max(now);
        }
        self.one_step(host).await?;
        self.show().await?;
        let now = self.port.now();
        if self.phase != Phase::Running || now - self.state_sent > STATE_EVERY {
            self.send_state().await?;
        }
        if now - self.turned > BREATH {
            self.port.turn().await;
            self.turned = self.port.now();
        }
        Ok(())
    }

    async fn one_step(&mut self, host: &Host) -> Result<(), LabError> {
        if let Some(fault) = self.fault.take_if(|fault| fault.step == self.step) {
            suffer(fault)?;
        }
        let before = self.port.now();
        let status = match self.lab.step(host).await {
            Err(error @ LabError::Http { .. }) => {
                // What was found before a request failed is all that there is to keep, and to go on from.
                (self.in_flight, self.stale) = (false, true);
                self.show().await?;
                self.send_state().await?;
                return Err(error);
            }
            status => status?,
        };
        let spent = self.port.now() - before;
        self.phase = match status {
            Status::Running => self.phase,
            Status::Idle => Phase::Idle,
            Status::Done => Phase::Done,
        };
        self.stale = true;
        self.step += 1;
        self.meter.step(self.port.now(), spent);
        if self.recorder.wants(self.step) || (status == Status::Done && self.recorder.last() < Some(self.step)) {
            self.lab.settle().await?;
            let frame = self.lab.frame();
            self.recorder.record(self.lab.save().await?, frame);
        }
        Ok(())
    }

    /// Sends what is seen now, unless the page is still drawing or looks at the past.
    async fn show(&mut self) -> Result<(), LabError> {
        if self.in_flight || !self.stale {
            return Ok(());
        }
        let now = self.port.now();
        if self.look.is_none() {
            self.lab.settle().await?;
            let frame = self.lab.frame();
            self.port.send(Event::Frame { run: self.id, live: true, frame });
            self.in_flight = true;
        } else if self.phase == Phase::Running && now - self.reported < REPORT_EVERY {
            return Ok(());
        }
        self.reported = now;
        self.stale = false;
        let progress = Progress {
            step: self.step,
            of: self.of,
            rate: self.meter.rate,
            most: self.meter.most,
            phase: self.phase,
            recorded: self.recorder.last().unwrap_or(0),
            on_cpu: flex_calls(),
        };
        self.port.send(Event::Progress { run: self.id, progress });
        Ok(())
    }

    /// Sends the past step that the page looks at, with the parameters as they are now. Another instance of the
    /// lab answers, never the running one.
    async fn answer_look(&mut self, host: &Host) -> Result<(), LabError> {
        let Some((state, recorded)) = self.look.and_then(|at| self.recorder.at(at)) else { return Ok(()) };
        // Starting takes longer than restoring, and a time line is dragged: one lab answers for every step of it.
        let past = match &mut self.past {
            Some(past) => past,
            None => self.past.insert((self.runner.start)(&self.values, host).await?),
        };
        past.restore(state, host).await?;
        past.change(&self.values, host).await?;
        let frame = crate::lab::Frame { step: recorded.step, ..past.frame() };
        self.port.send(Event::Frame { run: self.id, live: false, frame });
        Ok(())
    }

    async fn send_state(&mut self) -> Result<(), LabError> {
        self.lab.settle().await?;
        let state = self.lab.save().await?;
        if let Ok(bytes) = postcard::to_allocvec(&state) {
            self.port.send(Event::State { run: self.id, step: state.step, bytes });
        }
        self.state_sent = self.port.now();
        Ok(())
    }
}

fn suffer(Fault { kind, step }: Fault) -> Result<(), LabError> {
    match kind {
        FaultKind::Panic => panic!("it was asked to fail at step {step}"),
        FaultKind::Device => Err(LabError::Device { message: "the device was lost, as asked".to_owned() }),
        FaultKind::Diverge => Err(LabError::Diverged { step }),
        FaultKind::Memory => {
            let mut held: Vec<Vec<u8>> = Vec::new();
            loop {
                held.push(Vec::with_capacity(1 << 28));
            }
        }
        // The page's own to provoke.
        FaultKind::Load | FaultKind::Version => Ok(()),
    }
}

/// Measures how fast steps come, and how fast they could.
struct Meter {
    since: f64,
    steps: u32,
    spent: f64,
    rate: f64,
    most: f64,
}

impl Meter {
    fn new(now: f64) -> Self {
        Self { since: now, steps: 0, spent: 0.0, rate: 0.0, most: 0.0 }
    }

    fn step(&mut self, now: f64, spent: f64) {
        self.steps += 1;
        self.spent += spent;
        let elapsed = now - self.since;
        if elapsed > RATE_OVER {
            self.rate = f64::from(self.steps) * 1000.0 / elapsed;
            self.most = f64::from(self.steps) * 1000.0 / self.spent.max(1e-3);
            (self.since, self.steps, self.spent) = (now, 0, 0.0);
        }
    }
}
