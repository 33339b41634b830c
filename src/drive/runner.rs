//! Labs without their types, so that one loop drives them all.

use crate::lab::{self, Frame, Host, Lab, LabError, Left, ParamSet, ParamSpec, State, Status, Task, Values};

/// A lab that has started, with its parameters.
pub trait Running {
    fn step<'a>(&'a mut self, host: &'a Host) -> Task<'a, Status>;
    fn change<'a>(&'a mut self, values: &'a Values, host: &'a Host) -> Task<'a, ()>;
    fn settle(&mut self) -> Task<'_, ()>;
    fn frame(&self) -> Frame;
    fn save(&self) -> Task<'_, State>;
    fn restore<'a>(&'a mut self, state: &'a State, host: &'a Host) -> Task<'a, ()>;
}

type Start = for<'a> fn(&'a Values, &'a Host) -> Task<'a, Box<dyn Running>>;
type Batch = for<'a> fn(&'a [Values], &'a Host, &'a mut dyn FnMut(usize, Left)) -> Task<'a, ()>;

/// How a lab is run. Apart from its card, so that the page, which needs only the card, links no tensor library.
#[derive(Clone, Copy)]
pub struct Runner {
    pub slug: &'static str,
    pub specs: &'static [ParamSpec],
    pub start: Start,
    pub batch: Batch,
}

impl Runner {
    pub const fn of<L: Lab>() -> Self {
        Self { slug: L::CARD.slug, specs: L::Params::SPECS, start: start::<L>, batch: batch::<L> }
    }
}

/// The runner of the lab with this slug.
///
/// # Errors
///
/// When no lab has it.
pub fn find(runners: &'static [Runner], slug: &str) -> Result<&'static Runner, LabError> {
    runners.iter().find(|runner| runner.slug == slug).ok_or_else(|| LabError::Unknown { slug: slug.to_owned() })
}

fn start<'a, L: Lab>(values: &'a Values, host: &'a Host) -> Task<'a, Box<dyn Running>> {
    Box::pin(async move {
        let params = L::Params::from_values(values);
        let lab = L::start(&params, host).await?;
        Ok(Box::new(Opened { lab, params }) as Box<dyn Running>)
    })
}

fn batch<'a, L: Lab>(settings: &'a [Values], host: &'a Host, done: &'a mut dyn FnMut(usize, Left)) -> Task<'a, ()> {
    Box::pin(async move {
        let settings: Vec<L::Params> = settings.iter().map(L::Params::from_values).collect();
        lab::batch::<L>(&settings, host, done).await
    })
}

struct Opened<L: Lab> {
    lab: L,
    params: L::Params,
}

impl<L: Lab> Running for Opened<L> {
    fn step<'a>(&'a mut self, host: &'a Host) -> Task<'a, Status> {
        Box::pin(self.lab.step(host))
    }

    fn change<'a>(&'a mut self, values: &'a Values, host: &'a Host) -> Task<'a, ()> {
        self.params = L::Params::from_values(values);
        Box::pin(self.lab.change(&self.params, host))
    }

    fn settle(&mut self) -> Task<'_, ()> {
        Box::pin(self.lab.settle())
    }

    fn frame(&self) -> Frame {
        self.lab.frame(&self.params)
    }

    fn save(&self) -> Task<'_, State> {
        Box::pin(self.lab.save())
    }

    fn restore<'a>(&'a mut self, state: &'a State, host: &'a Host) -> Task<'a, ()> {
        Box::pin(self.lab.restore(state, host))
    }
}
