//! The loop that runs a lab, driven through a port with a clock of its own.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::{Future, poll_fn, ready};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use burn::tensor::{Device, Tensor};
use heads_and_tails::chart::Mark;
use heads_and_tails::drive::{
    Command, Engine, Event, Fault, Mailbox, Phase, Port, Progress, Recorder, Speed, Timing, VERSION, decide, serve,
};
use heads_and_tails::lab::{Body, Frame, HttpResponse, LabError, Readings, Row, State, Task, Values};
use pollster::block_on;

use crate::made_up::{ASSET, RUNNERS, SEEDS, STAYS};

/// A port whose clock moves by a tick whenever it is read, and by the whole sleep when it sleeps.
struct Double {
    clock: Cell<f64>,
    tick: Cell<f64>,
    sent: RefCell<Vec<(f64, Event)>>,
    kept: RefCell<HashMap<String, Vec<u8>>>,
    assets: Cell<usize>,
    /// The site has lost its files.
    lost: Cell<bool>,
    /// Nothing is kept.
    forgets: Cell<bool>,
}

/// Lets whoever polls speak once.
fn turn_once() -> impl Future<Output = ()> {
    let mut turned = false;
    poll_fn(move |context| {
        if std::mem::replace(&mut turned, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
}

impl Port for Double {
    fn send(&self, event: Event) {
        self.sent.borrow_mut().push((self.clock.get(), event));
    }

    fn turn(&self) -> Pin<Box<dyn Future<Output = ()> + '_>> {
        Box::pin(turn_once())
    }

    fn sleep(&self, milliseconds: f64) -> Pin<Box<dyn Future<Output = ()> + '_>> {
        Box::pin(async move {
            turn_once().await;
            self.clock.set(self.clock.get() + milliseconds);
        })
    }

    fn now(&self) -> f64 {
        self.clock.set(self.clock.get() + self.tick.get());
        self.clock.get()
    }

    fn asset<'a>(&'a self, path: &'a str) -> Task<'a, Vec<u8>> {
        self.assets.set(self.assets.get() + 1);
        let missing = || LabError::Asset { path: path.to_owned(), message: "it is not there".to_owned() };
        Box::pin(async move {
            turn_once().await;
            if path == ASSET && !self.lost.get() { Ok(b"7\n".to_vec()) } else { Err(missing()) }
        })
    }

    fn kept<'a>(&'a self, key: &'a str) -> Task<'a, Option<Vec<u8>>> {
        Box::pin(ready(Ok(self.kept.borrow().get(key).cloned())))
    }

    fn keep<'a>(&'a self, key: &'a str, bytes: &'a [u8]) -> Task<'a, bool> {
        if !self.forgets.get() {
            self.kept.borrow_mut().insert(key.to_owned(), bytes.to_vec());
        }
        Box::pin(ready(Ok(!self.forgets.get())))
    }
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The loop on a bench: polled by hand, so that a test says what arrives when.
pub struct Bench {
    port: Rc<Double>,
    mailbox: Rc<Mailbox>,
    serving: Pin<Box<dyn Future<Output = ()>>>,
    woken: Arc<Woken>,
    /// Answers each live frame, as a page that draws at once does.
    pub draws: bool,
    taken: usize,
}

impl Bench {
    pub fn new() -> Self {
        let port = Rc::new(Double {
            clock: Cell::new(1000.0),
            tick: Cell::new(0.5),
            sent: RefCell::default(),
            kept: RefCell::default(),
            assets: Cell::new(0),
            lost: Cell::new(false),
            forgets: Cell::new(false),
        });
        let mailbox = Rc::new(Mailbox::default());
        let serving = Box::pin(serve(port.clone(), mailbox.clone(), Device::flex(), "a double".to_owned(), RUNNERS));
        let mut bench = Self { port, mailbox, serving, woken: Arc::default(), draws: true, taken: 0 };
        let hello = bench.rest();
        assert_eq!(hello, [Event::Hello { version: VERSION.to_owned(), device: "a double".to_owned() }]);
        bench
    }

    pub fn tell(&self, command: Command) {
        self.mailbox.push(command);
    }

    /// Polls once and returns what was sent; `None` when the loop waits for a command.
    pub fn poll(&mut self) -> Option<Vec<Event>> {
        self.woken.0.store(false, Ordering::Relaxed);
        let waker = Waker::from(self.woken.clone());
        let polled = self.serving.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending(), "the loop serves until the page is gone");
        let events: Vec<Event> = self.port.sent.borrow()[self.taken..].iter().map(|(_, event)| event.clone()).collect();
        self.taken += events.len();
        if self.draws {
            for _ in events.iter().filter(|event| matches!(event, Event::Frame { live: true, .. })) {
                self.tell(Command::Seen);
            }
        }
        (self.woken.0.load(Ordering::Relaxed) || !events.is_empty()).then_some(events)
    }

    /// Everything that is sent until the loop waits for a command.
    pub fn rest(&mut self) -> Vec<Event> {
        self.until(|_| false)
    }

    /// Everything that is sent until one is as wished.
    fn until(&mut self, wished: impl Fn(&Event) -> bool) -> Vec<Event> {
        let mut all = Vec::new();
        for _ in 0..200_000 {
            let Some(events) = self.poll() else { return all };
            let found = events.iter().any(&wished);
            all.extend(events);
            if found {
                return all;
            }
        }
        panic!("the loop neither rests nor sends what is wished");
    }

    fn start(&mut self, run: u32, query: &str, speed: Speed, paused: bool) {
        self.tell(start(run, "made-up", query, speed, paused));
    }
}

fn start(run: u32, lab: &str, query: &str, speed: Speed, paused: bool) -> Command {
    let (lab, query) = (lab.to_owned(), query.to_owned());
    Command::Start { run, lab, query, speed, paused, fault: None, state: None }
}

fn set(query: &str) -> Command {
    Command::Set { query: query.to_owned() }
}

fn frames(events: &[Event], of_live: bool) -> Vec<Frame> {
    let frame = |event: &Event| match event {
        Event::Frame { live, frame, .. } if *live == of_live => Some(frame.clone()),
        _ => None,
    };
    events.iter().filter_map(frame).collect()
}

fn last_frame(events: &[Event]) -> Frame {
    frames(events, true).pop().expect("a frame was sent")
}

fn steps(frames: &[Frame]) -> Vec<u64> {
    frames.iter().map(|frame| frame.step).collect()
}

fn last_progress(events: &[Event]) -> Progress {
    let progress = |event: &Event| match event {
        Event::Progress { progress, .. } => Some(*progress),
        _ => None,
    };
    events.iter().filter_map(progress).next_back().expect("progress was sent")
}

fn states(events: &[Event]) -> Vec<(u64, Vec<u8>)> {
    let state = |event: &Event| match event {
        Event::State { step, bytes, .. } => Some((*step, bytes.clone())),
        _ => None,
    };
    events.iter().filter_map(state).collect()
}

fn rows(events: &[Event]) -> Vec<Row> {
    let row = |event: &Event| match event {
        Event::Row { row, .. } => Some(row.clone()),
        _ => None,
    };
    events.iter().filter_map(row).collect()
}

fn has_level(frame: &Frame) -> bool {
    match &frame.panels[0].body {
        Body::Chart(chart) => chart.marks.iter().any(|mark| matches!(mark, Mark::Level { .. })),
        _ => panic!("the first panel is a chart"),
    }
}

fn past(step: u64) -> impl Fn(&Event) -> bool {
    move |event| matches!(event, Event::Progress { progress, .. } if progress.step >= step)
}

/// The frames of a run that nobody disturbs, one a step.
pub fn straight(query: &str) -> Vec<Frame> {
    let mut bench = Bench::new();
    bench.port.tick.set(0.0);
    bench.start(1, query, Speed::One, false);
    frames(&bench.rest(), true)
}

const LONG: &str = "steps=100000";

#[test]
fn one_frame_is_in_flight_and_the_last_is_always_sent() {
    let mut bench = Bench::new();
    bench.draws = false;
    bench.start(1, "steps=200", Speed::Max, false);
    let first = bench.rest();
    assert_eq!(first[0], Event::Started { run: 1 });
    assert_eq!(steps(&frames(&first, true)), [0]);
    bench.tell(Command::Seen);
    let then = bench.rest();
    assert_eq!(steps(&frames(&then, true)), [200]);
    assert_eq!(last_progress(&then).phase, Phase::Done);
    bench.tell(Command::Seen);
    assert_eq!(bench.rest(), []);
}

#[test]
fn a_frame_carries_every_panel() {
    let frames = straight("steps=3&sentence=to+be+or+not&token=2");
    let bodies: Vec<&str> = frames[3]
        .panels
        .iter()
        .map(|panel| match panel.body {
            Body::Chart(_) => "chart",
            Body::Tokens(_) => "tokens",
            Body::Table(_) => "table",
            Body::Tree(_) => "tree",
            Body::Readouts(_) => "readouts",
        })
        .collect();
    assert_eq!(bodies, ["chart", "tokens", "table", "tree", "readouts"]);
    let Body::Tokens(tokens) = &frames[3].panels[1].body else { unreachable!("checked above") };
    assert_eq!((tokens.tokens.len(), tokens.arcs.len(), tokens.tokens[2].chosen), (4, 3, true));
    let event = Event::Frame { run: 1, live: true, frame: frames[3].clone() };
    let bytes = postcard::to_allocvec(&event).expect("a frame is plain data");
    assert_eq!(postcard::from_bytes::<Event>(&bytes).expect("it was just written"), event);
}

#[test]
fn every_panel_is_written_as_files() {
    let frames = straight("steps=3&sentence=to+be%2C+or+not&token=2");
    let files: Vec<(String, String)> =
        frames[3].panels.iter().flat_map(|panel| crate::headless::files(panel).expect("plain texts")).collect();
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["walk.svg", "walk.csv", "words.csv", "table.csv", "tree.csv", "numbers.csv"]);
    assert!(files[0].1.starts_with("<svg") && files[0].1.trim_end().ends_with("</svg>"));
    assert!(files[1].1.lines().count() > 3, "{}", files[1].1);
    assert_eq!(files[2].1.lines().nth(2), Some("1,\"be,\",word,0: 0.5"), "a comma is quoted");
    assert_eq!(files[4].1, "index,parent,text,note\n0,,start,\n1,0,walk,\n2,0,stay,\n");
    assert!(files[5].1.starts_with("key,of,name,unit,value\nvalue,walk,value,,"));
}

#[test]
fn pause_step_and_resume() {
    let mut bench = Bench::new();
    bench.start(1, "steps=50", Speed::Max, true);
    let begun = bench.rest();
    assert_eq!((last_frame(&begun).step, last_progress(&begun).phase), (0, Phase::Paused));
    for step in 1..=3 {
        bench.tell(Command::Step);
        let events = bench.rest();
        assert_eq!((last_frame(&events).step, last_progress(&events).phase), (step, Phase::Paused));
        assert_eq!(states(&events).last().map(|(step, _)| *step), Some(step), "no step is lost with its engine");
    }
    bench.tell(Command::Resume);
    let events = bench.rest();
    assert_eq!((last_frame(&events).step, last_progress(&events).phase), (50, Phase::Done));
    bench.tell(Command::Step);
    bench.tell(Command::Resume);
    assert_eq!(bench.rest(), [], "a run that is done has no further step");

    bench.start(2, LONG, Speed::Max, false);
    bench.until(past(100));
    bench.tell(Command::Pause);
    let paused = bench.rest();
    assert_eq!(last_progress(&paused).phase, Phase::Paused);
    assert_eq!(states(&paused).last().map(|(step, _)| *step), Some(last_progress(&paused).step));
    assert_eq!(bench.rest(), []);
}

#[test]
fn steps_come_as_fast_as_asked() {
    for (speed, rate) in [(Speed::Slow, 5.0), (Speed::One, 60.0), (Speed::Four, 240.0)] {
        let mut bench = Bench::new();
        bench.port.tick.set(0.0);
        bench.start(1, "steps=30", speed, false);
        let begin = bench.port.clock.get();
        let events = bench.rest();
        let spent = bench.port.clock.get() - begin;
        assert!((spent - 29.0 * 1000.0 / rate).abs() < 1.0, "{speed:?}: 30 steps took {spent} ms");
        assert_eq!(steps(&frames(&events, true)), (0..=30).collect::<Vec<_>>(), "each step is seen");
    }
}

#[test]
fn a_stall_is_not_caught_up_and_a_new_speed_holds_at_once() {
    let mut bench = Bench::new();
    bench.port.tick.set(0.0);
    bench.start(1, LONG, Speed::Slow, false);
    bench.until(past(5));
    bench.port.clock.set(bench.port.clock.get() + 60_000.0);
    let before = bench.port.clock.get();
    bench.until(past(10));
    let spent = bench.port.clock.get() - before;
    assert!(spent > 500.0, "missed steps are not made up for: five took {spent} ms");
    bench.tell(Command::Speed { speed: Speed::Four });
    let before = bench.port.clock.get();
    let from = last_progress(&bench.until(past(40))).step;
    let to = last_progress(&bench.until(past(280))).step;
    let spent = bench.port.clock.get() - before;
    assert!(spent < 1500.0, "from {from} to {to} in {spent} ms");
    let measured = last_progress(&bench.until(past(600))).rate;
    assert!((measured - 240.0).abs() < 12.0, "the rate shown is {measured}");
}

#[test]
fn live_and_view_parameters_reach_the_run_and_others_do_not() {
    let mut bench = Bench::new();
    bench.start(1, "steps=50", Speed::Max, true);
    assert!(has_level(&last_frame(&bench.rest())));
    bench.tell(set("level=false"));
    let viewed = last_frame(&bench.rest());
    assert_eq!((viewed.step, has_level(&viewed)), (0, false));
    bench.tell(set("level=false"));
    assert_eq!(bench.rest(), [], "nothing changed");
    bench.tell(set("steps=10"));
    assert!(frames(&bench.rest(), true).is_empty(), "another number of steps is another run");

    bench.tell(set("draws=2&target=1,1,1,1,1,1,1,1&rate=0.001"));
    bench.rest();
    bench.tell(Command::Step);
    let pulled = last_frame(&bench.rest()).readouts()["value"];
    assert!((pulled - 8.0).abs() < 0.1, "from 7 by about 1 to {pulled}");
}

#[test]
fn an_idle_run_wakes_when_a_parameter_changes() {
    let mut bench = Bench::new();
    bench.tell(start(1, "still", "number=2", Speed::Max, false));
    let events = bench.rest();
    assert_eq!(last_progress(&events).phase, Phase::Idle);
    assert_eq!(last_frame(&events).readouts()["doubled"], 4.0);
    assert_eq!(bench.rest(), []);
    bench.tell(set("number=3"));
    let events = bench.rest();
    assert_eq!(last_progress(&events).phase, Phase::Idle);
    assert_eq!(last_frame(&events).readouts()["doubled"], 6.0);
    // As many changes as a long drag makes.
    for number in 0..2000 {
        bench.tell(set(&format!("number={}", f64::from(number) / 1000.0)));
    }
    bench.tell(set("turned=true"));
    assert_eq!(last_frame(&bench.rest()).readouts()["doubled"], -3.998);
}

#[test]
fn stop_ends_a_run_at_once() {
    let mut bench = Bench::new();
    bench.start(1, LONG, Speed::Max, false);
    bench.until(past(100));
    bench.tell(Command::Stop);
    // A frame may still go out when the page has just answered the last one.
    assert!(frames(&bench.rest(), true).len() < 2);
    for command in [Command::Step, Command::Resume, set("level=false"), Command::Seen, Command::Look { at: Some(3) }] {
        bench.tell(command);
    }
    assert_eq!(bench.rest(), [], "nothing runs");
}

#[test]
fn a_start_in_mid_run_replaces_it() {
    let mut bench = Bench::new();
    bench.start(1, LONG, Speed::Max, false);
    bench.until(past(100));
    bench.start(2, "steps=30&seed=4", Speed::Max, false);
    let events = bench.rest();
    let second = events.iter().position(|event| *event == Event::Started { run: 2 }).expect("the second run starts");
    let of_first = |event: &Event| {
        matches!(event, Event::Frame { run: 1, .. } | Event::Progress { run: 1, .. } | Event::State { run: 1, .. })
    };
    assert!(!events[second..].iter().any(of_first), "the first run is silent once the second started");
    assert_eq!(Some(&last_frame(&events)), straight("steps=30&seed=4").last());
}

#[test]
fn two_starts_at_once_leave_the_second() {
    let mut bench = Bench::new();
    bench.start(1, "", Speed::Max, false);
    bench.start(2, "", Speed::Max, false);
    let events = bench.rest();
    assert!(!events.contains(&Event::Started { run: 1 }), "the first was still waiting for its asset");
    assert_eq!(last_frame(&events).step, 20);
}

#[test]
fn a_state_is_sent_every_two_seconds_and_a_run_resumes_from_it() {
    let query = "steps=6000&seed=9";
    let mut bench = Bench::new();
    let begin = bench.port.clock.get();
    bench.start(1, query, Speed::Max, false);
    let events = bench.rest();
    let when: Vec<f64> = std::iter::once(begin)
        .chain(bench.port.sent.borrow().iter().filter(|(_, event)| matches!(event, Event::State { .. })).map(|s| s.0))
        .collect();
    assert!(when.len() > 4, "{} states in {} ms", when.len(), bench.port.clock.get() - begin);
    assert!(when.windows(2).all(|pair| pair[1] - pair[0] < 2100.0), "{when:?}");

    let all = states(&events);
    assert_eq!(all.last().map(|(step, _)| *step), Some(6000), "the end is a state too");
    let (step, bytes) = all[0].clone();
    let mut resumed = Bench::new();
    let Command::Start { run, lab, query, speed, fault, .. } = start(2, "made-up", query, Speed::Max, true) else {
        unreachable!("a start was made")
    };
    resumed.tell(Command::Start { run, lab, query, speed, paused: true, fault, state: Some(bytes) });
    let opened = resumed.rest();
    assert_eq!((last_frame(&opened).step, last_progress(&opened).step), (step, step));
    resumed.tell(Command::Resume);
    assert_eq!(last_frame(&resumed.rest()), last_frame(&events), "bit for bit");
}

#[test]
fn a_resumed_run_shows_the_same_next_frames() {
    let whole = straight("steps=40&seed=3");
    let mut bench = Bench::new();
    bench.start(1, "steps=40&seed=3", Speed::Max, true);
    for _ in 0..11 {
        bench.tell(Command::Step);
    }
    bench.rest();
    bench.port.tick.set(0.0);
    bench.tell(Command::Speed { speed: Speed::One });
    bench.tell(Command::Resume);
    bench.until(past(15));
    bench.tell(Command::Pause);
    let (step, bytes) = states(&bench.rest()).pop().expect("a pause sends the state");
    let mut resumed = Bench::new();
    resumed.port.tick.set(0.0);
    let (lab, query) = ("made-up".to_owned(), "steps=40&seed=3".to_owned());
    let (speed, state) = (Speed::One, Some(bytes));
    resumed.tell(Command::Start { run: 2, lab, query, speed, paused: false, fault: None, state });
    assert_eq!(frames(&resumed.rest(), true), whole[step as usize..]);
}

#[test]
fn a_state_that_cannot_be_read_is_said() {
    let mut bench = Bench::new();
    for bytes in [vec![255; 40], Vec::new(), postcard::to_allocvec(&State::new(3)).expect("plain data")] {
        let (lab, query, speed) = ("made-up".to_owned(), String::new(), Speed::Max);
        bench.tell(Command::Start { run: 1, lab, query, speed, paused: false, fault: None, state: Some(bytes) });
        let events = bench.rest();
        assert!(matches!(events[..], [Event::Failed { run: 1, error: LabError::Data { .. } }]), "{events:?}");
    }
}

#[test]
fn a_look_at_the_past_leaves_the_run_alone() {
    let whole = straight("steps=140");
    let mut bench = Bench::new();
    bench.port.tick.set(0.0);
    bench.start(1, "steps=140", Speed::One, false);
    bench.until(past(60));
    bench.tell(Command::Look { at: Some(20) });
    let looked = bench.until(past(70));
    assert_eq!(frames(&looked, false), [whole[20].clone()]);
    assert!(frames(&looked, true).len() < 2, "what is live is not shown meanwhile");
    bench.tell(set("level=false&shape=flat-top"));
    let again = frames(&bench.until(past(80)), false);
    assert_eq!(steps(&again), [20]);
    assert!(!has_level(&again[0]), "the past is seen with the parameters as they are now");
    assert_eq!(again[0].readouts(), whole[20].readouts());
    bench.tell(set("level=true&shape=round"));
    bench.tell(Command::Look { at: None });
    let end = bench.rest();
    assert_eq!(last_frame(&end), whole[140]);
    // Beyond the end the last step is the nearest.
    bench.tell(Command::Look { at: Some(99_999) });
    assert_eq!(frames(&bench.rest(), false), [whole[140].clone()]);
}

#[test]
fn a_look_at_the_past_is_not_drowned_in_reports() {
    let mut bench = Bench::new();
    bench.start(1, "steps=5000", Speed::Max, false);
    bench.until(past(100));
    bench.tell(Command::Look { at: Some(20) });
    let begin = bench.port.clock.get();
    let events = bench.rest();
    let reports = events.iter().filter(|event| matches!(event, Event::Progress { .. })).count() as f64;
    let spent = bench.port.clock.get() - begin;
    assert!(reports <= spent / 50.0 + 3.0 && reports > spent / 100.0, "{reports} reports in {spent} ms");
    let end = last_progress(&events);
    assert_eq!((end.step, end.phase), (5000, Phase::Done), "the end is told all the same");
}

#[test]
fn the_record_keeps_its_budget_and_stays_even() {
    let frame = straight("steps=1").remove(0);
    let budget = 60_000;
    let mut recorder = Recorder::new(None, budget);
    for step in 0..5000 {
        if recorder.wants(step) {
            let mut state = State::new(step);
            state.put("numbers", vec![vec![0.5; 100]]);
            recorder.record(state, Frame { step, ..frame.clone() });
            assert!(recorder.bytes() <= budget, "{} bytes at step {step}", recorder.bytes());
        }
    }
    let mut kept: Vec<u64> = (0..5000).filter_map(|at| recorder.at(at)).map(|(state, _)| state.step).collect();
    kept.dedup();
    let strides: Vec<u64> = kept.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(kept.len() > 10 && kept[0] == 0, "{kept:?}");
    assert!(strides.iter().all(|&stride| stride == strides[0] && stride.is_power_of_two()), "{strides:?}");
    assert!(5000 - recorder.last().expect("something is kept") <= 2 * strides[0]);
    assert!(kept.iter().all(|&at| recorder.at(at).is_some_and(|(state, frame)| state.step == frame.step)));

    let bounded = Recorder::new(Some(1500), budget);
    assert!(bounded.wants(10) && !bounded.wants(15));
}

#[test]
fn a_record_of_one_step_again_and_again_stays_small() {
    let frame = straight("steps=1").remove(0);
    let mut recorder = Recorder::new(None, 1 << 20);
    for _ in 0..2000 {
        recorder.record(State::new(0), frame.clone());
    }
    assert_eq!(recorder.last(), Some(0));
    assert!(recorder.bytes() < 1 << 14, "{} bytes", recorder.bytes());
}

fn settings() -> Vec<(String, String)> {
    (1..=6).map(|seed| (format!("seed {seed}"), format!("steps=300&seed={seed}"))).collect()
}

fn batch(run: u32, rows: Vec<(String, String)>) -> Command {
    Command::Batch { run, lab: "made-up".to_owned(), rows }
}

#[test]
fn a_batch_sends_a_row_for_each_setting() {
    let mut bench = Bench::new();
    bench.tell(batch(3, settings()));
    let events = bench.rest();
    assert_eq!(events.last(), Some(&Event::Finished { run: 3 }));
    let found = rows(&events);
    assert_eq!(found.len(), 6);
    let alone = straight("steps=300&seed=2");
    assert_eq!(found[1].label, "seed 2");
    assert_eq!(found[1].readouts, alone.last().expect("it ran").readouts());
    assert!(found[1].query.contains("rate=0.5") && found[1].query.ends_with("seed=2"), "{}", found[1].query);
    assert_ne!(found[0].readouts, found[1].readouts);
}

#[test]
fn a_stopped_batch_goes_on_with_the_missing_rows() {
    let mut bench = Bench::new();
    bench.tell(batch(1, settings()));
    let mut found = rows(&bench.until(|event| matches!(event, Event::Row { .. })));
    bench.tell(Command::Stop);
    let after = bench.rest();
    assert!(!after.contains(&Event::Finished { run: 1 }));
    found.extend(rows(&after));
    assert!(found.len() < 6, "the stop came in time");
    let missing = settings().into_iter().filter(|(label, _)| found.iter().all(|row| row.label != *label)).collect();
    bench.tell(batch(2, missing));
    found.extend(rows(&bench.rest()));

    let mut whole = Bench::new();
    whole.tell(batch(1, settings()));
    assert_eq!(found, rows(&whole.rest()));
}

#[test]
fn a_held_batch_waits_and_then_goes_on() {
    let mut bench = Bench::new();
    bench.tell(batch(1, settings()));
    let mut found = rows(&bench.until(|event| matches!(event, Event::Row { .. })));
    bench.tell(Command::Hold { on: true });
    found.extend(rows(&bench.rest()));
    assert!(found.len() < 6, "it went on while it was held");
    bench.tell(Command::Hold { on: false });
    let after = bench.rest();
    assert_eq!(after.last(), Some(&Event::Finished { run: 1 }));
    found.extend(rows(&after));
    assert_eq!(found.len(), 6);
}

#[test]
fn a_sweep_draws_the_rows_that_are_done() {
    let mut bench = Bench::new();
    let (values, _) = Values::from_query(RUNNERS[0].specs, "steps=25&rate=0.25&seed=9");
    bench.tell(batch(1, (SEEDS.rows)(&values)));
    let found = rows(&bench.rest());
    assert_eq!(found.len(), 6);
    assert!(found.iter().all(|row| row.query.starts_with("steps=25&") && row.query.contains("&rate=0.25&")));
    for done in [0, 1, 6] {
        let [panel] = &(SEEDS.draw)(&found[..done])[..] else { panic!("one figure") };
        let Body::Chart(chart) = &panel.body else { panic!("it is a chart") };
        assert!(matches!(&chart.marks[0], Mark::Dots { points, .. } if points.len() == done));
    }
}

#[test]
fn a_claim_is_judged_seed_by_seed() {
    let mut bench = Bench::new();
    bench.tell(batch(1, STAYS.settings()));
    let mut found = rows(&bench.rest());
    let labels: Vec<&str> = found.iter().map(|row| row.label.as_str()).collect();
    assert_eq!(labels, ["still@1", "moving@1", "still@2", "moving@2"]);
    let judged = STAYS.judge(&found);
    assert_eq!(judged[0].figures, [(1, 0.0), (2, 0.0)]);
    let moved: Vec<f64> = judged[1].figures.iter().map(|(_, figure)| *figure).collect();
    assert_eq!((judged[0].held(), judged[1].held()), (2, 1), "{moved:?}");
    assert_eq!(judged[1].worst(), moved[0].min(moved[1]));
    assert_eq!(judged[1].mean(), (moved[0] + moved[1]) / 2.0);
    assert_eq!(STAYS.verdict(&found), Some(false), "every seed has to hold");

    let last = found.pop().expect("four runs");
    assert_eq!(STAYS.verdict(&found), None, "a run is missing");
    assert_eq!(STAYS.judge(&found)[0].figures, [(1, 0.0)], "the seed whose runs are done is judged");
    found.push(Row { readouts: last.readouts.keys().map(|key| (format!("old_{key}"), 0.0)).collect(), ..last });
    assert_eq!(STAYS.verdict(&found), Some(false), "a readout that is missing meets no bound");
}

#[test]
fn some_steps_are_timed() {
    let mut bench = Bench::new();
    bench.tell(Command::Time { run: 5, lab: "made-up".to_owned(), query: LONG.to_owned(), steps: 40 });
    match bench.rest()[..] {
        [Event::Timed { run: 5, steps: 40, milliseconds }] => assert!((20.0..100.0).contains(&milliseconds)),
        ref other => panic!("{other:?}"),
    }
}

#[test]
fn a_short_run_is_timed_again_and_again_and_never_beyond_its_end() {
    let mut bench = Bench::new();
    // Each start reads its asset.
    bench.port.forgets.set(true);
    bench.tell(Command::Time { run: 1, lab: "made-up".to_owned(), query: "steps=10".to_owned(), steps: 37 });
    assert!(matches!(bench.rest()[..], [Event::Timed { run: 1, steps: 37, .. }]));
    assert_eq!(bench.port.assets.get(), 4, "forty steps are four runs of ten");
}

/// What an engine takes for some steps, by a clock on which each of its steps takes a while.
fn timing(tick: f64) -> Timing {
    let mut bench = Bench::new();
    bench.port.tick.set(tick);
    bench.tell(Command::Time { run: 1, lab: "made-up".to_owned(), query: LONG.to_owned(), steps: 50 });
    match bench.rest()[..] {
        [Event::Timed { steps, milliseconds, .. }] => Timing { steps, milliseconds },
        ref other => panic!("{other:?}"),
    }
}

#[test]
fn the_race_is_run_both_ways() {
    let (slow, fast) = (timing(4.0), timing(0.25));
    assert!(slow.milliseconds > 8.0 * fast.milliseconds, "{slow:?}, {fast:?}");
    assert_eq!(decide(slow, fast).0, Engine::Gpu);
    assert_eq!(decide(fast, slow).0, Engine::Cpu);
}

#[test]
fn the_faster_engine_wins() {
    let (slow, fast) = (Timing { steps: 20, milliseconds: 400.0 }, Timing { steps: 60, milliseconds: 300.0 });
    let (winner, reason) = decide(slow, fast);
    assert_eq!(winner, Engine::Gpu);
    assert!(reason.contains("WebGPU is 4.0 times as fast") && reason.contains("60 steps took 300 ms"), "{reason}");
    let (winner, reason) = decide(fast, slow);
    assert_eq!(winner, Engine::Cpu);
    assert!(reason.contains("The CPU is 4.0 times as fast"), "{reason}");
    assert_eq!(decide(fast, fast).0, Engine::Cpu, "a tie stays where it is");
}

#[test]
fn a_request_is_relayed_to_the_page() {
    let mut bench = Bench::new();
    bench.start(1, "ask=true", Speed::Max, false);
    let events = bench.rest();
    let Some(Event::Request { id, request }) = events.last() else { panic!("{events:?}") };
    assert_eq!((request.path.as_str(), request.body.as_slice()), ("/answer", b"?".as_slice()));
    let response = HttpResponse { status: 204, headers: Vec::new(), body: Vec::new() };
    // An answer to nobody's question first.
    bench.tell(Command::Response { id: id + 7, response: Ok(response.clone()), sent: 1 });
    assert_eq!(bench.rest(), []);
    bench.tell(Command::Response { id: *id, response: Ok(response), sent: 1 });
    let end = last_frame(&bench.rest());
    assert_eq!((end.step, end.readouts()["answered"]), (20, 204.0));
}

#[test]
fn a_request_that_fails_ends_the_run_with_its_sentence() {
    let mut bench = Bench::new();
    bench.start(1, "ask=true", Speed::Max, false);
    let Some(Event::Request { id, .. }) = bench.rest().pop() else { panic!("no request") };
    let error = LabError::Http { message: "Nobody answers.".to_owned() };
    bench.tell(Command::Response { id, response: Err(error.clone()), sent: 1 });
    let events = bench.rest();
    assert_eq!(events.last(), Some(&Event::Failed { run: 1, error }));
    // What was done before is sent once more, so that the run can go on from there.
    assert_eq!(last_frame(&events).step, 2);
    let state = events.iter().find_map(|event| match event {
        Event::State { run: 1, step, .. } => Some(*step),
        _ => None,
    });
    assert_eq!(state, Some(2));
}

#[test]
fn a_late_answer_finds_nobody() {
    let mut bench = Bench::new();
    bench.start(1, "ask=true", Speed::Max, false);
    let Some(Event::Request { id, .. }) = bench.rest().pop() else { panic!("no request") };
    bench.tell(Command::Stop);
    assert_eq!(bench.rest(), []);
    let response = || Ok(HttpResponse { status: 200, headers: Vec::new(), body: Vec::new() });
    bench.tell(Command::Response { id, response: response(), sent: 1 });
    assert_eq!(bench.rest(), []);
    bench.start(2, "ask=true", Speed::Max, false);
    let Some(Event::Request { id: second, .. }) = bench.rest().pop() else { panic!("no request") };
    assert_ne!(second, id, "the late answer cannot be taken for the new one");
    bench.tell(Command::Response { id: second, response: response(), sent: 1 });
    assert_eq!(last_frame(&bench.rest()).step, 20);
}

#[test]
fn a_command_while_a_step_waits_takes_effect_after_it() {
    let mut bench = Bench::new();
    bench.start(1, "ask=true", Speed::Max, false);
    let Some(Event::Request { id, .. }) = bench.rest().pop() else { panic!("no request") };
    bench.tell(Command::Pause);
    bench.tell(set("level=false"));
    assert_eq!(bench.rest(), [], "only the end of a run cancels a step");
    let response = Ok(HttpResponse { status: 200, headers: Vec::new(), body: Vec::new() });
    bench.tell(Command::Response { id, response, sent: 1 });
    let events = bench.rest();
    assert_eq!((last_progress(&events).phase, last_progress(&events).step), (Phase::Paused, 3));
    assert!(!has_level(&last_frame(&events)));
}

#[test]
fn a_lab_gets_its_file_and_what_was_kept() {
    let mut bench = Bench::new();
    bench.start(1, "", Speed::Max, true);
    assert_eq!(last_frame(&bench.rest()).readouts()["value"], 7.0);
    assert_eq!(bench.port.assets.get(), 1);
    bench.start(2, "", Speed::Max, true);
    bench.rest();
    assert_eq!(bench.port.assets.get(), 1, "what was kept is not fetched again");
    bench.tell(Command::File { key: "table".to_owned(), bytes: vec![0; 12] });
    bench.start(3, "table=mine.csv", Speed::Max, true);
    assert_eq!(last_frame(&bench.rest()).readouts()["value"], 12.0);
}

#[test]
fn an_asset_that_is_missing_is_said_and_the_next_start_tries_again() {
    let error = LabError::Asset { path: ASSET.to_owned(), message: "it is not there".to_owned() };
    let mut bench = Bench::new();
    bench.port.lost.set(true);
    let failed = |run| Event::Failed { run, error: error.clone() };
    bench.start(1, "", Speed::Max, false);
    assert_eq!(bench.rest(), [failed(1)]);
    bench.tell(batch(2, settings()));
    assert_eq!(bench.rest(), [failed(2)]);
    bench.port.lost.set(false);
    bench.start(3, "", Speed::Max, false);
    assert_eq!(last_frame(&bench.rest()).step, 20);

    // In the midst of a change, too.
    bench.tell(start(4, "still", "number=2", Speed::Max, false));
    bench.rest();
    bench.port.lost.set(true);
    bench.tell(set("number=3"));
    assert_eq!(bench.rest(), [failed(4)]);
    bench.port.lost.set(false);
    bench.tell(set("number=4"));
    assert_eq!(bench.rest(), [], "a run that failed is over");
}

#[test]
fn a_run_that_is_done_is_looked_at_anew() {
    let mut bench = Bench::new();
    bench.start(1, "steps=5", Speed::Max, false);
    let done = last_frame(&bench.rest());
    bench.tell(set("level=false"));
    let events = bench.rest();
    let seen = last_frame(&events);
    assert_eq!((has_level(&done), has_level(&seen)), (true, false));
    assert_eq!((seen.step, seen.readouts()), (5, done.readouts()));
    assert_eq!(last_progress(&events).phase, Phase::Done);
}

#[test]
fn an_unknown_lab_is_said() {
    let mut bench = Bench::new();
    let error = LabError::Unknown { slug: "no-such-lab".to_owned() };
    bench.tell(start(8, "no-such-lab", "", Speed::Max, false));
    bench.tell(Command::Batch { run: 9, lab: "no-such-lab".to_owned(), rows: settings() });
    bench.tell(Command::Time { run: 10, lab: "no-such-lab".to_owned(), query: String::new(), steps: 3 });
    let failed = |run| Event::Failed { run, error: error.clone() };
    assert_eq!(bench.rest(), [failed(8), failed(9), failed(10)]);
}

#[test]
#[should_panic(expected = "it was asked to fail at step 5")]
fn a_fault_kills_the_engine() {
    let mut bench = Bench::new();
    let (lab, query, speed) = ("made-up".to_owned(), String::new(), Speed::Max);
    bench.tell(Command::Start {
        run: 1,
        lab,
        query,
        speed,
        paused: false,
        fault: Fault::named("panic:5"),
        state: None,
    });
    bench.rest();
}

#[test]
fn commands_travel_as_json_with_bytes_beside() {
    let mut command = Command::File { key: "table".to_owned(), bytes: vec![1, 2, 3] };
    let bytes = command.take_bytes().expect("a file has bytes");
    let text = serde_json::to_string(&command).expect("plain data");
    let mut arrived: Command = serde_json::from_str(&text).expect("it was just written");
    arrived.put_bytes(bytes);
    assert_eq!(arrived, Command::File { key: "table".to_owned(), bytes: vec![1, 2, 3] });
    let speeds: Vec<Option<Speed>> = Speed::ALL.iter().map(|speed| Speed::named(speed.value())).collect();
    assert_eq!(speeds, Speed::ALL.iter().copied().map(Some).collect::<Vec<_>>());
}

#[test]
fn numbers_wait_on_the_device_until_they_are_wanted() {
    let device = Device::flex();
    let (mut readings, mut told) = (Readings::default(), 0);
    for step in 1..=70 {
        let numbers: Vec<f32> = (0..step % 3 + 1).map(|i| (10 * step + i) as f32).collect();
        told += u32::from(readings.push(step, Tensor::from_data(numbers.as_slice(), &device)));
    }
    assert!(told > 0, "nobody was told that they are many");
    let taken = block_on(readings.take()).unwrap();
    assert_eq!(taken.iter().map(|(step, _)| *step).collect::<Vec<_>>(), (1..=70).collect::<Vec<_>>());
    assert_eq!(taken[4], (5, vec![50.0, 51.0, 52.0]));
    assert_eq!(block_on(readings.take()).unwrap(), []);
    readings.push(7, Tensor::from_data([1.0, f32::NAN].as_slice(), &device));
    assert_eq!(block_on(readings.take()), Err(LabError::Diverged { step: 7 }));
}
