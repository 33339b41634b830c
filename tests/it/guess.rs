//! What a reader drew, against what came.

use heads_and_tails::chart::{Axis, Chart, Ink, Mark};
use heads_and_tails::lab::guess::{Guess, can_be_guessed};
use heads_and_tails::lab::params::{overrides_from_link, overrides_to_link};
use heads_and_tails::lab::{Body, Panel};

fn panel(lines: Vec<Mark>) -> Panel {
    let chart = Chart::new(Axis::new("step", 0.0..100.0), Axis::new("loss", 0.0..2.0), lines);
    Panel::new("loss", "Loss", "As it was.", 2, Body::Chart(chart))
}

#[test]
fn a_guess_survives_its_link() {
    let guess = Guess::read("loss:0,2;100,0.25;50,1").unwrap();
    assert_eq!(guess.points(), [[0.0, 2.0], [50.0, 1.0], [100.0, 0.25]], "from left to right");
    assert_eq!(Guess::read(&guess.text()), Some(guess.clone()));
    assert_eq!((guess.at(75.0), guess.at(0.0), guess.at(101.0)), (Some(0.625), Some(2.0), None));
    assert_eq!(Guess::read("loss:0,NaN;1,inf;x"), None);
    assert_eq!(Guess::read("loss"), None);
    let long: String = (0..10_000).map(|x| format!("{x},1;")).collect();
    assert!(Guess::read(&format!("loss:{long}")).unwrap().points().len() <= 256);
}

#[test]
fn a_stroke_replaces_what_stood_under_it() {
    let mut guess = Guess::new("loss", [[0.0, 1.0], [10.0, 1.0], [20.0, 1.0], [30.0, 1.0]]).unwrap();
    guess.draw([22.0, 0.0], [8.0, 0.5]);
    assert_eq!(guess.points(), [[0.0, 1.0], [8.0, 0.5], [22.0, 0.0], [30.0, 1.0]]);
    guess.draw([8.0, 0.5], [8.0, 0.75]);
    assert_eq!(guess.at(8.0), Some(0.75));
}

#[test]
fn the_caption_says_how_far_the_run_is_from_the_guess() {
    let run = Mark::line("Fourier", Ink::Method, [[0.0, 2.0], [50.0, 1.0], [80.0, 0.5]]);
    let truth = Mark::line("truth", Ink::Truth, [[0.0, 0.1], [100.0, 0.1]]);
    let guess = Guess::read("loss:0,2;50,1.5;100,1.5").unwrap();

    let mut hidden = panel(vec![run.clone(), truth.clone()]);
    assert!(can_be_guessed(&hidden));
    guess.on(&mut hidden, false);
    let Body::Chart(chart) = &hidden.body else { panic!("it was a chart") };
    let names: Vec<&str> = chart.marks.iter().map(Mark::name).collect();
    assert_eq!(names, ["truth", "your guess"], "what comes is not shown before it is guessed");

    let mut revealed = panel(vec![run, truth]);
    guess.on(&mut revealed, true);
    assert_eq!(
        revealed.spoken(),
        "At step 80 you drew 1.5; Fourier came to 0.50. On average you were 0.50 too high.",
        "the last point that the run has reached"
    );
    assert!(!can_be_guessed(&panel(vec![])));
}

#[test]
fn a_comparison_survives_its_link() {
    let query = "painted=0.5,1&target=spike&name=a%26b";
    let link = overrides_to_link(query);
    assert_eq!(link, "painted:0.5%2C1,target:spike,name:a%26b");
    assert_eq!(overrides_from_link(&link), "painted=0.5%2C1&target=spike&name=a%26b");
    assert_eq!(overrides_from_link("frequencies:63"), "frequencies=63", "as somebody types it");
}
