//! Rules as text: `label: conclusion(Type *P, Type B) :- premise(P, Type A) & premise(A, B)`, one in a line, with
//! `| predicate = "sentence with [P] and [B]"` and `@domain=word` or `@polarity=can` below it.
//!
//! The language is ours; the paper's rules are a JSON file. `*` marks the generic variable and `!` a factual one; a type is
//! said once for each variable; `#` begins a comment.

use std::collections::BTreeMap;
use std::fmt;

use super::knowledge_base::KnowledgeBase;
use super::rule::{Atom, Kind, Polarity, Rule, Variable};

const LONGEST_PREDICATE: usize = 64;
const MOST_ATOMS: usize = 6;
const MOST_VARIABLES: usize = 6;
const FEWEST_VARIABLES: usize = 3;

/// What is wrong, in the order in which a rule is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    Syntax,
    NoArrow,
    ArgumentCount,
    TooLarge,
    LabelTwice,
    TooSmall,
    Repeated,
    ConclusionAsPremise,
    TypeConflict,
    Untyped,
    NoGeneric,
    TwoGenerics,
    GenericNotInConclusion,
    NoChain,
    UnusedTemplate,
    TemplateArguments,
    TypeMismatch,
    UnknownPredicate,
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Syntax => "E01",
            Self::NoArrow => "E02",
            Self::ArgumentCount => "E03",
            Self::UnknownPredicate => "E04",
            Self::Untyped => "E05",
            Self::TypeConflict => "E06",
            Self::NoGeneric => "E07",
            Self::TwoGenerics => "E08",
            Self::GenericNotInConclusion => "E09",
            Self::ConclusionAsPremise => "E10",
            Self::NoChain => "E11",
            Self::TemplateArguments => "E12",
            Self::Repeated => "E13",
            Self::TypeMismatch => "E14",
            Self::TooSmall => "E15",
            Self::LabelTwice => "E16",
            Self::UnusedTemplate => "E17",
            Self::TooLarge => "E18",
        })
    }
}

/// The first thing that is wrong with a text. Lines and columns count from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleError {
    pub code: Code,
    pub line: usize,
    pub column: usize,
    /// What was expected, in a sentence.
    pub expected: String,
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, line, column, expected } = self;
        write!(f, "Line {line}, column {column}: {expected} ({code})")
    }
}

impl std::error::Error for RuleError {}

/// The rules of a text, in its order.
///
/// # Errors
///
/// The first thing that is wrong: what stands in lines before what stands in rules.
pub fn parse(text: &str, base: &KnowledgeBase) -> Result<Vec<Rule>, RuleError> {
    read(text, base, false)
}

/// The same for a search whose critic is not bound to a world: a fact may be of any kind that has a sentence of its own.
///
/// # Errors
///
/// As [`parse`].
pub fn parse_open(text: &str, base: &KnowledgeBase) -> Result<Vec<Rule>, RuleError> {
    read(text, base, true)
}

fn read(text: &str, base: &KnowledgeBase, open: bool) -> Result<Vec<Rule>, RuleError> {
    let mut drafts: Vec<Draft> = vec![];
    for (index, line) in text.lines().enumerate() {
        let mut reader = Reader::new(line, index + 1);
        match reader.peek() {
            None | Some('#') => {}
            Some('|') => {
                let template = reader.template()?;
                drafts.last_mut().ok_or_else(|| reader.orphan())?.templates.push(template);
            }
            Some('@') => {
                let draft = drafts.last_mut().ok_or_else(|| reader.orphan())?;
                reader.directive(draft)?;
            }
            Some(_) => {
                let mut draft = reader.rule()?;
                if draft.label.is_empty() {
                    draft.label = format!("rule{}", drafts.len());
                }
                if drafts.iter().any(|other| other.label == draft.label) {
                    let expected = format!("another rule is called “{}” already; take another label.", draft.label);
                    return Err(reader.error_at(0, Code::LabelTwice, expected));
                }
                drafts.push(draft);
            }
        }
    }
    drafts.into_iter().map(|draft| draft.check(base, open)).collect()
}

/// A rule as it is written.
struct Draft {
    label: String,
    line: usize,
    /// The conclusion, then the premises.
    atoms: Vec<WrittenAtom>,
    templates: Vec<Template>,
    domain: Option<String>,
    polarity: Polarity,
}

struct WrittenAtom {
    predicate: String,
    column: usize,
    arguments: [Argument; 2],
}

struct Argument {
    column: usize,
    datatype: Option<String>,
    mark: Option<char>,
    name: String,
}

struct Template {
    line: usize,
    predicate: String,
    text: String,
}

/// A line, letter by letter.
struct Reader {
    letters: Vec<char>,
    at: usize,
    line: usize,
}

impl Reader {
    fn new(line: &str, number: usize) -> Self {
        let mut reader = Self { letters: line.trim_end().chars().collect(), at: 0, line: number };
        reader.skip_spaces();
        reader
    }

    fn error_at(&self, at: usize, code: Code, expected: impl Into<String>) -> RuleError {
        RuleError { code, line: self.line, column: at + 1, expected: expected.into() }
    }

    fn syntax(&self, expected: impl Into<String>) -> RuleError {
        self.error_at(self.at, Code::Syntax, expected)
    }

    fn orphan(&self) -> RuleError {
        self.error_at(0, Code::Syntax, "a rule above this line, which says something about one.")
    }

    fn peek(&self) -> Option<char> {
        self.letters.get(self.at).copied()
    }

    fn skip_spaces(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }

    fn take_while(&mut self, keep: impl Fn(char) -> bool) -> String {
        let start = self.at;
        while self.peek().is_some_and(&keep) {
            self.at += 1;
        }
        self.letters[start..self.at].iter().collect()
    }

    /// Goes on behind `text`, if it stands here.
    fn take(&mut self, text: &str) -> bool {
        let end = self.at + text.chars().count();
        let here = self.letters.get(self.at..end).is_some_and(|letters| letters.iter().copied().eq(text.chars()));
        if here {
            self.at = end;
        }
        here
    }

    fn expect(&mut self, text: &str) -> Result<(), RuleError> {
        self.skip_spaces();
        if self.take(text) { Ok(()) } else { Err(self.syntax(format!("“{text}” is expected here."))) }
    }

    fn predicate(&mut self) -> Result<String, RuleError> {
        self.skip_spaces();
        if !self.peek().is_some_and(|letter| letter.is_ascii_lowercase()) {
            return Err(
                self.syntax("a predicate is expected here, such as allergic_to: lower-case letters, digits and _.")
            );
        }
        Ok(self.take_while(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_'))
    }

    fn rule(&mut self) -> Result<Draft, RuleError> {
        let label = self.label();
        let rest: String = self.letters[self.at..].iter().collect();
        if !rest.contains(":-") {
            let end = self.letters.len();
            return Err(self.error_at(end, Code::NoArrow, "“:-” is expected between the conclusion and its premises."));
        }
        let mut atoms = vec![self.atom()?];
        self.expect(":-")?;
        loop {
            atoms.push(self.atom()?);
            self.skip_spaces();
            if self.peek().is_none() {
                break;
            }
            if !self.take("&") {
                return Err(self.syntax("“&” and another premise, or the end of the line, is expected here."));
            }
        }
        let line = self.line;
        Ok(Draft { label, line, atoms, templates: vec![], domain: None, polarity: Polarity::Cannot })
    }

    /// What stands before a colon that begins no arrow; empty, if nothing does.
    fn label(&mut self) -> String {
        let start = self.at;
        let is_label =
            |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_' || letter == '-';
        let label = self.take_while(is_label);
        self.skip_spaces();
        let starts_well = label.starts_with(|letter: char| letter.is_ascii_lowercase());
        if starts_well && self.peek() == Some(':') && self.letters.get(self.at + 1) != Some(&'-') {
            self.at += 1;
            self.skip_spaces();
            return label;
        }
        self.at = start;
        String::new()
    }

    fn atom(&mut self) -> Result<WrittenAtom, RuleError> {
        self.skip_spaces();
        let column = self.at;
        let predicate = self.predicate()?;
        if predicate.len() > LONGEST_PREDICATE {
            let expected = format!("a predicate of at most {LONGEST_PREDICATE} letters is expected here.");
            return Err(self.error_at(column, Code::TooLarge, expected));
        }
        self.expect("(")?;
        let mut written = vec![];
        loop {
            self.skip_spaces();
            let start = self.at;
            let text = self.take_while(|letter| !matches!(letter, ',' | '(' | ')' | '&'));
            written.push((start, text));
            match self.peek() {
                Some(',') => self.at += 1,
                Some(')') => break,
                _ => return Err(self.syntax("“)” is expected here.")),
            }
        }
        self.at += 1;
        let Ok([first, second]) = <[_; 2]>::try_from(written) else {
            let expected = format!("“{predicate}” must have two arguments, as every predicate has.");
            return Err(self.error_at(column, Code::ArgumentCount, expected));
        };
        let arguments = [self.argument(first)?, self.argument(second)?];
        Ok(WrittenAtom { predicate, column, arguments })
    }

    fn argument(&self, (start, text): (usize, String)) -> Result<Argument, RuleError> {
        let mut words: Vec<&str> = text.split_whitespace().collect();
        let last = words.pop().unwrap_or_default();
        let mark = last.chars().next().filter(|letter| matches!(letter, '*' | '!'));
        let name = last.trim_start_matches(['*', '!']);
        let marks = last.len() - name.len();
        let is_word = |word: &&str| word.chars().all(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '-'));
        if marks > 1 || !is_variable(name) || !words.iter().all(is_word) {
            let expected = "a variable is expected here, as in “B”, “Dish B” or “Person *P”: one to three capital letters or digits.";
            return Err(self.error_at(start, Code::Syntax, expected));
        }
        let datatype = (!words.is_empty()).then(|| words.join(" ").to_lowercase());
        Ok(Argument { column: start, datatype, mark, name: name.to_owned() })
    }

    fn template(&mut self) -> Result<Template, RuleError> {
        self.at += 1;
        let predicate = self.predicate()?;
        self.expect("=")?;
        self.expect("\"")?;
        let text = self.take_while(|letter| letter != '"');
        self.expect("\"")?;
        self.skip_spaces();
        match self.peek() {
            None => Ok(Template { line: self.line, predicate, text }),
            Some(_) => Err(self.syntax("nothing more is expected on this line.")),
        }
    }

    fn directive(&mut self, draft: &mut Draft) -> Result<(), RuleError> {
        let start = self.at;
        if self.take("@domain=") {
            let word = self.take_while(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '-'));
            if !word.is_empty() && self.peek().is_none() {
                draft.domain = Some(word);
                return Ok(());
            }
        } else if self.take("@polarity=") {
            let word = self.take_while(char::is_alphabetic);
            let polarity = match word.as_str() {
                "can" => Some(Polarity::Can),
                "cannot" => Some(Polarity::Cannot),
                _ => None,
            };
            if let (Some(polarity), None) = (polarity, self.peek()) {
                draft.polarity = polarity;
                return Ok(());
            }
        }
        let expected = "“@domain=” with a word, “@polarity=can” or “@polarity=cannot” is expected here.";
        Err(self.error_at(start, Code::Syntax, expected))
    }
}

fn is_variable(name: &str) -> bool {
    let mut letters = name.chars();
    letters.next().is_some_and(|letter| letter.is_ascii_uppercase())
        && name.len() <= 3
        && letters.all(|letter| letter.is_ascii_uppercase() || letter.is_ascii_digit())
}

impl Draft {
    fn error(&self, code: Code, expected: impl Into<String>) -> RuleError {
        RuleError { code, line: self.line, column: 1, expected: expected.into() }
    }

    fn error_at(&self, column: usize, code: Code, expected: impl Into<String>) -> RuleError {
        RuleError { column: column + 1, ..self.error(code, expected) }
    }

    fn names(&self, atom: &WrittenAtom) -> [String; 2] {
        atom.arguments.each_ref().map(|argument| argument.name.clone())
    }

    fn check(self, base: &KnowledgeBase, open: bool) -> Result<Rule, RuleError> {
        if self.atoms.len() < 3 {
            return Err(self.error(Code::TooSmall, "a rule needs at least two premises."));
        }
        if self.atoms.len() > MOST_ATOMS {
            return Err(self.error(Code::TooLarge, format!("a rule has at most {MOST_ATOMS} predicates.")));
        }
        let types = self.types()?;
        let variables = self.variables(&types)?;
        let rule = Rule {
            label: self.label.clone(),
            premises: self.atoms[1..].iter().map(|atom| self.plain(atom, &variables)).collect(),
            conclusion: self.plain(&self.atoms[0], &variables),
            domain: self.domain.clone(),
            polarity: self.polarity,
            variables,
        };
        self.check_chain(&rule)?;
        self.say(rule, base, open)
    }

    /// The type of each variable that has one, atom by atom.
    fn types(&self) -> Result<BTreeMap<String, String>, RuleError> {
        let mut types = BTreeMap::<String, String>::new();
        for (index, atom) in self.atoms.iter().enumerate() {
            let [first, second] = self.names(atom);
            let same = |other: &WrittenAtom| other.predicate == atom.predicate && self.names(other) == self.names(atom);
            if index > 0 && same(&self.atoms[0]) {
                let expected = "another premise is expected: this one is the conclusion.";
                return Err(self.error_at(atom.column, Code::ConclusionAsPremise, expected));
            }
            if first == second || self.atoms[..index].iter().any(same) {
                let expected = "two different variables, and no predicate said twice, are expected here.";
                return Err(self.error_at(atom.column, Code::Repeated, expected));
            }
            for argument in &atom.arguments {
                let Some(datatype) = &argument.datatype else { continue };
                let known = types.entry(argument.name.clone()).or_insert_with(|| datatype.clone());
                if known != datatype {
                    let expected = format!("“{}” is {known} and cannot be {datatype} as well.", argument.name);
                    return Err(self.error_at(argument.column, Code::TypeConflict, expected));
                }
            }
        }
        Ok(types)
    }

    fn variables(&self, types: &BTreeMap<String, String>) -> Result<Vec<Variable>, RuleError> {
        let mut variables: Vec<Variable> = vec![];
        for argument in self.atoms.iter().flat_map(|atom| &atom.arguments) {
            let kind = match argument.mark {
                Some('*') => Kind::Generic,
                Some(_) => Kind::Factual,
                None => Kind::Searched,
            };
            let Some(datatype) = types.get(&argument.name) else {
                let expected = format!("“{}” needs a type once, as in “Dish {}”.", argument.name, argument.name);
                return Err(self.error_at(argument.column, Code::Untyped, expected));
            };
            match variables.iter_mut().find(|variable| variable.name == argument.name) {
                Some(known) if kind != Kind::Searched => known.kind = kind,
                Some(_) => {}
                None => variables.push(Variable { name: argument.name.clone(), datatype: datatype.clone(), kind }),
            }
        }
        if variables.len() > MOST_VARIABLES {
            return Err(self.error(Code::TooLarge, format!("a rule has at most {MOST_VARIABLES} variables.")));
        }
        if variables.len() < FEWEST_VARIABLES {
            return Err(self.error(Code::TooSmall, format!("a rule needs at least {FEWEST_VARIABLES} variables.")));
        }
        let generics: Vec<&Variable> = variables.iter().filter(|variable| variable.kind == Kind::Generic).collect();
        let [generic] = generics[..] else {
            return Err(if generics.is_empty() {
                self.error(Code::NoGeneric, "one variable must be generic: mark it with a star, as in “Person *P”.")
            } else {
                self.error(Code::TwoGenerics, "only one variable may be generic, that is, have a star.")
            });
        };
        if !self.names(&self.atoms[0]).contains(&generic.name) {
            let expected = format!("the conclusion must speak of “{}”, the generic variable.", generic.name);
            return Err(self.error(Code::GenericNotInConclusion, expected));
        }
        Ok(variables)
    }

    fn plain(&self, atom: &WrittenAtom, variables: &[Variable]) -> Atom {
        let place = |name: &String| {
            let place = variables.iter().position(|variable| variable.name == *name);
            place.expect("each argument was made a variable")
        };
        let arguments = self.names(atom).each_ref().map(place);
        Atom { predicate: atom.predicate.clone(), arguments, template: String::new() }
    }

    /// Premises must be one path from the generic variable to the conclusion's object.
    fn check_chain(&self, rule: &Rule) -> Result<(), RuleError> {
        let mut left: Vec<[usize; 2]> = rule.premises.iter().map(|premise| premise.arguments).collect();
        let mut current = rule.generic();
        while !left.is_empty() {
            let ways: Vec<usize> = (0..left.len()).filter(|&way| left[way].contains(&current)).collect();
            let [way] = ways[..] else { break };
            let [first, second] = left.remove(way);
            current = if first == current { second } else { first };
        }
        if left.is_empty() && current == rule.object() {
            return Ok(());
        }
        let [generic, object] = [rule.generic(), rule.object()].map(|variable| &rule.variables[variable].name);
        let expected = format!(
            "premises must form one chain from {generic}, the generic variable, to {object}, the conclusion's object."
        );
        Err(self.error(Code::NoChain, expected))
    }

    /// Gives each atom its sentence.
    fn say(&self, mut rule: Rule, base: &KnowledgeBase, open: bool) -> Result<Rule, RuleError> {
        let mut sentences = BTreeMap::new();
        for Template { line, predicate, text } in &self.templates {
            let at_line = |code, expected: String| RuleError { line: *line, ..self.error(code, expected) };
            let users: Vec<&WrittenAtom> = self.atoms.iter().filter(|atom| atom.predicate == *predicate).collect();
            if users.is_empty() {
                return Err(at_line(Code::UnusedTemplate, format!("the rule above does not use “{predicate}”.")));
            }
            for name in users.iter().flat_map(|atom| self.names(atom)) {
                if text.matches(&format!("[{name}]")).count() != 1 {
                    return Err(at_line(Code::TemplateArguments, format!("the sentence must contain [{name}] once.")));
                }
            }
            sentences.insert(predicate, text.clone());
        }
        let conclusion = rule.conclusion_index();
        for (index, written) in self.atoms.iter().enumerate() {
            let number = if index == 0 { conclusion } else { index - 1 };
            let hypothetical = rule.is_hypothetical(number);
            let atom = rule.atom(number).clone();
            let [first, second] = atom.arguments.map(|variable| &rule.variables[variable]);
            let own = sentences.get(&written.predicate).cloned();
            let free = open && own.is_some();
            let built_in = match (base.relations.get(&written.predicate), base.hypothetical.get(&written.predicate)) {
                (Some(relation), _) if !hypothetical && !free => {
                    for (argument, (variable, wanted)) in
                        written.arguments.iter().zip([first, second].into_iter().zip(&relation.signature))
                    {
                        if variable.datatype != *wanted {
                            let expected = format!(
                                "“{}” says something of {} and {}, but {} is {}.",
                                written.predicate,
                                relation.signature[0],
                                relation.signature[1],
                                argument.name,
                                variable.datatype
                            );
                            return Err(self.error_at(written.column, Code::TypeMismatch, expected));
                        }
                    }
                    let names = [first, second].map(|variable| format!("[{}]", variable.name));
                    Some(KnowledgeBase::sentence(relation, &names[0], &names[1]))
                }
                (_, Some(sentence)) if hypothetical => {
                    let (generic, value) = if first.kind == Kind::Generic { (first, second) } else { (second, first) };
                    let subject = sentence.template.split(' ').next().unwrap_or_default();
                    let with_value = sentence.template.replace("{0}", &format!("[{}]", value.name));
                    Some(with_value.replacen(subject, &format!("[{}]", generic.name), 1))
                }
                _ => None,
            };
            let known = hypothetical || free || built_in.is_some();
            let Some(template) = own.or(built_in).filter(|_| known) else {
                let expected = if hypothetical || open {
                    format!("“{0}” needs a sentence in a line below, as in | {0} = \"[P] … [B]\".", written.predicate)
                } else {
                    let known: Vec<&str> = base.relations.keys().map(String::as_str).collect();
                    format!("a fact that can be checked must be one of {}.", known.join(", "))
                };
                return Err(self.error_at(written.column, Code::UnknownPredicate, expected));
            };
            let atom = if index == 0 { &mut rule.conclusion } else { &mut rule.premises[index - 1] };
            atom.template = template;
        }
        Ok(rule)
    }
}
