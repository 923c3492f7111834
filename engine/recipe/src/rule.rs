//! Kinds of complaints, by the names that machines know them by: stable, so that a finding can be counted, filtered and followed from one commit to the next.

/// What a complaint is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// The text is no recipe: syntax, names, types, references.
    Recipe,
    /// Something is declared and nothing mentions it.
    Unused,
    /// An op refuses its parameters.
    Parameter,
    /// An op refuses what it would be given.
    Input,
    /// A file is not there.
    MissingFile,
    /// A file cannot be read as it is to be.
    UnreadFile,
    /// A step failed as it ran.
    StepFailed,
    /// An expectation was not met, or could not be judged.
    Expectation,
    /// A figure is worse than in the run before.
    Worse,
    /// The command could not do what was asked for another reason.
    Failure,
}

impl Rule {
    /// Every rule.
    pub const ALL: [Rule; 10] = [
        Rule::Recipe,
        Rule::Unused,
        Rule::Parameter,
        Rule::Input,
        Rule::MissingFile,
        Rule::UnreadFile,
        Rule::StepFailed,
        Rule::Expectation,
        Rule::Worse,
        Rule::Failure,
    ];

    /// The rule's name.
    pub const fn id(self) -> &'static str {
        match self {
            Rule::Recipe => "recipe",
            Rule::Unused => "unused",
            Rule::Parameter => "parameter",
            Rule::Input => "input",
            Rule::MissingFile => "missing-file",
            Rule::UnreadFile => "unread-file",
            Rule::StepFailed => "step-failed",
            Rule::Expectation => "expectation",
            Rule::Worse => "worse",
            Rule::Failure => "failure",
        }
    }

    /// What it means, in a sentence.
    pub const fn words(self) -> &'static str {
        match self {
            Rule::Recipe => "The text is not a recipe: its syntax, a name, a type or a reference is wrong.",
            Rule::Unused => "A param or an axis is declared and nothing mentions it.",
            Rule::Parameter => "An op refuses its parameters, or one of them does nothing beside the others.",
            Rule::Input => "An op refuses what it would be given.",
            Rule::MissingFile => "A file that is to be read is not there.",
            Rule::UnreadFile => "A file cannot be read as the recipe asks for it.",
            Rule::StepFailed => "A step failed as it ran.",
            Rule::Expectation => "An expectation was not met, or could not be judged.",
            Rule::Worse => "A figure is worse than in the run before by more than is tolerated.",
            Rule::Failure => "The command could not do what it was asked to.",
        }
    }
}
