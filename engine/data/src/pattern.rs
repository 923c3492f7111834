//! File names that say something: `{class}_{speaker}_{index}` read from a name without its ending, and conditions on what was read.

use std::collections::BTreeMap;

use crate::error::DataError;

/// A pattern of fields in braces with text between them. Later fields are as short as they can be, so that `{class}_{index}`
/// reads `american_bulldog_100` as `american_bulldog` and `100`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    text: String,
    /// Fields, each with the text that stands before it.
    fields: Vec<(String, String)>,
    end: String,
}

impl Pattern {
    /// Reads a pattern; `key` is the setting that holds it.
    pub fn parse(key: &'static str, text: &str) -> Result<Self, DataError> {
        let wrong = |why: &str| DataError::Setting {
            key,
            why: format!("`{text}`: {why}, as in {{class}}_{{index}}"),
        };
        let (mut fields, mut rest): (Vec<(String, String)>, &str) = (Vec::new(), text);
        while let Some((before, field)) = rest.split_once('{') {
            let (field, after) = field.split_once('}').ok_or_else(|| wrong("a `{` without its `}`"))?;
            if field.is_empty() || !field.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-') {
                return Err(wrong("a field is a word in braces"));
            }
            if fields.iter().any(|(_, known)| known == field) {
                return Err(wrong("a field stands twice"));
            }
            if before.is_empty() && !fields.is_empty() {
                return Err(wrong("fields need text between them"));
            }
            fields.push((before.to_owned(), field.to_owned()));
            rest = after;
        }
        if fields.is_empty() {
            return Err(wrong("fields in braces expected"));
        }
        Ok(Self {
            text: text.to_owned(),
            fields,
            end: rest.to_owned(),
        })
    }

    /// Whether there is such a field.
    pub fn has(&self, field: &str) -> bool {
        self.fields.iter().any(|(_, known)| known == field)
    }

    /// What a name says; `None` where it is built otherwise.
    pub fn read<'n>(&self, name: &'n str) -> Option<BTreeMap<&str, &'n str>> {
        let mut rest = name.strip_suffix(self.end.as_str())?;
        let mut found = BTreeMap::new();
        for (place, (before, field)) in self.fields.iter().enumerate().rev() {
            let value = if place == 0 {
                rest.strip_prefix(before.as_str())?
            } else {
                let (earlier, value) = rest.rsplit_once(before.as_str())?;
                rest = earlier;
                value
            };
            if value.is_empty() {
                return None;
            }
            found.insert(field.as_str(), value);
        }
        Some(found)
    }

    /// The name in which every field is `value`.
    pub fn fill(&self, value: &str) -> String {
        let fields = self.fields.iter().map(|(before, _)| format!("{before}{value}"));
        fields.collect::<String>() + &self.end
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// Conditions on fields, all of which must hold: `index < 5 and speaker = theo`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Condition(Vec<Comparison>);

#[derive(Clone, Debug, PartialEq)]
struct Comparison {
    field: String,
    relation: &'static str,
    value: String,
}

/// Longer ones first, so that `<=` is not taken for `<`.
const RELATIONS: [&str; 6] = ["<=", ">=", "!=", "<", ">", "="];

impl Condition {
    /// Reads conditions on the fields of `pattern`; `key` is the setting that holds them.
    pub fn parse(key: &'static str, text: &str, pattern: &Pattern) -> Result<Self, DataError> {
        let wrong = |why: String| DataError::Setting { key, why };
        let comparison = |part: &str| {
            let found = RELATIONS.iter().find_map(|&relation| {
                let (field, value) = part.split_once(relation)?;
                let value = value.trim_start_matches('=').trim();
                Some((field.trim().to_owned(), relation, value.to_owned()))
            });
            let (field, relation, value) = found
                .filter(|(field, _, value)| !field.is_empty() && !value.is_empty())
                .ok_or_else(|| wrong(format!("`{part}` is no condition such as index < 5")))?;
            if !pattern.has(&field) {
                let why = format!("`{}` has no field `{field}`", pattern.text());
                return Err(wrong(why));
            }
            if !matches!(relation, "=" | "!=") && value.parse::<f64>().is_err() {
                return Err(wrong(format!("`{value}` in `{part}` is not a number")));
            }
            Ok(Comparison { field, relation, value })
        };
        text.split(" and ")
            .map(|part| comparison(part.trim()))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether all conditions hold; a field that should be a number and is none is named.
    pub fn holds(&self, fields: &BTreeMap<&str, &str>) -> Result<bool, String> {
        for Comparison { field, relation, value } in &self.0 {
            let found = fields.get(field.as_str()).copied().unwrap_or_default();
            let number = || {
                let number = found.parse::<f64>();
                number.map_err(|_| format!("{field} is `{found}`, a number expected"))
            };
            // Checked when the condition was read.
            let limit = value.parse::<f64>().unwrap_or(f64::NAN);
            let equal = || match found.parse::<f64>() {
                Ok(number) if !limit.is_nan() => number == limit,
                _ => found == value,
            };
            let holds = match *relation {
                "<" => number()? < limit,
                "<=" => number()? <= limit,
                ">" => number()? > limit,
                ">=" => number()? >= limit,
                "!=" => !equal(),
                _ => equal(),
            };
            if !holds {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::parse("name", text).expect("a pattern")
    }

    #[test]
    fn later_fields_are_short() {
        let pets = pattern("{class}_{index}");
        let found = pets.read("american_bulldog_100").expect("fits");
        assert_eq!((found["class"], found["index"]), ("american_bulldog", "100"));
        assert_eq!(pets.read("readme"), None);
        assert_eq!(pets.read("_1"), None);
        let digits = pattern("{class}_{speaker}_{index}");
        assert_eq!(digits.read("7_theo_12").expect("fits")["speaker"], "theo");
        assert_eq!(pattern("images/{name}.jpg").fill("a_1"), "images/a_1.jpg");
        assert_eq!(
            pattern("images/{name}.jpg").read("images/a.jpg").expect("fits")["name"],
            "a"
        );
    }

    #[test]
    fn patterns_that_say_nothing_are_refused() {
        let refused = |text| Pattern::parse("name", text).expect_err("refused").to_string();
        insta::assert_snapshot!(refused("class"), @"name: `class`: fields in braces expected, as in {class}_{index}");
        insta::assert_snapshot!(refused("{class}{index}"), @"name: `{class}{index}`: fields need text between them, as in {class}_{index}");
        insta::assert_snapshot!(refused("{class"), @"name: `{class`: a `{` without its `}`, as in {class}_{index}");
        insta::assert_snapshot!(refused("{a}_{a}"), @"name: `{a}_{a}`: a field stands twice, as in {class}_{index}");
    }

    #[test]
    fn conditions_compare_numbers_as_numbers_and_words_as_words() {
        let digits = pattern("{class}_{speaker}_{index}");
        let holds = |text: &str, name: &str| {
            let condition = Condition::parse("test", text, &digits).expect("a condition");
            condition.holds(&digits.read(name).expect("fits"))
        };
        assert_eq!(holds("index < 5", "7_theo_4"), Ok(true));
        assert_eq!(holds("index < 5", "7_theo_10"), Ok(false));
        assert_eq!(holds("index >= 5 and speaker = theo", "7_theo_10"), Ok(true));
        assert_eq!(holds("speaker != theo", "7_theo_10"), Ok(false));
        assert_eq!(holds("index == 4", "7_theo_04"), Ok(true));
        assert_eq!(
            holds("index < 5", "7_theo_x"),
            Err("index is `x`, a number expected".into())
        );
        let refused = |text| {
            Condition::parse("test", text, &digits)
                .expect_err("refused")
                .to_string()
        };
        insta::assert_snapshot!(refused("number < 5"), @"test: `{class}_{speaker}_{index}` has no field `number`");
        insta::assert_snapshot!(refused("index < few"), @"test: `few` in `index < few` is not a number");
        insta::assert_snapshot!(refused("index"), @"test: `index` is no condition such as index < 5");
    }
}
