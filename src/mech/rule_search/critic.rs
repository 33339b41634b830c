//! By which confidences a value stays.
//!
//! A critic gives P(yes) for a value's datatype and for the facts that it makes. What counts is the mean of these along the
//! whole way to the value, and the threshold moves.

/// A value with what the critic thinks of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Candidate {
    /// P(yes) for "value is a datatype" of each step on the way here, this value's last.
    pub datatype: Vec<f64>,
    /// The same for facts; steps without one have none.
    pub factual: Vec<f64>,
    /// Whether this value makes a fact that can be checked: if so, the last of `factual` is about it.
    pub has_fact: bool,
}

/// How thresholds move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dynamics {
    /// Both begin at the threshold and go down while nothing passes (paper).
    Paper,
    /// That of facts begins at zero and goes up to just below the best confidence seen (the paper's code).
    Code,
}

/// The rule of acceptance.
#[derive(Clone, Debug, PartialEq)]
pub struct Critic {
    pub threshold: f64,
    /// The threshold does not go below this one.
    pub floor: f64,
    pub step: f64,
    pub dynamics: Dynamics,
    /// Counts the mean along the way; otherwise this value's confidence alone.
    pub accumulate: bool,
    /// What this value's own confidence must reach besides: a mean hides a late mistake (ours, not the paper's).
    pub least: f64,
    /// Which check's name a value that fails both is given.
    pub facts_first: bool,
}

impl Default for Critic {
    fn default() -> Self {
        Self {
            threshold: 0.85,
            floor: 0.65,
            step: 0.05,
            dynamics: Dynamics::Paper,
            accumulate: true,
            least: 0.5,
            facts_first: true,
        }
    }
}

/// Why a value was struck out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It is not of the datatype.
    Datatype,
    /// A fact that it makes is false.
    Fact,
}

/// What became of the values of one call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Judgement {
    /// For each value, why it was struck out, if it was.
    pub verdicts: Vec<Option<Reason>>,
    pub datatype: Vec<f64>,
    /// One, for values without a fact.
    pub factual: Vec<f64>,
    pub datatype_threshold: f64,
    pub factual_threshold: f64,
    /// Whether the threshold of facts rose in this call ([`Dynamics::Code`]).
    pub rose: bool,
    /// Whether any passed the check of facts, and any that of datatypes.
    pub passed: [bool; 2],
}

/// Confidences are sums of rounded numbers, and thresholds repeated differences.
const SLACK: f64 = 1e-9;

impl Critic {
    /// Where the threshold of facts begins in each context.
    pub fn start(&self) -> f64 {
        match self.dynamics {
            Dynamics::Paper => self.threshold,
            Dynamics::Code => 0.0,
        }
    }

    /// Judges the values of one call. `start` is the threshold of facts that earlier calls of this context have left.
    pub fn judge(&self, candidates: &[Candidate], start: f64) -> Judgement {
        let counted = |way: &[f64]| match way {
            [] => 1.0,
            way if self.accumulate => way.iter().sum::<f64>() / way.len() as f64,
            [.., own] => *own,
        };
        let datatype: Vec<f64> = candidates.iter().map(|candidate| counted(&candidate.datatype)).collect();
        let fact = |candidate: &Candidate| if candidate.has_fact { counted(&candidate.factual) } else { 1.0 };
        let factual: Vec<f64> = candidates.iter().map(fact).collect();
        let checked = candidates.iter().any(|candidate| candidate.has_fact);
        let passes = |list: &[f64], threshold: f64| list.iter().any(|&number| number >= threshold - SLACK);

        let rose = self.dynamics == Dynamics::Code && checked && self.below_best(&factual) > start;
        let datatype_threshold = self.lowered(&datatype, self.threshold);
        let factual_threshold = match self.dynamics {
            Dynamics::Paper => self.lowered(&factual, self.threshold),
            Dynamics::Code if rose => self.threshold.min(self.below_best(&factual)),
            Dynamics::Code => start,
        };
        let own = |way: &[f64]| way.last().is_none_or(|&own| own >= self.least);
        let verdict = |(index, candidate): (usize, &Candidate)| {
            let is_type = datatype[index] >= datatype_threshold - SLACK && own(&candidate.datatype);
            let is_true = !candidate.has_fact || factual[index] >= factual_threshold - SLACK && own(&candidate.factual);
            let failed = [(is_true, Reason::Fact), (is_type, Reason::Datatype)];
            let first_failed = |(passed, reason): &(bool, Reason)| (!passed).then_some(*reason);
            let mut failed = failed.iter().filter_map(first_failed);
            if self.facts_first { failed.next() } else { failed.next_back() }
        };
        Judgement {
            verdicts: candidates.iter().enumerate().map(verdict).collect(),
            passed: [checked && passes(&factual, factual_threshold), passes(&datatype, datatype_threshold)],
            rose,
            datatype,
            factual,
            datatype_threshold,
            factual_threshold,
        }
    }

    /// The threshold, lowered step by step while nothing passes.
    fn lowered(&self, confidences: &[f64], mut threshold: f64) -> f64 {
        let passes = |threshold: f64| confidences.iter().any(|&number| number >= threshold - SLACK);
        // The paper's code goes one step too far where differences drift, and vectors made by it do so too.
        let floor = if self.dynamics == Dynamics::Code { self.floor } else { self.floor + SLACK };
        while !passes(threshold) && threshold > floor {
            threshold -= self.step;
        }
        threshold
    }

    /// The highest step that the best confidence reaches.
    fn below_best(&self, confidences: &[f64]) -> f64 {
        let best = confidences.iter().copied().fold(0.0, f64::max);
        // The remainder is exact where the quotient would round up to the next step.
        ((best - best % self.step) / self.step).round() * self.step
    }
}
