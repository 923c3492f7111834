//! Expectations as JUnit XML, which CI systems show as tests.

use std::fmt::Write;

use crate::input::{Outcome, Verdict};
use crate::plots::Escaped;

/// One test case per expectation, in one suite named after the recipe. Times are absent: a gate takes none.
pub fn junit(recipe: &str, verdicts: &[Verdict]) -> String {
    let count = |outcome| verdicts.iter().filter(|verdict| verdict.outcome == outcome).count();
    let counts = format!(
        r#"tests="{}" failures="{}" errors="{}" skipped="{}""#,
        verdicts.len(),
        count(Outcome::Failed),
        count(Outcome::Error),
        count(Outcome::Skipped)
    );
    let recipe = Attribute(recipe);
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"{recipe}\" {counts}>\n  <testsuite name=\"expectations\" {counts}>\n"
    );
    for Verdict {
        name,
        place,
        outcome,
        message,
    } in verdicts
    {
        let (name, place, message) = (Attribute(name), Attribute(place), Attribute(message));
        let inside = match outcome {
            Outcome::Passed => format!("<system-out>{message}</system-out>"),
            Outcome::Failed => format!("<failure message=\"{message}\">{place}</failure>"),
            Outcome::Error => format!("<error message=\"{message}\">{place}</error>"),
            Outcome::Skipped => format!("<skipped message=\"{message}\"/>"),
        };
        // Writing to a `String` cannot fail.
        let _ = writeln!(
            xml,
            "    <testcase classname=\"{recipe}\" name=\"{name}\">{inside}</testcase>"
        );
    }
    xml.push_str("  </testsuite>\n</testsuites>\n");
    xml
}

/// Text for an attribute: besides XML's own characters, line breaks would be read as spaces.
struct Attribute<'a>(&'a str);

impl std::fmt::Display for Attribute<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = Escaped(self.0).to_string();
        f.write_str(&text.replace('\n', "&#10;").replace('\r', "&#13;").replace('\t', "&#9;"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(name: &str, outcome: Outcome, message: &str) -> Verdict {
        Verdict {
            name: name.to_owned(),
            place: "recipe.yaml:31:5".to_owned(),
            outcome,
            message: message.to_owned(),
        }
    }

    #[test]
    fn every_outcome_has_its_element() {
        let verdicts = [
            verdict("accuracy of int8 ≥ 0.7", Outcome::Passed, "0.7561"),
            verdict("zip-bytes of int8 < 60000", Outcome::Failed, "79220 is not < 60000"),
            verdict("median-ms", Outcome::Error, "step speed failed"),
            verdict("top5", Outcome::Skipped, "not in this run"),
        ];
        insta::assert_snapshot!(junit("quantization-lab", &verdicts), @r#"
<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="quantization-lab" tests="4" failures="1" errors="1" skipped="1">
  <testsuite name="expectations" tests="4" failures="1" errors="1" skipped="1">
    <testcase classname="quantization-lab" name="accuracy of int8 ≥ 0.7"><system-out>0.7561</system-out></testcase>
    <testcase classname="quantization-lab" name="zip-bytes of int8 &lt; 60000"><failure message="79220 is not &lt; 60000">recipe.yaml:31:5</failure></testcase>
    <testcase classname="quantization-lab" name="median-ms"><error message="step speed failed">recipe.yaml:31:5</error></testcase>
    <testcase classname="quantization-lab" name="top5"><skipped message="not in this run"/></testcase>
  </testsuite>
</testsuites>
"#);
    }

    #[test]
    fn names_cannot_leave_their_attribute() {
        let nasty = [verdict("\"/><x a='1'>&\n\u{1b}[31m", Outcome::Failed, "a < b")];
        insta::assert_snapshot!(junit("<lab>", &nasty), @r#"
<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="&lt;lab&gt;" tests="1" failures="1" errors="0" skipped="0">
  <testsuite name="expectations" tests="1" failures="1" errors="0" skipped="0">
    <testcase classname="&lt;lab&gt;" name="&quot;/&gt;&lt;x a='1'&gt;&amp;&#10;�[31m"><failure message="a &lt; b">recipe.yaml:31:5</failure></testcase>
  </testsuite>
</testsuites>
"#);
    }
}
