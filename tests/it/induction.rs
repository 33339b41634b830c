//! The data and the network of the induction heads, beyond their golden vectors.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Int, Tensor, TensorData};
use heads_and_tails::lab::panel::Moves;
use heads_and_tails::lab::{Body, Frame, Values, read, seeded, tensor};
use heads_and_tails::labs::RUNNERS;
use heads_and_tails::mech::adam::{load_parameters, parameters};
use heads_and_tails::mech::induction_head::{FirstHead, InductionNet, InductionNetConfig};
use heads_and_tails::mech::item_sequences::{Draw, ItemConfig, Items, Sequence, Source};
use heads_and_tails::mech::ops;
use heads_and_tails::mech::sgd::Sgd;
use heads_and_tails::seed::Stream;
use pollster::block_on;

use crate::site::host;

const SMALL: ItemConfig = ItemConfig {
    classes: 40,
    labels: 8,
    pairs: 6,
    burst: 2,
    d_item: 5,
    d_position: 16,
    noise: 0.1,
    zipf: 0.0,
    bursty: 1.0,
    fresh: 0.0,
};

fn items(config: ItemConfig) -> Items {
    Items::new(config, &mut Stream::new(1, "data"))
}

fn draws(items: &Items, draw: Draw, count: usize) -> Vec<Sequence> {
    let mut stream = Stream::new(2, "batch");
    (0..count).map(|_| items.draw(draw, &mut stream)).collect()
}

fn own_label(items: &Items, source: Source) -> Option<usize> {
    match source {
        Source::Class(class) => Some(items.label_of(class)),
        Source::Fresh(_) => None,
    }
}

#[test]
fn a_burst_holds_each_class_so_often_and_the_target_among_them() {
    let items = items(SMALL);
    for (draw, fresh) in [(Draw::Training, false), (Draw::InContext, true), (Draw::Swapped, false)] {
        for sequence in draws(&items, draw, 200) {
            assert_eq!(sequence.pairs.len(), 6);
            let mut labels: Vec<usize> = sequence.pairs.iter().map(|pair| pair.1).collect();
            labels.sort_unstable();
            assert!(labels.chunks(2).all(|two| two[0] == two[1]), "{draw:?}: {labels:?}");
            labels.dedup();
            assert_eq!(labels.len(), 3, "{draw:?}: classes of one label cannot be told apart");
            let twin = sequence.pairs.iter().find(|pair| pair.0 == sequence.target).expect("the target has a twin");
            assert_eq!(twin.1, sequence.answer, "{draw:?}");
            for (source, label) in &sequence.pairs {
                assert_eq!(matches!(source, Source::Fresh(_)), fresh);
                if let Some(own) = own_label(&items, *source) {
                    assert_eq!(own == *label, draw == Draw::Training, "{draw:?}");
                }
            }
        }
    }
}

#[test]
fn memory_is_tested_without_help_from_the_context() {
    let items = items(ItemConfig { classes: 4000, ..SMALL });
    let sequences = draws(&items, Draw::InWeights, 500);
    let helped =
        sequences.iter().filter(|sequence| sequence.pairs.iter().any(|pair| pair.0 == sequence.target)).count();
    assert!(helped <= 5, "{helped} of 500 hold the target");
    for sequence in sequences {
        assert_eq!(own_label(&items, sequence.target), Some(sequence.answer));
    }
}

#[test]
fn frequencies_fall_as_the_exponent_says() {
    let items = items(ItemConfig { classes: 100, zipf: 1.0, ..SMALL });
    let mut counts = [0_u32; 100];
    for sequence in draws(&items, Draw::InWeights, 4000) {
        for (source, _) in sequence.pairs {
            if let Source::Class(class) = source {
                counts[class] += 1;
            }
        }
    }
    let harmonic: f64 = (1..=100).map(|rank| 1.0 / f64::from(rank)).sum();
    for rank in [1, 2, 5] {
        let expected = 24_000.0 / harmonic / f64::from(rank);
        let got = f64::from(counts[rank as usize - 1]);
        assert!((got / expected - 1.0).abs() < 0.1, "class {rank}: {got} of {expected}");
    }
    // Rare classes do not keep a sequence waiting.
    let steep = ItemConfig { classes: 4000, labels: 64, pairs: 32, burst: 1, d_position: 65, zipf: 2.0, ..SMALL };
    let items = Items::new(steep, &mut Stream::new(1, "data"));
    for sequence in draws(&items, Draw::Training, 50) {
        let mut labels: Vec<usize> = sequence.pairs.iter().map(|pair| pair.1).collect();
        labels.sort_unstable();
        labels.dedup();
        assert_eq!(labels.len(), 32);
    }
}

#[test]
fn a_share_of_fresh_or_useless_contexts_is_kept() {
    let fresh = items(ItemConfig { fresh: 0.3, ..SMALL });
    let new = draws(&fresh, Draw::Training, 2000).iter().filter(|s| matches!(s.target, Source::Fresh(_))).count();
    assert!((500..=700).contains(&new), "{new} of 2,000");
    let useless = items(ItemConfig { bursty: 0.5, classes: 4000, ..SMALL });
    let helped = draws(&useless, Draw::Training, 2000);
    let helped = helped.iter().filter(|s| s.pairs.iter().any(|pair| pair.0 == s.target)).count();
    assert!((900..=1100).contains(&helped), "{helped} of 2,000");
}

#[test]
fn a_sequence_is_written_in_order_from_any_slot() {
    let items = items(ItemConfig { noise: 0.0, ..SMALL });
    let sequences = draws(&items, Draw::Training, 40);
    let numbers = items.write(&sequences, &mut Stream::new(3, "noise"));
    let width = SMALL.width();
    assert_eq!(numbers.len(), 40 * 13 * width);
    let mut starts = std::collections::BTreeSet::new();
    for (sequence, numbers) in sequences.iter().zip(numbers.chunks(13 * width)) {
        let slot = |token: usize| {
            let slots = &numbers[token * width..][..16];
            assert_eq!(slots.iter().sum::<f32>(), 1.0);
            slots.iter().position(|slot| *slot == 1.0).expect("one is set")
        };
        let item = |token: usize| &numbers[token * width + 16..][..5];
        starts.insert(slot(0));
        assert!((0..13).all(|token| slot(token) == slot(0) + token));
        let twin = sequence.pairs.iter().position(|pair| pair.0 == sequence.target).expect("a twin");
        assert_eq!(item(12), item(2 * twin), "without noise, twins are alike");
    }
    assert_eq!(starts, (0..4).collect());
}

fn net(device: &Device) -> InductionNet {
    seeded(5, device, |device| InductionNetConfig::new(SMALL.width(), 7, SMALL.labels).init(device))
}

fn loss(net: &InductionNet, first: FirstHead, device: &Device) -> Tensor<1> {
    let items = items(SMALL);
    let sequences = draws(&items, Draw::Training, 4);
    let numbers = items.write(&sequences, &mut Stream::new(3, "noise"));
    let input = tensor(numbers, [4, SMALL.tokens(), SMALL.width()], device);
    let answers: Vec<i32> = sequences.iter().map(|sequence| sequence.answer as i32).collect();
    let answers = Tensor::<1, Int>::from_data(TensorData::new(answers, [4]), device);
    ops::cross_entropy_with_indices(net.forward(input, first, true), answers)
}

/// The slope of the whole loss along a direction in all parameters, by the tape and by differences.
#[test]
fn the_gradient_of_the_whole_loss_is_right() {
    let device = Device::flex().autodiff();
    for first in
        [FirstHead::Learned, FirstHead::Uniform, FirstHead::LabelsLookBack, FirstHead::AllLookBack, FirstHead::Off]
    {
        let net = net(&device);
        let before = block_on(parameters(&net)).expect("the CPU is not lost");
        let gradients = GradientsParams::from_grads(loss(&net, first, &device).backward(), &net);
        // A step of descent leads along the gradient: its length squared is the slope.
        let moved =
            block_on(parameters(&Sgd::default().step(1.0, net.clone(), gradients))).expect("the CPU is not lost");
        let direction: Vec<Vec<f32>> =
            before.iter().zip(&moved).map(|(a, b)| a.iter().zip(b).map(|(a, b)| a - b).collect()).collect();
        let slope: f64 = direction.iter().flatten().map(|d| f64::from(*d) * f64::from(*d)).sum();
        let along = |by: f32| {
            let moved = before.iter().zip(&direction);
            let moved: Vec<Vec<f32>> = moved.map(|(a, d)| a.iter().zip(d).map(|(a, d)| a + by * d).collect()).collect();
            let at = load_parameters(net.clone(), &moved);
            f64::from(block_on(read(loss(&at, first, &device).inner())).expect("the CPU is not lost")[0])
        };
        let found = (along(2e-3) - along(-2e-3)) / 4e-3;
        assert!((found / slope - 1.0).abs() < 1e-2, "{first:?}: {found} by differences, {slope} by the tape");
    }
}

#[test]
fn a_fixed_first_head_looks_as_it_is_told() {
    let device = Device::flex();
    let net = net(&device.clone().autodiff()).fork(&device);
    let items = items(SMALL);
    let numbers = items.write(&draws(&items, Draw::Training, 1), &mut Stream::new(3, "noise"));
    let input = tensor(numbers, [1, 13, SMALL.width()], &device);
    let look = |first| block_on(read(net.look(input.clone(), first, true, true).first)).expect("the CPU is not lost");
    let labels = look(FirstHead::LabelsLookBack);
    let everywhere = look(FirstHead::AllLookBack);
    let uniform = look(FirstHead::Uniform);
    for token in 0..13_usize {
        let at = |map: &[f32], to: usize| map[token * 13 + to];
        assert_eq!(at(&labels, if token % 2 == 1 { token - 1 } else { token }), 1.0);
        assert_eq!(at(&everywhere, token.saturating_sub(1)), 1.0);
        assert!((at(&uniform, 0) - 1.0 / (token + 1) as f32).abs() < 1e-6);
    }
}

fn frame_of(query: &str) -> Frame {
    let runner = RUNNERS.iter().find(|runner| runner.slug == "induction").expect("it is registered");
    let (values, problems) = Values::from_query(runner.specs, query);
    assert!(problems.is_empty(), "{problems:?}");
    block_on((runner.start)(&values, &host())).expect("it starts").frame()
}

fn sequence_of(frame: &Frame) -> (String, Vec<String>, Option<Moves>) {
    let panel = frame.panels.iter().find(|panel| panel.id == "sequence").expect("it has a sequence");
    let Body::Tokens(tokens) = &panel.body else { panic!("a sequence is tokens") };
    let texts = tokens.tokens.iter().map(|token| token.text.clone()).collect();
    (panel.spoken(), texts, tokens.moves.clone())
}

#[test]
fn a_sequence_of_the_readers_own_is_shown_or_refused_in_words() {
    let (_, texts, moves) = sequence_of(&frame_of("sequence=5:1 40 n1:7 n1"));
    assert_eq!(texts, ["5", "1", "40", "8", "n1", "7", "n1"]);
    let moves = moves.expect("pairs can be moved");
    assert_eq!(moves.moved(0, 3).as_deref(), Some("40:8 5:1 n1:7 n1"));
    assert_eq!(moves.moved(0, 1), None, "an item and its label are one word");
    for (written, refused) in [
        ("x:1 2", "“x” is neither a class nor a new one"),
        ("5:99 5", "There is no label “99”; the last is 31."),
        ("5:1 99999", "There is no class 99999; the last is 4095."),
        ("n1 n1", "“n1” is new and needs a label"),
        ("5:1 n2", "“n2” is new and not in the context"),
        ("5", "A sequence has at least one item before its target."),
        ("n99:1 5", "none of the new classes"),
        ("1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18", "17 items are too many for 33 slots."),
    ] {
        let (said, texts, _) = sequence_of(&frame_of(&format!("sequence={written}")));
        assert!(said.contains(refused) && said.contains("A drawn sequence is shown."), "{written}: {said}");
        assert_eq!(texts.len(), 17, "{written}");
    }
}
