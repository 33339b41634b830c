//! Charts without a browser: what is drawn, where, and what is said of it.

use heads_and_tails::chart::svg::{Size, cell, css_class, handle_at, place, readout, standalone, stops, svg};
use heads_and_tails::chart::table::{csv, table};
use heads_and_tails::chart::{Axis, Chart, Ink, Mark, number};

const SIZE: Size = Size { width: 292.0, height: 196.0 };
const INKS: [Ink; 7] = [Ink::Method, Ink::Baseline, Ink::Baseline2, Ink::Muted, Ink::Truth, Ink::Data, Ink::Guess];

/// Numbers in [0, 1) that look like chance.
fn noise(index: usize) -> f32 {
    let mixed = (index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40) as f32 / (1u32 << 24) as f32
}

fn chart(marks: Vec<Mark>) -> Chart {
    Chart::new(Axis::new("step", 0.0..4.0), Axis::new("loss, nats", 0.0..2.0), marks)
}

fn points() -> Vec<[f32; 2]> {
    vec![[0.0, 1.8], [1.0, 1.0], [2.0, 0.5], [3.0, 0.4]]
}

fn heat(signed: bool) -> Mark {
    let values = if signed { vec![-1.0, -0.5, 0.0, 0.25, 0.5, 1.0] } else { vec![0.0, 0.14, 0.16, 0.5, f32::NAN, 1.0] };
    Mark::Heat { name: "share".to_owned(), signed, rows: 2, columns: 3, x: [0.0, 4.0], y: [0.0, 2.0], values }
}

fn handles() -> Chart {
    let points = vec![[0.5, 0.25], [-0.5, 0.25], [0.0, -0.75]];
    let marks = vec![Mark::Handles { name: "a".to_owned(), ink: Ink::Method, first: 0, points }];
    Chart { plane: true, ..Chart::new(Axis::new("Re", -1.0..1.0), Axis::new("Im", -1.0..1.0), marks) }
}

/// One chart for each kind of mark.
fn kinds() -> Vec<(&'static str, Chart)> {
    let name = || "Fourier".to_owned();
    let band = vec![[0.0, 0.5, 1.0], [2.0, 0.25, 1.5], [3.0, f32::NAN, 1.0], [3.5, 0.0, 2.0], [4.0, 0.0, 2.0]];
    let lines = vec![
        Mark::line("Fourier", Ink::Method, points()),
        Mark::line("linear", Ink::Baseline, [[0.0, 1.9], [1.0, f32::NAN], [2.0, 1.5], [4.0, 3.0]]),
        Mark::line("truth", Ink::Truth, [[0.0, 0.1], [4.0, 0.1]]),
    ];
    vec![
        ("line", chart(lines)),
        (
            "bars",
            chart(vec![Mark::Bars {
                name: name(),
                ink: Ink::Data,
                from: 0.0,
                to: 4.0,
                heights: vec![1.0, 0.0, 2.0, 0.5],
            }]),
        ),
        ("stems", chart(vec![Mark::Stems { name: name(), ink: Ink::Method, points: points() }])),
        ("dots", chart(vec![Mark::Dots { name: name(), ink: Ink::Baseline2, points: points() }])),
        ("band", chart(vec![Mark::Band { name: name(), ink: Ink::Method, points: band }])),
        ("heat", chart(vec![heat(false)])),
        ("heat_signed", chart(vec![heat(true)])),
        ("level", chart(vec![Mark::Level { name: "chance".to_owned(), y: 0.7 }])),
        (
            "moment",
            chart(vec![
                Mark::Moment { name: "now".to_owned(), x: 2.0 },
                Mark::Moment { name: "the cliff".to_owned(), x: 3.0 },
            ]),
        ),
        ("handles", handles()),
    ]
}

/// The numbers of a picture's coordinates.
fn coordinates(picture: &str) -> Vec<f64> {
    let attributes = picture
        .split('"')
        .skip(1)
        .step_by(2)
        .filter(|value| value.starts_with(['M', '-']) || value.starts_with(char::is_numeric));
    let letters = |letter: char| !(letter.is_ascii_digit() || letter == '.' || letter == '-');
    attributes
        .flat_map(|value| value.split(letters).filter_map(|word| word.parse().ok()).collect::<Vec<f64>>())
        .collect()
}

#[test]
fn every_kind_of_mark_is_drawn() {
    for (name, chart) in kinds() {
        insta::assert_snapshot!(name, svg(&chart, SIZE).replace("><", ">\n<"));
    }
}

#[test]
fn a_logarithmic_axis_has_powers_of_ten() {
    let chart = Chart::new(
        Axis::new("", 0.0..4.0),
        Axis::log("error, log", 1e-6..2.0),
        vec![Mark::line("", Ink::Method, points())],
    );
    let picture = svg(&chart, SIZE);
    for text in [">10⁻⁶<", ">0.01<", ">1<"] {
        assert!(picture.contains(text), "{text} is missing: {picture}");
    }
}

#[test]
fn words_are_no_markup() {
    let chart = Chart::new(Axis::new("a < b & c", 0.0..1.0), Axis::new("", 0.0..1.0), Vec::new());
    assert!(svg(&chart, SIZE).contains(">a &lt; b &amp; c<"));
}

#[test]
fn a_picture_on_the_page_has_classes_and_no_colors() {
    for (name, chart) in kinds() {
        let picture = svg(&chart, SIZE);
        assert!(!picture.contains("style=") && !picture.contains('#') && !picture.contains("rgb"), "{name}: {picture}");
        let alone = standalone(&chart, "Loss & more", SIZE);
        assert!(
            alone.starts_with("<svg xmlns=")
                && alone.contains("<title>Loss &amp; more</title>")
                && alone.contains("#3b3bd4")
        );
    }
    for ink in INKS {
        let picture = svg(&chart(vec![Mark::line("", ink, points())]), SIZE);
        assert!(picture.contains(&format!("class=\"ln {}\"", css_class(ink))), "{picture}");
    }
}

#[test]
fn what_is_drawn_lies_in_the_picture_whatever_the_numbers() {
    let strange = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN, f32::MIN_POSITIVE, 0.0, -0.0];
    for seed in 0..40 {
        let value = |index: usize| {
            if seed % 2 == 0 && index.is_multiple_of(5) {
                strange[index / 5 % 8]
            } else {
                noise(index + seed * 997) * 6.0 - 2.0
            }
        };
        let many: Vec<[f32; 2]> = (0..60).map(|index| [value(2 * index), value(2 * index + 1)]).collect();
        let ink = INKS[seed % 7];
        let marks = vec![
            heat(seed % 3 == 0),
            Mark::line("a name", ink, many.clone()),
            Mark::Bars {
                name: "bars".to_owned(),
                ink,
                from: value(3),
                to: value(4),
                heights: many.iter().map(|point| point[1]).collect(),
            },
            Mark::Stems { name: "stems".to_owned(), ink, points: many.clone() },
            Mark::Dots { name: "dots".to_owned(), ink, points: many.clone() },
            Mark::Band { name: "band".to_owned(), ink, points: many.iter().map(|&[x, y]| [x, y, 1.0]).collect() },
            Mark::Level { name: "level".to_owned(), y: value(7) },
            Mark::Moment { name: "moment".to_owned(), x: value(8) },
            Mark::Handles { name: "handles".to_owned(), ink, first: 0, points: many },
        ];
        let mut chart = Chart { plane: seed % 4 == 1, ..chart(marks) };
        if seed % 4 == 2 {
            chart.y = Axis::log("log", 0.01..2.0);
        }
        let picture = svg(&chart, SIZE);
        assert!(!picture.contains("NaN") && !picture.contains("inf"), "{picture}");
        for at in coordinates(&picture) {
            assert!((-SIZE.width..=SIZE.width + 8.0).contains(&at), "{at} in {picture}");
        }
    }
}

#[test]
fn a_picture_without_room_or_numbers_is_still_a_picture() {
    for size in [Size::new(0.0, 0.0), Size::new(1.0, 500.0), Size::new(40.0, 30.0)] {
        for (_, chart) in kinds() {
            assert!(svg(&chart, size).ends_with("</svg>"));
        }
    }
    let flat =
        Chart::new(Axis::new("", 1.0..1.0), Axis::new("", f64::NAN..2.0), vec![Mark::line("", Ink::Method, points())]);
    assert!(!svg(&flat, SIZE).contains("NaN"));
}

#[test]
fn a_point_that_is_not_finite_interrupts_its_line() {
    let gap = [[0.0, 1.0], [1.0, 1.0], [2.0, f32::NAN], [3.0, 1.0], [4.0, 1.0]];
    let picture = svg(&chart(vec![Mark::line("", Ink::Method, gap)]), SIZE);
    let path = picture
        .split("class=\"ln method\" d=\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next())
        .expect("the line is drawn");
    assert_eq!(path.matches('M').count(), 2, "{path}");
}

#[test]
fn pixels_and_values_are_each_others_inverse() {
    let log = Chart { y: Axis::log("", 1e-3..10.0), ..chart(Vec::new()) };
    let turned = Chart { y: Axis::new("", 2.0..0.0), ..chart(Vec::new()) };
    for chart in [chart(Vec::new()), log, turned, handles()] {
        let plot = place(&chart, SIZE);
        for index in 0..50 {
            let (x, y) = (f64::from(noise(index)) * 4.0, f64::from(noise(index + 50)) + 0.01);
            let (px, py) = plot.to_pixel(x, y);
            let (back_x, back_y) = plot.from_pixel(px, py);
            assert!(
                (x - back_x).abs() < 1e-9 && (y - back_y).abs() < 1e-9,
                "({x}, {y}) came back as ({back_x}, {back_y})"
            );
        }
    }
}

#[test]
fn a_plane_has_one_scale() {
    let plot = place(&handles(), Size::new(500.0, 200.0));
    let (origin, right, up) = (plot.to_pixel(0.0, 0.0), plot.to_pixel(0.5, 0.0), plot.to_pixel(0.0, 0.5));
    assert!(((right.0 - origin.0) - (origin.1 - up.1)).abs() < 1e-9);
}

#[test]
fn a_table_has_every_value() {
    let value = |index: usize| noise(index) * 2.0;
    let line = |from: usize| (0..30).map(move |index| [((index + from) / 2) as f32, value(index + from)]);
    let bars = Mark::Bars {
        name: "c".to_owned(),
        ink: Ink::Data,
        from: 0.0,
        to: 3.0,
        heights: (900..903).map(value).collect(),
    };
    let chart = chart(vec![
        Mark::line("a", Ink::Method, line(0)),
        Mark::line("b", Ink::Truth, line(10)),
        bars,
        Mark::Level { name: "d".to_owned(), y: 0.123 },
    ]);
    let text = csv(&chart);
    let expected = (0..40).chain(900..903).map(value).chain([0.123]);
    let found: Vec<&str> = text.split(['\n', ',']).collect();
    for value in expected {
        assert!(found.contains(&value.to_string().as_str()), "{value} is missing: {text}");
    }
    let table = table(&chart);
    assert_eq!(table.head, ["step", "a", "b", "c", "d"]);
    assert!(table.rows.iter().all(|row| row.len() == 5));
    assert_eq!(table.rows.len(), text.lines().count() - 1);
}

#[test]
fn the_table_of_a_heat_map_is_the_map() {
    let mut chart = chart(vec![heat(false)]);
    chart.x.ticks = vec![(0.5, "A".to_owned()), (2.0, "B".to_owned()), (3.5, "C".to_owned())];
    chart.y.ticks = vec![(0.5, "low".to_owned()), (1.5, "high".to_owned())];
    assert_eq!(csv(&chart), "\"loss, nats\",A,B,C\nhigh,0.5,,1\nlow,0,0.14,0.16\n");
    assert_eq!(cell(&chart, 2.0, 0.5), Some(("B".to_owned(), "low".to_owned(), "0.140".to_owned())));
    assert_eq!(cell(&chart, 2.0, 1.5), None);
}

#[test]
fn the_table_of_a_plane_lists_its_handles() {
    assert_eq!(csv(&handles()), "series,Re,Im\na 0,0.5,0.25\na 1,-0.5,0.25\na 2,0,-0.75\n");
    let plot = place(&handles(), SIZE);
    let (x, y) = plot.to_pixel(-0.5, 0.25);
    assert_eq!(handle_at(&handles(), &plot, (x + 3.0, y), 12.0), Some((0, 1)));
    assert_eq!(handle_at(&handles(), &plot, (x + 13.0, y), 12.0), None);
}

#[test]
fn a_read_out_says_the_nearest_value_and_nothing_after_the_end() {
    let chart = chart(vec![
        Mark::line("Fourier", Ink::Method, points()),
        Mark::line("truth", Ink::Truth, [[0.0, 0.5], [4.0, 0.25]]),
    ]);
    assert_eq!(stops(&chart), [0.0, 1.0, 2.0, 3.0, 4.0]);
    let said = |x: f64| readout(&chart, x).into_iter().map(|reading| (reading.name, reading.text)).collect::<Vec<_>>();
    assert_eq!(said(1.2), [("Fourier".to_owned(), "1".to_owned()), ("truth".to_owned(), "0.500".to_owned())]);
    assert_eq!(said(4.0), [("truth".to_owned(), "0.250".to_owned())]);
}

#[test]
fn numbers_are_written_for_reading() {
    let cases = [
        (0.182, 3, "0.182"),
        (0.0124, 3, "0.0124"),
        (-0.5, 2, "−0.50"),
        (0.0004, 1, "0.0004"),
        (412.0, 2, "412"),
        (12400.0, 3, "12,400"),
        (1234.56, 3, "1,235"),
        (999.96, 4, "1,000"),
        (0.0000012, 2, "1.2 × 10⁻⁶"),
        (250000.0, 3, "2.5 × 10⁵"),
        (-123456.7, 3, "−1.23 × 10⁵"),
        (0.0, 3, "0"),
        (-0.0, 3, "0"),
        (f64::NAN, 3, "–"),
        (f64::NEG_INFINITY, 3, "−∞"),
    ];
    for (value, digits, text) in cases {
        assert_eq!(number(value, digits), text, "{value} to {digits} digits");
    }
}

#[test]
fn names_do_not_touch() {
    let lines = INKS.into_iter().enumerate().map(|(index, ink)| {
        let points =
            (0..100).map(move |step| [step as f32 / 25.0, 0.3 * index as f32 + 0.1 + 0.1 * noise(step + 100 * index)]);
        Mark::line(format!("series {index}"), ink, points)
    });
    let picture = svg(&chart(lines.collect()), Size::new(600.0, 236.0));
    let number = |text: &str, name: &str| text.split(name).nth(1)?.split('"').next()?.parse::<f64>().ok();
    let places: Vec<(f64, f64)> = picture
        .split("<text class=\"lab")
        .skip(1)
        .filter_map(|text| Some((number(text, " x=\"")?, number(text, " y=\"")?)))
        .collect();
    assert_eq!(places.len(), 7, "{picture}");
    for (index, (x, y)) in places.iter().enumerate() {
        let apart = |(to_x, to_y): &(f64, f64)| (y - to_y).abs() >= 12.0 || (x - to_x).abs() >= 60.0;
        assert!(places[index + 1..].iter().all(apart), "{places:?}");
    }
}
