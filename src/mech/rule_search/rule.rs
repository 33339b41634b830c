//! A rule with variables: premises that form a chain, and what follows from them.

use std::fmt;

/// `conclusion :- premise & premise`, each an atom with two arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    pub label: String,
    pub premises: Vec<Atom>,
    pub conclusion: Atom,
    pub variables: Vec<Variable>,
    /// What the rule is about, as in "temporal".
    pub domain: Option<String>,
    pub polarity: Polarity,
}

/// A predicate over two variables, and how it is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Atom {
    pub predicate: String,
    /// Places in [`Rule::variables`].
    pub arguments: [usize; 2],
    /// A sentence with each argument's name in brackets: "\[P\] is allergic to \[A\]".
    pub template: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    pub name: String,
    /// What its values are, as in "dish".
    pub datatype: String,
    pub kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The person or thing that the rule speaks of; never searched.
    Generic,
    Searched,
    /// Has one right value, which two answers in a row must agree on; no critic is asked.
    Factual,
}

/// Whether the conclusion forbids or allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Polarity {
    Can,
    Cannot,
}

/// In which order variables are filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Along the chain, from the generic variable to the conclusion's object.
    PremiseFirst,
    /// The conclusion's object first, then back along the chain.
    ConclusionFirst,
}

/// One variable's turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub variable: usize,
    /// Atoms that the values must make true: they stand in the prompt, and those without the generic variable are checked.
    pub prompt: Vec<usize>,
    /// Atoms whose sentences are scored, in the order in which they are said.
    pub ranking: Vec<usize>,
}

impl Rule {
    /// The premise with this number, or the conclusion behind the last of them.
    pub fn atom(&self, index: usize) -> &Atom {
        self.premises.get(index).unwrap_or(&self.conclusion)
    }

    /// The number of the conclusion in [`Rule::atom`].
    pub fn conclusion_index(&self) -> usize {
        self.premises.len()
    }

    /// The variable that is never searched.
    pub fn generic(&self) -> usize {
        let generic = self.variables.iter().position(|variable| variable.kind == Kind::Generic);
        generic.expect("a rule is built with a generic variable")
    }

    /// The conclusion's argument that is not the generic one.
    pub fn object(&self) -> usize {
        self.other(&self.conclusion, self.generic())
    }

    /// What stands for the generic variable in a sentence: its datatype and an X.
    pub fn generic_value(&self) -> String {
        format!("{}X", self.variables[self.generic()].datatype)
    }

    /// Premises that speak of the generic variable: nobody can check them.
    pub fn hypothetical(&self) -> impl Iterator<Item = usize> {
        (0..self.premises.len()).filter(|&index| self.is_hypothetical(index))
    }

    /// Premises that are facts of the world.
    pub fn checkable(&self) -> impl Iterator<Item = usize> {
        (0..self.premises.len()).filter(|&index| !self.is_hypothetical(index))
    }

    /// Whether the atom speaks of the generic variable.
    pub fn is_hypothetical(&self, atom: usize) -> bool {
        self.atom(atom).arguments.contains(&self.generic())
    }

    fn other(&self, atom: &Atom, variable: usize) -> usize {
        let [first, second] = atom.arguments;
        if first == variable { second } else { first }
    }

    /// The order that the paper takes: along the chain, unless a variable is factual.
    pub fn usual_order(&self) -> Order {
        let factual = self.variables.iter().any(|variable| variable.kind == Kind::Factual);
        if factual { Order::ConclusionFirst } else { Order::PremiseFirst }
    }

    /// The variables in the order of the search, the generic one first.
    pub fn order(&self, order: Order) -> Vec<usize> {
        let mut found = vec![self.generic(), self.object()];
        let mut left: Vec<usize> = self.checkable().collect();
        let mut current = self.object();
        // A chain has at most one way on from each variable.
        while let Some(at) = left.iter().position(|&atom| {
            let arguments = self.premises[atom].arguments;
            arguments.contains(&current) && !found.contains(&self.other(&self.premises[atom], current))
        }) {
            current = self.other(&self.premises[left.remove(at)], current);
            found.push(current);
        }
        let rest = (0..self.variables.len()).filter(|variable| !found.contains(variable)).collect::<Vec<_>>();
        found.extend(rest);
        if order == Order::PremiseFirst {
            found[1..].reverse();
        }
        found
    }

    /// What is asked and scored at each variable's turn.
    pub fn steps(&self, order: Order) -> Vec<Step> {
        let variables = self.order(order);
        let conclusion = self.conclusion_index();
        let mut ranking: Vec<usize> = vec![];
        let mut steps = vec![];
        for (turn, &variable) in variables.iter().enumerate().skip(1) {
            let links = variables[..turn].iter().filter_map(|&filled| self.link(filled, variable));
            let mut prompt: Vec<usize> = links.collect();
            for &atom in &prompt {
                if !ranking.contains(&atom) {
                    ranking.push(atom);
                }
            }
            if turn > 1 {
                prompt.retain(|&atom| atom != conclusion);
            }
            if order == Order::PremiseFirst
                && let Some(at) = ranking.iter().position(|&atom| atom == conclusion)
            {
                let last = ranking.len() - 1;
                ranking.swap(at, last);
            }
            steps.push(Step { variable, prompt, ranking: ranking.clone() });
        }
        steps
    }

    /// The atom that joins two variables; a premise before the conclusion, for it is the premise that constrains.
    fn link(&self, one: usize, other: usize) -> Option<usize> {
        let joins = |atom: &usize| {
            let arguments = self.atom(*atom).arguments;
            arguments.contains(&one) && arguments.contains(&other)
        };
        (0..=self.conclusion_index()).find(joins)
    }

    /// The sentence of an atom with the values that are known; others keep their bracketed names.
    ///
    /// # Shapes
    ///
    /// - values `[variables]`
    pub fn say(&self, atom: usize, values: &[Option<&str>]) -> String {
        let Atom { arguments, template, .. } = self.atom(atom);
        arguments.iter().fold(template.clone(), |sentence, &argument| match values[argument] {
            Some(value) => sentence.replace(&format!("[{}]", self.variables[argument].name), value),
            None => sentence,
        })
    }

    /// The sentences of those atoms all of whose arguments have values, joined by "and".
    pub fn say_all(&self, atoms: &[usize], values: &[Option<&str>]) -> String {
        let known = |atom: &&usize| self.atom(**atom).arguments.iter().all(|&argument| values[argument].is_some());
        let said: Vec<String> = atoms.iter().filter(known).map(|&atom| self.say(atom, values)).collect();
        said.join(" and ")
    }

    /// The statement that the search is for: the premises about the generic variable, and the conclusion. The facts between
    /// them are left out, for the reader must know those.
    pub fn statement(&self, values: &[Option<&str>]) -> String {
        let premises: Vec<usize> = self.hypothetical().collect();
        format!("if {}, {}", self.say_all(&premises, values), self.say(self.conclusion_index(), values))
    }

    /// An atom as it is written in a rule.
    pub fn written(&self, atom: usize) -> String {
        let Atom { predicate, arguments: [first, second], .. } = self.atom(atom);
        format!("{predicate}({}, {})", self.variables[*first].name, self.variables[*second].name)
    }
}

impl fmt::Display for Rule {
    /// As it is read by [`parse`](super::parse), without its templates.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut typed = vec![false; self.variables.len()];
        let mut argument = |index: usize| {
            let Variable { name, datatype, kind } = &self.variables[index];
            let mark = match kind {
                Kind::Generic => "*",
                Kind::Searched => "",
                Kind::Factual => "!",
            };
            if std::mem::replace(&mut typed[index], true) { name.clone() } else { format!("{datatype} {mark}{name}") }
        };
        let mut atom = |index: usize| {
            let Atom { predicate, arguments: [first, second], .. } = self.atom(index);
            let first = argument(*first);
            format!("{predicate}({first}, {})", argument(*second))
        };
        let conclusion = atom(self.conclusion_index());
        let premises: Vec<String> = (0..self.premises.len()).map(atom).collect();
        write!(f, "{}: {conclusion} :- {}", self.label, premises.join(" & "))
    }
}
