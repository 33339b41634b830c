//! The recipe of the house transformer: its schedule, its data, and that its steps in parts are whole steps.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use heads_and_tails::lab::seeded;
use heads_and_tails::mech::adam::parameters;
use heads_and_tails::mech::house_transformer::{HouseTransformer, HouseTransformerConfig};
use heads_and_tails::mech::recall_language::{ASK, Kind, Mixture, RecallLanguage, VOCABULARY};
use heads_and_tails::mech::recall_training::{Exam, Recipe, Training, tokens};
use heads_and_tails::seed::Stream;
use pollster::block_on;

fn net(device: &Device, config: HouseTransformerConfig) -> HouseTransformer {
    seeded(5, device, |device| config.init(device))
}

fn small() -> HouseTransformerConfig {
    HouseTransformerConfig::new(VOCABULARY).with_width(16).with_d_hidden(16).with_d_head(4)
}

fn read<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    block_on(tensor.into_data_async()).expect("the CPU does not fail").try_to_vec().expect("the kernels compute in f32")
}

#[test]
fn the_rate_rises_and_falls_as_the_card_says() {
    let recipe = Recipe::default();
    assert_eq!((recipe.steps, recipe.rate), (700, 3e-3));
    assert!((recipe.rate_at(0) - 3e-3 / 50.0).abs() < 1e-12);
    assert!((recipe.rate_at(49) - 3e-3).abs() < 1e-12 && (recipe.rate_at(50) - 3e-3).abs() < 1e-12);
    assert!((recipe.rate_at(375) - 3e-3 * 0.525).abs() < 1e-9, "half way down it is in the middle");
    assert!((recipe.rate_at(700) - 1.5e-4).abs() < 1e-12);
    assert!((50..700).all(|step| recipe.rate_at(step) > recipe.rate_at(step + 1)));
    // A run shorter than its warm-up has a rate as well.
    assert!((0..10).all(|step| Recipe { steps: 10, ..recipe.clone() }.rate_at(step) > 0.0));
}

#[test]
fn texts_grow_and_questions_become_rare() {
    let recipe = Recipe::default();
    assert_eq!([0, 244, 245, 699].map(|step| recipe.shape_at(step)), [[32, 64], [32, 64], [16, 128], [16, 128]]);
    let near = |mixture: Mixture, statement: f64, question: f64| {
        (mixture.statement - statement).abs() < 1e-12 && (mixture.question - question).abs() < 1e-12
    };
    assert!(near(recipe.mixture_at(0), 0.3, 0.5) && near(recipe.mixture_at(175), 0.19, 0.31));
    assert!(near(recipe.mixture_at(350), 0.08, 0.12) && near(recipe.mixture_at(699), 0.08, 0.12));
}

#[test]
fn a_step_has_its_own_texts_and_knows_its_floor() {
    let device = Device::flex().autodiff();
    let training = |seed: u64| Training::new(net(&device, small()), Recipe::default(), seed, &device);
    let batch = training(1).batch();
    assert_eq!(batch, training(1).batch());
    assert_ne!(batch, training(2).batch());
    assert_eq!((batch.texts.len(), batch.texts[0].len()), (32, 65));
    assert!((1.8..2.4).contains(&batch.floor), "{}", batch.floor);
    let parts: Vec<&[Vec<usize>]> = batch.parts().collect();
    assert!(parts.len() > 3 && parts.concat() == batch.texts);
}

/// A step in parts moves the parameters as one over all texts at once does.
#[test]
fn parts_make_a_whole_step() {
    let device = Device::flex().autodiff();
    let step = |whole: bool| {
        let mut training = Training::new(net(&device, small()), Recipe::default(), 1, &device);
        let batch = training.batch();
        if whole {
            training.learn(&batch.texts, batch.texts.len());
        } else {
            batch.parts().for_each(|part| training.learn(part, batch.texts.len()));
        }
        let loss = read(training.update())[0];
        assert_eq!(training.step, 1);
        (loss, block_on(parameters(&training.net)).expect("the CPU does not fail"))
    };
    let ((loss, parts), (same_loss, whole)) = (step(false), step(true));
    assert!((loss - same_loss).abs() < 1e-5, "{loss}, {same_loss}");
    for (a, b) in parts.iter().flatten().zip(whole.iter().flatten()) {
        assert!((a - b).abs() < 2e-5, "{a}, {b}");
    }
}

#[test]
fn a_smear_that_is_not_learned_stays() {
    let device = Device::flex().autodiff();
    let config = small().with_smear(0.0).with_learns_smear(false);
    let mut training = Training::new(net(&device, config), Recipe::default(), 1, &device);
    let before = block_on(parameters(&training.net)).expect("the CPU does not fail");
    let batch = training.batch();
    training.learn(&batch.texts, batch.texts.len());
    let _loss = training.update();
    let after = block_on(parameters(&training.net)).expect("the CPU does not fail");
    // In visiting order the embedding comes first, then norm and smear of the first block.
    assert!(before[2].iter().all(|&share| share == 0.0) && before[2] == after[2]);
    assert!(before[0] != after[0] && before[1] != after[1]);
}

#[test]
fn an_exam_asks_for_what_its_texts_tell() {
    let language = RecallLanguage::default();
    let (device, mut stream) = (Device::flex(), Stream::new(1, "eval"));
    let texts = Exam::of_texts(&language, 16, &mut stream);
    assert!((100..220).contains(&texts.questions()), "{}", texts.questions());
    let contexts = Exam::contexts(&language, 16, &mut stream);
    let needles = Exam::of_contexts(&contexts);
    assert_eq!(needles.questions(), 16);
    let net = net(&device, small());
    for exam in [texts, needles] {
        let whole = read(exam.answers(&net, &device));
        let parts: Vec<f32> = exam.parts().flat_map(|part| read(part.answers(&net, &device))).collect();
        assert_eq!((whole.len(), &whole), (exam.questions() * VOCABULARY, &parts));
        let right: usize = exam.parts().map(|part| part.right(&read(part.answers(&net, &device)))).sum();
        assert_eq!(right, exam.right(&whole));
        assert!(right * 4 < exam.questions(), "a network that learned nothing is seldom right");
    }
}

/// By hand, from a look at the same contexts.
#[test]
fn sinks_are_the_mean_look_of_fillers_at_bos() {
    let device = Device::flex();
    let contexts = Exam::contexts(&RecallLanguage::default(), 3, &mut Stream::new(1, "eval"));
    let net = net(&device, small());
    let got = read(Exam::of_contexts(&contexts).sinks(&net, &device));
    let texts: Vec<Vec<usize>> =
        contexts.iter().enumerate().map(|(index, context)| context.asked(&context.needles[index])).collect();
    let (_, looks) = net.look(tokens(texts.iter().map(Vec::as_slice), &device));
    let heads = 4;
    assert_eq!((got.len(), looks.len()), (2 * heads, 2));
    for (layer, looks) in looks.into_iter().map(read).enumerate() {
        for head in 0..heads {
            let (mut sum, mut count) = (0.0, 0.0);
            for (index, text) in texts.iter().enumerate() {
                for (at, _) in text.iter().enumerate().filter(|(_, token)| Kind::of(**token) == Kind::Filler) {
                    sum += looks[((index * heads + head) * 122 + at) * 122];
                    count += 1.0;
                }
                assert_eq!(text[120], ASK);
            }
            let (got, want) = (got[layer * heads + head], sum / count);
            assert!((got - want).abs() < 1e-5, "head {head} of layer {layer}: {got}, {want}");
        }
    }
}

#[test]
fn a_look_does_not_change_what_is_said() {
    let device = Device::flex();
    let net = net(&device, small());
    let text = RecallLanguage::default().text(24, Mixture::default(), &mut Stream::new(1, "eval"));
    let (logits, looks) = net.look(tokens([text.as_slice()], &device));
    assert_eq!(read(logits), read(net.forward(tokens([text.as_slice()], &device))));
    for rows in looks.into_iter().map(read) {
        for (at, row) in rows.chunks(24).enumerate() {
            assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5);
            assert!(row[at % 24 + 1..].iter().all(|&share| share == 0.0), "nobody looks ahead");
        }
    }
    assert_eq!(net.valid().num_params(), net.num_params());
}
