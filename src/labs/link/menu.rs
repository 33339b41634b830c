//! Rules to begin with: four that the world's texts are made of, and twenty that are new to the models.

use crate::choices;
use crate::mech::rule_search::{KnowledgeBase, Rule, RuleError, parse};

/// All rules of the menu, in the rule language.
pub const MENU: &str = include_str!("menu.txt");

choices! {
    pub enum MenuRule {
        Eat = "eat", "what an allergic person cannot eat";
        Era = "era", "what nobody of a period could use";
        Safe = "safe", "what an object is not made for";
        Wild = "wild", "which animal a person never saw wild";
        Serve = "serve", "what a cook may cook";
        Hate = "hate", "what a guest leaves aside";
        Vegan = "vegan", "what a guest sends back";
        Shop = "shop", "what a shopper must not buy";
        Menu = "menu", "which allergen a card lists";
        Film = "film", "what is out of time in a film";
        Tomb = "tomb", "which find is a fake";
        Diary = "diary", "what a diary cannot mention";
        Coin = "coin", "which period a coin is not from";
        Store = "store", "what an object must not be near";
        Gift = "gift", "whom a gift is poor for";
        Ruin = "ruin", "what a hobby may ruin";
        Insure = "insure", "what a policy excludes";
        Tool = "tool", "what a tool must keep from";
        Stamp = "stamp", "what a traveler cannot photograph";
        Park = "park", "what is not native of a park";
        Trip = "trip", "what a hiker may meet";
        Fly = "fly", "what lies across an ocean";
        Vet = "vet", "whose permit a zoo needs";
        Map = "map", "which stamp a passport lacks";
    }
}

impl MenuRule {
    /// The rule, with the sentences of this world.
    ///
    /// # Errors
    ///
    /// When an edited world no longer has what the rule speaks of.
    pub fn rule(self, base: &KnowledgeBase) -> Result<Rule, RuleError> {
        let rules = parse(MENU, base)?;
        let mine = rules.into_iter().find(|rule| rule.label == self.value());
        Ok(mine.expect("a test finds each option in the menu"))
    }
}

/// What rules are written with: the facts of the world, what can be said without a sentence of one's own, and types.
pub const WORDS: &[&str] = &[
    "one_type_of",
    "ingredient_in",
    "ended_in",
    "invented_long_after",
    "damaged_by",
    "involves",
    "lives_wild_only_in",
    "other_continent_from",
    "allergic_to",
    "cannot_eat",
    "lived_during",
    "could_not_use",
    "made_of",
    "unsafe_for",
    "never_left",
    "never_saw_wild",
    "Allergen",
    "Dish",
    "Ingredient",
    "Period",
    "Century",
    "Invention",
    "Material",
    "Hazard",
    "Activity",
    "Homeland",
    "Animal",
    "Country",
    "Person",
    "Object",
];
