//! A model that writes on with a compressed cache, beside itself with the whole one.

use super::figures::{members, shade, threads, told};
use super::methods::{Knobs, method, share_of};
use super::passage::Reader;
use super::writers::{Manner, Place, Writers};
use super::{EMS, PAGE};
use crate::chart::{Axis, Chart, Ink, Mark};
use crate::lab::{
    BatchSpec, Body, Card, Cell, Frame, Host, Lab, LabError, Panel, Preset, Readout, Row, State, Status, Table, Token,
    Tokens, Values,
};
use crate::labs::house_figures::{heads_map, next_word};
use crate::labs::house_model::ModelChoice;
use crate::mech::compressing_decoder::Regime;
use crate::mech::kv_cache::{Combine, Compression, Ems, Fate, Fates, Rest};
use crate::mech::recall_language::{Context, ContextConfig, word};
use crate::mech::recall_training::{LONG, likeliest};
use crate::{choices, params};

choices! {
    pub enum Remembers {
        Ems = "ems", "EMS";
        GlobalLocal = "global-local", "Global-Local, the rest dropped";
        H2o = "h2o", "H2O";
        Cam = "cam", "H2O, the rest spread (CaM)";
        Streaming = "streaming", "StreamingLLM, re-rotated";
        Tova = "tova", "TOVA";
        SnapKv = "snapkv", "SnapKV, then the last ones";
        KeyDiff = "keydiff", "KeyDiff";
        Window = "window", "the last ones";
        Random = "random", "chance";
    }
}

/// Words of the context that a text begins with, and of the text that are shown at most.
const LEAD: usize = 8;
const SHOWN: usize = 120;
/// Tokens that CaM spreads a value over, and that SnapKV smooths over, as in kvpress.
const SPREAD: usize = 32;
const POOLING: usize = 5;
/// Whose the figures of two are, with their colors.
const WRITERS: [(&str, &str, Ink); 2] =
    [("whole", "whole cache", Ink::Data), ("compressed", "compressed cache", Ink::Method)];

params! {
    pub struct GenerateParams {
        /// Share of the context’s tokens that each head keeps, and makes do with as the text grows. At 1 nothing is ever dropped.
        keep: f64 = real("Share kept", 0.25, 0.05..=1.0),
        /// What decides which tokens stay, in the context and while it writes.
        method: Remembers = choice("Kept by", Remembers::Ems.value(), Remembers::OPTIONS),
        /// How freely words are chosen: at 0 always the likeliest. Both copies draw with the same chance.
        temperature: f64 = real("Temperature", 0.0, 0.0..=1.5),
        /// Both are made to ask for a stated name every so many words, and answer by themselves.
        ask: usize = int("Ask every", 12, 0..=64).word("never", 0),
        /// The compressed copy reads what the whole one wrote, and only says what it would have written.
        teacher: bool = toggle("Reads the other’s text", false),
        /// Words to be written. The model was trained on 128, context included.
        length: usize = int("Words to write", 96, 8..=512),
        /// Which of the drawn contexts is read.
        context: u64 = int("Drawn context", 0, 0..=99),
        /// Words of the drawn context.
        words_drawn: usize = int("Its words", 120, 32..=120),
        /// A context of your own, in the model’s words: names and values, fillers, questions such as “? Ada”. Empty for a drawn one.
        words: String = text("Your context", "", 2000),
        /// The layer that is looked at, from below.
        layer: usize = int("Layer", 1, 1..=2).view(),
        /// The head that is looked at.
        head: usize = int("Head", 3, 1..=4).view(),
        /// Which model reads: one that comes with the page, of which the seed chooses one of three, or yours.
        model: ModelChoice = choice("Model", ModelChoice::Shipped.value(), ModelChoice::OPTIONS).more(),
        /// Last tokens that EMS and SnapKV always keep, and whose queries they ask.
        window: usize = int("Window", 8, 1..=32).symbol("w").more(),
        /// Tokens that pile up before EMS compresses again. The other methods drop one at each word.
        every: usize = int("Compress every", 8, 1..=32).symbol("Δ").more(),
    }
}

impl GenerateParams {
    fn knobs(&self) -> Knobs {
        Knobs {
            window: self.window,
            kernel: POOLING,
            combine: Combine::Max,
            ems: Ems::default(),
            pyramid: false,
            seed: self.seed,
        }
    }

    /// How the cache is held small beside a context of so many tokens.
    fn regime(&self, context: usize) -> Regime {
        let knobs = self.knobs();
        let named = |key: &str| method(key, &knobs);
        let both = |key: &str| [named(key); 2];
        let [prompt, onward] = match self.method {
            Remembers::Ems => both("ems"),
            Remembers::GlobalLocal => both("global_local"),
            Remembers::H2o => both("h2o"),
            Remembers::Cam => {
                let rest = Rest::Cam { window: SPREAD, seed: self.seed };
                [named("h2o"), Compression { rest, ..named("h2o") }]
            }
            Remembers::Streaming => both("streaming"),
            Remembers::Tova => both("tova"),
            Remembers::SnapKv => [named("snap"), named("window")],
            Remembers::KeyDiff => both("key_diff"),
            Remembers::Window => both("window"),
            Remembers::Random => both("random"),
        };
        let waits = matches!(self.method, Remembers::Ems | Remembers::GlobalLocal);
        Regime {
            prompt,
            onward,
            budget: self.budget(context),
            slack: if waits { self.every } else { 1 },
            renumbers: self.method == Remembers::Streaming,
        }
    }

    /// Tokens that each head keeps: no fewer than a window and one more, whatever the method, so that all can be compared.
    fn budget(&self, context: usize) -> usize {
        if self.keep >= 1.0 {
            return context + self.length;
        }
        share_of(self.keep, context).max(self.window + 1)
    }

    fn manner(&self) -> Manner {
        Manner { temperature: self.temperature, ask: self.ask, teacher: self.teacher, seed: self.seed }
    }
}

pub struct KvCacheGenerate {
    params: GenerateParams,
    /// Why the context is not the one that the reader wrote, or not all of it.
    note: Option<String>,
    /// Both before the first word. What they write follows from it, so a saved run is a number of words.
    begin: Writers,
    writers: Writers,
    regime: Regime,
}

fn context_of(reader: &Reader, params: &GenerateParams) -> (Context, Option<String>) {
    let config = ContextConfig { tokens: params.words_drawn, ..ContextConfig::default() };
    let drawn = || reader.context(&config, params.seed, params.context);
    match params.words.trim() {
        "" => (drawn(), None),
        words => match Reader::parse(words) {
            Ok(read) => read,
            Err(problem) => {
                let said = format!(
                    "{problem} Mend it under “Your context”; its words are listed in the text below. Meanwhile a drawn context is used."
                );
                (drawn(), Some(said))
            }
        },
    }
}

impl KvCacheGenerate {
    /// Words written so far.
    fn written(&self) -> usize {
        self.writers.places.len()
    }

    fn context(&self) -> &[usize] {
        &self.writers.context.tokens
    }

    /// The text of one of both, with what became of its questions.
    fn text_panel(&self, writer: usize) -> Panel {
        let first = self.writers.first_difference();
        let lead = self.context().len().saturating_sub(LEAD);
        let led = self.context()[lead..].iter().map(|&token| Token {
            text: word(token).to_owned(),
            note: "context".to_owned(),
            ..Token::default()
        });
        let hidden = self.written().saturating_sub(SHOWN);
        let said = self.writers.places.iter().enumerate().skip(hidden);
        let said = said.map(|(at, place)| said_token(place, writer, first == Some(at)));
        let tokens = if hidden == 0 { led.chain(said).collect() } else { said.collect() };
        let body = Body::Tokens(Tokens { tokens, wraps: true, ..Tokens::default() });
        let cut = if hidden > 0 { format!(" The last {SHOWN} words are shown.") } else { String::new() };
        let [id, title] = [["whole", "With the whole cache"], ["compressed", "With a compressed cache"]][writer];
        let said = match writer {
            0 => self.whole_said(),
            _ => self.compressed_said(first),
        };
        Panel::new(id, title, said + &cut, 3, body)
    }

    fn whole_said(&self) -> String {
        let said = format!(
            "After a context of {} words it has written **{}** of {}. {}",
            self.context().len() - 1,
            self.written(),
            self.params.length,
            answered(self.writers.answers()[0])
        );
        match &self.note {
            Some(note) => format!("{note} {said}"),
            None => said,
        }
    }

    fn compressed_said(&self, first: Option<usize>) -> String {
        let [chosen, same] = self.writers.agreement();
        let apart = match first {
            Some(at) => {
                let [whole, compressed] = self.writers.places[at].said.map(word);
                format!("It first differs at word **{}**: “{compressed}”, not “{whole}”. ", at + 1)
            }
            None => "No word differs so far. ".to_owned(),
        };
        let teacher = if self.params.teacher { "What it would have written. " } else { "" };
        let answered = answered(self.writers.answers()[1]);
        format!("{teacher}{apart}**{same} of {chosen}** chosen words are the same. {answered}")
    }

    /// What the chosen head remembers of all that was read.
    fn memory_panel(&self, params: &GenerateParams) -> Panel {
        let text = &self.writers.texts[1];
        let of_layer = self.writers.fates().nth(params.layer - 1);
        let fates = of_layer.and_then(|heads| heads.get(params.head - 1)).expect("the parameters hold layer and head");
        let all: Vec<Fate> = (0..text.len()).map(|token| fates.of(token)).collect();
        let members = members(&all);
        let token = |(at, &token): (usize, &usize)| {
            let (note, class) = told(all[at], members[at], text);
            Token { text: word(token).to_owned(), note, class, chosen: at == self.context().len() }
        };
        let tokens = text.iter().enumerate().map(token).collect();
        let merged = members.iter().sum::<usize>();
        let cached = fates.cached().len();
        let said = format!(
            "Head {}.{}: of **{}** words its cache holds **{cached}**, **{merged}** more are merged into them, and **{}** are gone. The marked word is the first that was written.",
            params.layer,
            params.head,
            text.len(),
            text.len() - cached - merged
        );
        let tokens = Tokens { tokens, arcs: threads(&all, |_| 1.0), wraps: true, ..Tokens::default() };
        Panel::new("memory", "What one head remembers", said, 6, Body::Tokens(tokens))
    }

    /// Where in the text the model was trained no further.
    fn trained(&self) -> Option<Mark> {
        let words = LONG.checked_sub(self.context().len()).filter(|words| *words <= self.params.length)?;
        Some(Mark::Moment { name: "trained so far".to_owned(), x: words as f32 })
    }

    fn over_words(&self) -> Axis {
        Axis::new("words written", 0.0..self.params.length as f64)
    }

    fn divergence_panel(&self) -> Panel {
        let points = || {
            let places = self.writers.places.iter().enumerate();
            places.map(|(at, place)| (place, [at as f32 + 1.0, place.divergence as f32]))
        };
        let line: Vec<[f32; 2]> = points().map(|(_, point)| point).collect();
        let answers = points().filter(|(place, _)| place.due[1].is_some()).map(|(_, point)| point).collect();
        let most = line.iter().map(|point| point[1]).fold(0.01, f32::max);
        let same = points().filter(|(place, _)| place.alike).count();
        let parted = same < line.len();
        let mut marks = vec![Mark::line("texts the same", Ink::Method, line[..same].iter().copied())];
        if parted {
            marks.push(Mark::line("texts differ", Ink::Muted, line[same - 1..].iter().copied()));
        }
        marks.push(Mark::Dots { name: "answers".to_owned(), ink: Ink::Baseline2, points: answers });
        marks.extend(self.trained());
        let mut said =
            "How far what the compressed copy expects of each word is from what the whole one does".to_owned();
        if let Some(mean) = self.writers.mean_divergence() {
            said += &format!(": **{mean:.4}** nats in the mean");
        }
        said += if parted { " while both had read the same. Gray: their texts differ as well." } else { "." };
        let chart = Chart::new(self.over_words(), Axis::from_zero("divergence, nats", f64::from(most)), marks);
        Panel::new("divergence", "How far apart", said, 3, Body::Chart(chart))
    }

    /// Rows a head in the whole cache and in the compressed one.
    fn rows(&self) -> [f64; 2] {
        [self.writers.texts[0].len() as f64, self.writers.rows()]
    }

    fn size_panel(&self) -> Panel {
        let (context, start) = (self.context().len(), self.begin.rows());
        let whole = (0..=self.written()).map(|at| [at as f32, (context + at) as f32]);
        let after = self.writers.places.iter().map(|place| place.rows);
        let compressed = [start].into_iter().chain(after).enumerate().map(|(at, rows)| [at as f32, rows as f32]);
        let mut marks =
            vec![Mark::line("whole cache", Ink::Data, whole), Mark::line("compressed", Ink::Method, compressed)];
        let bound = if self.params.keep < 1.0 {
            marks.push(Mark::Level { name: "budget".to_owned(), y: self.regime.budget as f32 });
            let full = self.regime.budget + self.regime.slack;
            format!("when it has {full}, it is cut back to {}", self.regime.budget)
        } else {
            "nothing is ever dropped".to_owned()
        };
        marks.extend(self.trained());
        let [whole, rows] = self.rows();
        let said = format!(
            "Tokens in a head’s cache. The whole one grows with each word and has **{whole}**; the compressed one has **{{method|{rows}}}**: {bound}."
        );
        let most = (context + self.params.length) as f64;
        let chart = Chart::new(self.over_words(), Axis::from_zero("tokens a head", most), marks);
        Panel::new("size", "How large it is", said, 3, Body::Chart(chart))
    }

    fn next_panel(&self) -> Panel {
        let next = self.writers.next();
        let [whole, compressed] = next.each_ref().map(|shares| {
            let best = likeliest(shares);
            format!("“{}” ({:.0} %)", word(best), 100.0 * shares[best])
        });
        let said =
            format!("What comes next? The whole cache says {whole}, the compressed one {{method|{compressed}}}.");
        let [whole, compressed] = &next;
        Panel::new(
            "next",
            "The next word",
            said,
            3,
            Body::Chart(next_word(["whole cache", "compressed"], [whole, compressed])),
        )
    }

    /// Every head's memory of all that was read, and room for what is still to come.
    fn heads_panel(&self) -> Panel {
        let end = self.context().len() + self.params.length;
        let row = |fates: &Fates| {
            let mut row: Vec<f32> = (0..fates.tokens()).map(|token| shade(fates.of(token))).collect();
            row.resize(end, 0.0);
            row
        };
        let layers: Vec<Vec<Vec<f32>>> = self.writers.fates().map(|heads| heads.iter().map(row).collect()).collect();
        let begins = Mark::Moment { name: "writing begins".to_owned(), x: self.context().len() as f32 };
        let said = "Strong: in the cache; pale: merged or spread; empty: gone, or not yet written.";
        Panel::new(
            "heads",
            "What all heads remember",
            said,
            3,
            Body::Chart(heads_map("in the cache", &layers, (end, 1), vec![begins])),
        )
    }

    fn figures_panel(&self) -> Panel {
        let mut list = Vec::new();
        let bytes = self.begin.row_bytes();
        for (index, (key, of, ink)) in WRITERS.into_iter().enumerate() {
            let mut put = |name: &str, label, unit, value| {
                list.push(Readout::new(format!("{name}_{key}"), of, ink, label, unit, value));
            };
            let rows = self.rows()[index];
            put("rows", "tokens a head", "", rows);
            put("bytes", "size", "KiB", rows * bytes / 1024.0);
            let [right, asked] = self.writers.answers()[index].map(|count| count as f64);
            put("asked", "asked", "", asked);
            if asked > 0.0 {
                put("recall", "right answers, share", "", right / asked);
            }
        }
        let [chosen, same] = self.writers.agreement();
        let until = self.writers.first_difference().unwrap_or(self.written());
        let mut put =
            |key: &str, name, unit, value| list.push(Readout::new(key, "both", Ink::Muted, name, unit, value));
        put("until", "words until they differ", "", until as f64);
        put("other", "words that differ", "", (chosen - same) as f64);
        if chosen > 0 {
            put("same", "same words, share", "", same as f64 / chosen as f64);
        }
        if let Some(mean) = self.writers.mean_divergence() {
            put("divergence", "mean divergence", "nats", mean);
        }
        let said = "Size: keys and values in 16 bits a number, and 4 bytes a position, of all heads. Questions count if their name was stated in the context, whoever asked. The mean divergence is of the words before which both texts are the same.";
        Panel::new("figures", "In numbers", said, 6, Body::Readouts(list))
    }
}

fn answered([right, asked]: [usize; 2]) -> String {
    match asked {
        0 => "Nothing was asked so far.".to_owned(),
        _ => format!("**{right} of {asked}** questions are answered right."),
    }
}

fn said_token(place: &Place, writer: usize, first: bool) -> Token {
    let [own, other] = [place.said[writer], place.said[1 - writer]];
    let (note, class) = match place.due[writer] {
        Some(value) if value == own => ("right", Some(0)),
        Some(_) => ("wrong", Some(3)),
        None if place.forced => ("made to ask", Some(2)),
        None if own != other => ("differs", Some(1)),
        None => ("", None),
    };
    Token { text: word(own).to_owned(), note: note.to_owned(), class, chosen: first }
}

impl Lab for KvCacheGenerate {
    const CARD: Card = Card {
        slug: "kv-cache-generate",
        title: "Write on",
        hook: "When does a model with a squeezed memory say something else?",
        page: PAGE,
        papers: &[EMS],
        chance: true,
        presets: &[
            Preset { label: "EMS, a quarter kept", query: "" },
            Preset { label: "KeyDiff", query: "method=keydiff" },
            Preset { label: "No questions", query: "ask=0" },
            Preset { label: "Reads the other’s text", query: "teacher=true&temperature=1" },
            Preset { label: "No longer than trained", query: "words_drawn=56&length=72" },
            Preset { label: "512 words, re-rotated", query: "method=streaming&length=512" },
            Preset { label: "All kept", query: "keep=1&temperature=1" },
        ],
        experiments: super::claims::GENERATE,
        batches: &[BatchSpec {
            id: "methods",
            label: "Every method on this text",
            rows: method_rows,
            draw: draw_methods,
        }],
    };
    type Params = GenerateParams;

    async fn start(params: &GenerateParams, host: &Host) -> Result<Self, LabError> {
        let reader = Reader::open(params.model, params.seed, host).await?;
        let (context, note) = context_of(&reader, params);
        let regime = params.regime(context.tokens.len());
        let begin = Writers::new(reader.decoder().clone(), context, params.manner(), &regime, params.window);
        Ok(Self { params: params.clone(), note, writers: begin.clone(), begin, regime })
    }

    async fn step(&mut self, _host: &Host) -> Result<Status, LabError> {
        if self.written() < self.params.length {
            self.writers.write();
        }
        Ok(if self.written() < self.params.length { Status::Running } else { Status::Done })
    }

    fn frame(&self, params: &GenerateParams) -> Frame {
        let panels = vec![
            self.text_panel(0),
            self.text_panel(1),
            self.memory_panel(params),
            self.divergence_panel(),
            self.size_panel(),
            self.next_panel(),
            self.heads_panel(),
            self.figures_panel(),
        ];
        let of = Some(self.params.length as u64);
        Frame { step: self.written() as u64, of, panels, offers: Vec::new() }
    }

    async fn save(&self) -> Result<State, LabError> {
        Ok(State::new(self.written() as u64))
    }

    async fn restore(&mut self, state: &State, host: &Host) -> Result<(), LabError> {
        if (state.step as usize) < self.written() {
            self.writers = self.begin.clone();
        }
        while self.written() < self.params.length.min(state.step as usize) {
            self.writers.write();
            host.breathe().await;
        }
        Ok(())
    }
}

/// The setting with each method.
fn method_rows(values: &Values) -> Vec<(String, String)> {
    let row = |method: &Remembers| {
        let mut values = values.clone();
        let _mended = values.set("method", method.value());
        (method.label().to_owned(), values.to_query())
    };
    Remembers::ALL.iter().map(row).collect()
}

fn draw_methods(rows: &[Row]) -> Vec<Panel> {
    const COLUMNS: [(&str, &str); 5] = [
        ("rows_compressed", "tokens a head"),
        ("until", "words until it differs"),
        ("same", "same words, share"),
        ("recall_compressed", "right answers, share"),
        ("divergence", "divergence, nats"),
    ];
    let row = |row: &Row| {
        let number = |(key, _): &(&str, &str)| match row.readouts.get(*key) {
            Some(&number) => Cell::Number(number),
            None => Cell::Text("–".to_owned()),
        };
        [Cell::Text(row.label.clone())].into_iter().chain(COLUMNS.iter().map(number)).collect()
    };
    let head = ["kept by"].into_iter().chain(COLUMNS.map(|(_, name)| name)).map(str::to_owned).collect();
    let table = Table::new(head, rows.iter().map(row).collect());
    let said = "One text a method, all else as it is set now. One text says little: try other contexts and seeds. The divergence is the mean of the words before which both texts are the same, so that of a method that differs early is the mean of few.";
    vec![Panel::new("methods", "Every method", said, 6, Body::Table(table))]
}
