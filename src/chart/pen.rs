//! The pen that plotters draws with: SVG text, classes instead of colors.
//!
//! plotters' own SVG backend measures text in the page (and so fails in a worker), rounds to whole pixels and
//! writes colors down. This one has a table of widths, a grid ten times finer, and leaves colors to the style
//! sheet: the color that plotters hands over only carries a [`Class`]. It knows no chart and no axis.

use std::convert::Infallible;
use std::fmt::Write as _;

use plotters::style::text_anchor::HPos;
use plotters::style::{RGBAColor, ShapeStyle};
use plotters_backend::{BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind};

use super::Ink;

/// Steps of the grid in one pixel: plotters counts in whole numbers.
pub const FINE: f64 = 10.0;

/// A length in pixels, on the grid.
pub fn fine(pixels: f64) -> i32 {
    (pixels * FINE).round() as i32
}

/// What kind of thing is drawn; with a part (an ink, a step of a scale) it is a class of the style sheet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Grid,
    Axis,
    Tick,
    Unit,
    Note,
    Label,
    Line,
    /// A line so restless that its usual width would hide the others.
    Thin,
    Area,
    Bar,
    Stem,
    Tip,
    Dot,
    Guide,
    Now,
    Event,
    Spoke,
    Handle,
    Cell,
    /// A cell too small for a gap around it, drawn without smoothing so that no seam shows.
    Pixel,
}

const KINDS: [Kind; 20] = [
    Kind::Grid,
    Kind::Axis,
    Kind::Tick,
    Kind::Unit,
    Kind::Note,
    Kind::Label,
    Kind::Line,
    Kind::Thin,
    Kind::Area,
    Kind::Bar,
    Kind::Stem,
    Kind::Tip,
    Kind::Dot,
    Kind::Guide,
    Kind::Now,
    Kind::Event,
    Kind::Spoke,
    Kind::Handle,
    Kind::Cell,
    Kind::Pixel,
];

/// The steps of the scale for shares; the nine for signed values follow them.
pub const SHARES: u8 = 11;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Class {
    kind: Kind,
    part: u8,
}

impl Class {
    pub fn new(kind: Kind, part: u8) -> Self {
        Self { kind, part }
    }

    pub fn plain(kind: Kind) -> Self {
        Self::new(kind, 0)
    }

    pub fn inked(kind: Kind, ink: Ink) -> Self {
        Self::new(kind, ink as u8)
    }

    pub fn color(self) -> RGBAColor {
        RGBAColor(self.kind as u8, self.part, 0, 1.0)
    }

    pub fn style(self, filled: bool) -> ShapeStyle {
        ShapeStyle { color: self.color(), filled, stroke_width: 1 }
    }

    fn carried(color: BackendColor) -> Self {
        let (kind, part, _) = color.rgb;
        Self { kind: KINDS.get(usize::from(kind)).copied().unwrap_or(Kind::Axis), part }
    }

    fn ink(self) -> Ink {
        const INKS: [Ink; 7] =
            [Ink::Method, Ink::Baseline, Ink::Baseline2, Ink::Muted, Ink::Truth, Ink::Data, Ink::Guess];
        INKS.get(usize::from(self.part)).copied().unwrap_or(Ink::Muted)
    }

    fn write(self, out: &mut String) {
        let word = match self.kind {
            Kind::Grid => "grid",
            Kind::Axis => "axis",
            Kind::Tick => "tick",
            Kind::Unit => "unit",
            Kind::Note => "lab tick",
            Kind::Label => "lab ",
            Kind::Line => "ln ",
            Kind::Thin => "ln thin ",
            Kind::Area => "area ",
            Kind::Stem => "stem ",
            Kind::Tip => "stem-dot ",
            Kind::Guide => "guide",
            Kind::Now => "now-line",
            Kind::Event => "event-line",
            Kind::Spoke => "spoke ",
            Kind::Handle => "handle ",
            Kind::Bar => match self.ink() {
                Ink::Method => "bar-method",
                Ink::Baseline => "bar-baseline",
                Ink::Baseline2 => "bar-baseline2",
                Ink::Muted => "bar-mid",
                Ink::Truth => "bar-truth",
                Ink::Data => "bars",
                Ink::Guess => "bar-guess",
            },
            Kind::Dot => match self.ink() {
                Ink::Method => "dot-method",
                Ink::Baseline => "dot-baseline",
                Ink::Baseline2 => "dot-b2",
                Ink::Muted => "dot-off",
                Ink::Truth => "dot-truth",
                Ink::Data => "dot-data",
                Ink::Guess => "dot-guess",
            },
            Kind::Cell | Kind::Pixel => {
                let (scale, step) = if self.part < SHARES { ('q', self.part) } else { ('d', self.part - SHARES) };
                _ = write!(out, "{scale}{step}");
                return;
            }
        };
        out.push_str(word);
        if word.ends_with(' ') {
            out.push_str(css_class(self.ink()));
        }
    }
}

/// The class that gives a role its color in the style sheet.
pub fn css_class(ink: Ink) -> &'static str {
    match ink {
        Ink::Method => "method",
        Ink::Baseline => "baseline",
        Ink::Baseline2 => "baseline2",
        Ink::Muted => "muted",
        Ink::Truth => "truth",
        Ink::Data => "data",
        Ink::Guess => "guess",
    }
}

/// Writes into a string what plotters draws. Neighbors of one class share an element, so that a heat map is one
/// path a step and an axis one path, not hundreds.
pub struct Pen<'a> {
    out: &'a mut String,
    size: (u32, u32),
    open: Option<(Class, &'static str)>,
}

type Drawn = Result<(), DrawingErrorKind<Infallible>>;

impl<'a> Pen<'a> {
    pub fn new(out: &'a mut String, width: f64, height: f64) -> Self {
        Self { out, size: (fine(width).unsigned_abs(), fine(height).unsigned_abs()), open: None }
    }

    fn close(&mut self) {
        if let Some((_, end)) = self.open.take() {
            self.out.push_str(end);
        }
    }

    /// Goes on in the open element if it has this class and end, else starts one.
    fn go_on(&mut self, class: Class, end: &'static str) {
        if self.open == Some((class, end)) {
            return;
        }
        self.close();
        self.out.push_str(if end == PATH { "<path class=\"" } else { "<g class=\"" });
        class.write(self.out);
        self.out.push_str(match (end == PATH, class.kind == Kind::Pixel) {
            (true, true) => "\" shape-rendering=\"crispEdges\" d=\"",
            (true, false) => "\" d=\"",
            (false, _) => "\">",
        });
        self.open = Some((class, end));
    }

    fn number(&mut self, value: i32) {
        let size = value.unsigned_abs();
        if value < 0 {
            self.out.push('-');
        }
        let mut digits = [0u8; 12];
        let mut at = digits.len();
        let mut whole = size / 10;
        loop {
            at -= 1;
            digits[at] = b'0' + (whole % 10) as u8;
            whole /= 10;
            if whole == 0 {
                break;
            }
        }
        self.out.extend(digits[at..].iter().map(|&digit| char::from(digit)));
        if !size.is_multiple_of(10) {
            self.out.push('.');
            self.out.push(char::from(b'0' + (size % 10) as u8));
        }
    }

    fn pair(&mut self, command: char, (x, y): BackendCoord) {
        self.out.push(command);
        self.number(x);
        self.out.push(' ');
        self.number(y);
    }

    fn numbered(&mut self, name: &str, value: i32) {
        self.out.push(' ');
        self.out.push_str(name);
        self.out.push_str("=\"");
        self.number(value);
        self.out.push('"');
    }

    fn points(&mut self, points: impl IntoIterator<Item = BackendCoord>) {
        for (index, point) in points.into_iter().enumerate() {
            self.pair(if index == 0 { 'M' } else { 'L' }, point);
        }
    }
}

const PATH: &str = "\"/>";
const GROUP: &str = "</g>";

impl DrawingBackend for Pen<'_> {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        self.size
    }

    fn ensure_prepared(&mut self) -> Drawn {
        Ok(())
    }

    fn present(&mut self) -> Drawn {
        self.close();
        Ok(())
    }

    /// Nothing: a pen has no pixels, and every shape has a method of its own.
    fn draw_pixel(&mut self, _point: BackendCoord, _color: BackendColor) -> Drawn {
        Ok(())
    }

    fn draw_line<S: BackendStyle>(&mut self, from: BackendCoord, to: BackendCoord, style: &S) -> Drawn {
        self.draw_path([from, to], style)
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(&mut self, path: I, style: &S) -> Drawn {
        self.go_on(Class::carried(style.color()), PATH);
        self.points(path);
        Ok(())
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(&mut self, corners: I, style: &S) -> Drawn {
        self.go_on(Class::carried(style.color()), PATH);
        self.points(corners);
        self.out.push('Z');
        Ok(())
    }

    fn draw_rect<S: BackendStyle>(&mut self, from: BackendCoord, to: BackendCoord, style: &S, _fill: bool) -> Drawn {
        let class = Class::carried(style.color());
        let (width, height) = (to.0 - from.0, to.1 - from.1);
        if matches!(class.kind, Kind::Cell | Kind::Pixel) {
            self.go_on(class, PATH);
            self.pair('M', from);
            for (command, length) in [('h', width), ('v', height), ('h', -width)] {
                self.out.push(command);
                self.number(length);
            }
            self.out.push('z');
        } else {
            self.go_on(class, GROUP);
            self.out.push_str("<rect");
            for (name, value) in [("x", from.0), ("y", from.1), ("width", width), ("height", height)] {
                self.numbered(name, value);
            }
            self.out.push_str("/>");
        }
        Ok(())
    }

    fn draw_circle<S: BackendStyle>(&mut self, center: BackendCoord, radius: u32, style: &S, _fill: bool) -> Drawn {
        let class = Class::carried(style.color());
        // A handle is touched, and a circle of the grid is not filled: each has its class on itself.
        if matches!(class.kind, Kind::Handle | Kind::Grid) {
            self.close();
            self.out.push_str("<circle class=\"");
            class.write(self.out);
            self.out.push('"');
        } else {
            self.go_on(class, GROUP);
            self.out.push_str("<circle");
        }
        for (name, value) in [("cx", center.0), ("cy", center.1), ("r", radius.cast_signed())] {
            self.numbered(name, value);
        }
        self.out.push_str("/>");
        Ok(())
    }

    /// `at` is a point of the base line.
    fn draw_text<S: BackendTextStyle>(&mut self, text: &str, style: &S, at: BackendCoord) -> Drawn {
        self.close();
        self.out.push_str("<text class=\"");
        Class::carried(style.color()).write(self.out);
        self.out.push('"');
        self.numbered("x", at.0);
        self.numbered("y", at.1);
        self.out.push_str(match style.anchor().h_pos {
            HPos::Left => ">",
            HPos::Center => " text-anchor=\"middle\">",
            HPos::Right => " text-anchor=\"end\">",
        });
        escape(text, self.out);
        self.out.push_str("</text>");
        Ok(())
    }

    fn estimate_text_size<S: BackendTextStyle>(
        &self,
        text: &str,
        _style: &S,
    ) -> Result<(u32, u32), DrawingErrorKind<Infallible>> {
        Ok((fine(width(text, false)).unsigned_abs(), fine(TEXT).unsigned_abs()))
    }
}

/// Writes text so that no part of it is read as markup.
pub fn escape(text: &str, out: &mut String) {
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            letter if letter.is_control() => out.push(' '),
            letter => out.push(letter),
        }
    }
}

/// The size of all text in a figure, in pixels.
pub const TEXT: f64 = 11.5;

/// How wide a text is in the system's sans, in pixels. A little too wide for most systems, so that nothing touches.
pub fn width(text: &str, bold: bool) -> f64 {
    let thousandths: u32 = text.chars().map(letter_width).sum();
    f64::from(thousandths) / 1000.0 * TEXT * if bold { 1.18 } else { 1.1 }
}

/// In thousandths of an em: from the space on, those of Helvetica, which the sans of every system is near.
fn letter_width(letter: char) -> u32 {
    const WIDTHS: [u16; 95] = [
        278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556, 556, 556,
        556, 556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667,
        556, 833, 722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556, 333, 556,
        556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722,
        500, 500, 500, 334, 260, 334, 584,
    ];
    match letter {
        ' '..='~' => u32::from(WIDTHS[letter as usize - 32]),
        '²' | '³' | '¹' | '\u{2070}'..='\u{209f}' => 370,
        // Scripts of Asia fill the square.
        '\u{2e80}'..='\u{d7ff}' | '\u{ff00}'..='\u{ffef}' => 1000,
        _ => 600,
    }
}

/// The light theme for a figure that leaves the page, where no style sheet follows it.
pub const STANDALONE: &str = "\
svg{background:#fcfcfd}\
text{font:400 11.5px/1 -apple-system,'Segoe UI',Inter,Roboto,system-ui,'Noto Sans',sans-serif;fill:#434b57;font-variant-numeric:tabular-nums lining-nums}\
.title{font-weight:600;font-size:13px;fill:#151a21}\
.axis{fill:none;stroke:#7d8694;shape-rendering:crispEdges}\
.grid{fill:none;stroke:#e3e6eb;shape-rendering:crispEdges}\
.tick,.unit{fill:#5c6573}\
.lab{font-weight:600;paint-order:stroke;stroke:#fcfcfd;stroke-width:4px;stroke-linejoin:round}\
.lab.method{fill:#3b3bd4}.lab.baseline{fill:#a84c06}.lab.baseline2{fill:#077a6e}.lab.truth{fill:#20262f}.lab.guess,.lab.muted{fill:#5c6573}\
.lab.data,.lab.tick{fill:#5c6573;font-weight:400}\
.ln{fill:none;stroke:#20262f;stroke-width:1.5;stroke-linejoin:round;stroke-linecap:round}\
.ln.method{stroke:#3b3bd4;stroke-width:2.25}.ln.baseline{stroke:#a84c06;stroke-width:1.75}\
.ln.baseline2{stroke:#077a6e;stroke-width:1.75;stroke-dasharray:6 3.5}.ln.muted{stroke:#7d8694;stroke-dasharray:7 3.5 .1 3.5}\
.ln.truth{stroke-width:1.25}.ln.guess{stroke:#5c6573;stroke-width:2.5;stroke-dasharray:.1 5.5}.ln.data{stroke:#c4cad4}.ln.thin{stroke-width:1.1}\
.area{fill:#c4cad4}.area.method{fill:#3b3bd4;opacity:.14}.area.baseline{fill:#a84c06;opacity:.14}.area.baseline2{fill:#077a6e;opacity:.14}\
.area.truth,.area.muted,.area.guess{opacity:.55}\
.bars,.dot-data,.stem-dot.data{fill:#c4cad4}.bar-method,.dot-method,.stem-dot{fill:#3b3bd4}.bar-baseline,.dot-baseline,.stem-dot.baseline{fill:#a84c06}\
.bar-baseline2,.dot-b2,.stem-dot.baseline2{fill:#077a6e}.bar-mid,.dot-off,.stem-dot.muted{fill:#7d8694}\
.bar-truth,.dot-truth,.stem-dot.truth{fill:#20262f}.bar-guess,.dot-guess,.stem-dot.guess{fill:#5c6573}\
.stem{stroke:#3b3bd4;stroke-width:2}.stem.baseline{stroke:#a84c06}.stem.baseline2{stroke:#077a6e}.stem.muted{stroke:#7d8694}\
.stem.truth{stroke:#20262f}.stem.data{stroke:#c4cad4}.stem.guess{stroke:#5c6573}\
.guide{fill:none;stroke:#7d8694;stroke-dasharray:3 3}\
.now-line{stroke:#151a21;shape-rendering:crispEdges}.event-line{stroke:#3b3bd4;stroke-dasharray:2 3}\
.handle{fill:#fcfcfd;stroke:#3b3bd4;stroke-width:2}.handle.baseline{stroke:#a84c06}.handle.baseline2{stroke:#077a6e}\
.handle.muted{stroke:#7d8694}.handle.truth{stroke:#20262f}.handle.data,.handle.guess{stroke:#5c6573}\
.spoke{stroke:#3b3bd4;opacity:.5}.spoke.baseline{stroke:#a84c06}.spoke.baseline2{stroke:#077a6e}\
.spoke.muted,.spoke.data,.spoke.guess{stroke:#7d8694}.spoke.truth{stroke:#20262f}\
.q0{fill:#eeebf1}.q1{fill:#ebdbea}.q2{fill:#e2c6de}.q3{fill:#d4a5ce}.q4{fill:#c584bd}.q5{fill:#ae62a9}.q6{fill:#963f95}.q7{fill:#772d81}\
.q8{fill:#5a1a6d}.q9{fill:#3f1253}.q10{fill:#250a3b}\
.d0{fill:#8a3f00}.d1{fill:#c26a12}.d2{fill:#e9a55c}.d3{fill:#f6d9b4}.d4{fill:#f0f0f3}.d5{fill:#d3d3ee}.d6{fill:#a3a1dd}.d7{fill:#6b66c4}.d8{fill:#3a2f96}";
