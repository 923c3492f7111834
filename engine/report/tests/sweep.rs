//! Reports of sweeps: what they show of many variants, and how large they may become.

mod common;

use common::{entry, file, input, judged, plain, timed, weighed};
use report::{BestUnder, Question, ReportInput, render};

/// A baseline and `int8` over `k`, `n` and `seed`: more of either is more accurate and larger, seeds differ by a few samples.
fn sweep(ks: usize, ns: usize, seeds: usize) -> ReportInput {
    let mut entries = vec![
        entry("base", &[("model", "base")], judged("d", |sample| sample >= 30)),
        entry("base", &[("model", "base")], weighed(40_000, 36_000)),
    ];
    for k in 1..=ks {
        for n in 1..=ns {
            for seed in 1..=seeds {
                let texts = [k, 10 * n, seed].map(|value| value.to_string());
                let at = [
                    ("model", "int8"),
                    ("k", &*texts[0]),
                    ("n", &*texts[1]),
                    ("seed", &*texts[2]),
                ];
                let name = format!("int8-{}", texts.join("-"));
                let wrong = 100 - 60 * k / ks - 20 * n / ns + 3 * (seed % 3);
                let bytes = (1000 * k + 100 * n) as u64;
                entries.push(entry(&name, &at, judged("d", move |sample| sample >= wrong)));
                entries.push(entry(&name, &at, weighed(bytes, bytes - 50)));
                entries.push(entry(&name, &at, timed(0.001 * k as f64)));
            }
        }
    }
    ReportInput {
        repeat: Some("seed".into()),
        ..input(entries)
    }
}

#[test]
fn a_sweep_shows_what_one_may_choose() {
    let page = file(&sweep(4, 3, 5), "report.md");
    let upto = page.find("## Latency").expect("a section");
    insta::assert_snapshot!(&page[..upto]);
}

#[test]
fn a_thousand_variants_are_a_short_page_and_few_files() {
    for (ks, ns, seeds, files) in [(4, 4, 9, 80), (10, 10, 10, 80)] {
        let input = sweep(ks, ns, seeds);
        let made = render(&input).expect("renders");
        assert!(made.len() <= files, "{} files", made.len());
        let page = made.iter().find(|file| file.name == "report.md").expect("a page");
        assert!(page.bytes.len() < 60_000, "{} bytes", page.bytes.len());
        let table = made.iter().find(|file| file.name == "metrics.csv").expect("a table");
        let rows = String::from_utf8_lossy(&table.bytes).lines().count();
        assert_eq!(rows, ks * ns * seeds + 2);
        let text = String::from_utf8_lossy(&page.bytes);
        for link in text.split("](").skip(1) {
            let target = link.split(')').next().expect("a link ends");
            assert!(made.iter().any(|file| file.name == target), "{target}");
        }
    }
}

#[test]
fn the_best_under_limits_is_found() {
    let asked = |of: &str, bytes, ms, points| {
        Question::BestUnder(BestUnder {
            of: of.into(),
            bytes,
            zip_bytes: None,
            ms,
            points,
        })
    };
    let questions = vec![
        asked("*", Some(3_150), None, None),
        asked("int8", None, Some(0.002), None),
        asked("*", None, None, Some(4.0)),
        asked("*", Some(10), None, None),
    ];
    let page = file(
        &ReportInput {
            questions,
            ..sweep(4, 3, 5)
        },
        "report.md",
    );
    let from = page.find("## Questions").expect("a section");
    let upto = page.find("## Confusion").expect("a section");
    insta::assert_snapshot!(plain(&page[from..upto]), @r#"
## Questions

### Which of all variants is the most accurate within 3,150 bytes?

`int8 k=3 n=10`: 82.47 ± 0.84 %, 3,100 bytes, 3.00 µs. 7 of 13 are within.

| Variant | Accuracy | Bytes | Zip bytes | Median latency |
| --- | ---: | ---: | ---: | ---: |
| `int8 k=3 n=10` | 82.47 ± 0.84 % | 3,100 | 3,050 | 3.00 µs |
| `int8 k=2 n=30` | 82.13 ± 0.84 % | 2,300 | 2,250 | 2.00 µs |
| `int8 k=2 n=20` | 79.80 ± 0.84 % | 2,200 | 2,150 | 2.00 µs |
| `int8 k=2 n=10` | 77.47 ± 0.84 % | 2,100 | 2,050 | 2.00 µs |
| `int8 k=1 n=30` | 77.13 ± 0.84 % | 1,300 | 1,250 | 1.00 µs |

### Which of `int8` is the most accurate within 2.00 µs?

`int8 k=2 n=30`: 82.13 ± 0.84 %, 2,300 bytes, 2.00 µs. 6 of 12 are within.

| Variant | Accuracy | Bytes | Zip bytes | Median latency |
| --- | ---: | ---: | ---: | ---: |
| `int8 k=2 n=30` | 82.13 ± 0.84 % | 2,300 | 2,250 | 2.00 µs |
| `int8 k=2 n=20` | 79.80 ± 0.84 % | 2,200 | 2,150 | 2.00 µs |
| `int8 k=2 n=10` | 77.47 ± 0.84 % | 2,100 | 2,050 | 2.00 µs |
| `int8 k=1 n=30` | 77.13 ± 0.84 % | 1,300 | 1,250 | 1.00 µs |
| `int8 k=1 n=20` | 74.80 ± 0.84 % | 1,200 | 1,150 | 1.00 µs |

### Which of all variants is the smallest within 4 points below the baseline?

`int8 k=3 n=30`: 87.13 ± 0.84 %, 3,300 bytes, 3.00 µs. 5 of 13 are within.

| Variant | Accuracy | Bytes | Zip bytes | Median latency |
| --- | ---: | ---: | ---: | ---: |
| `int8 k=3 n=30` | 87.13 ± 0.84 % | 3,300 | 3,250 | 3.00 µs |
| `int8 k=4 n=10` | 87.47 ± 0.84 % | 4,100 | 4,050 | 4.00 µs |
| `int8 k=4 n=20` | 89.80 ± 0.84 % | 4,200 | 4,150 | 4.00 µs |
| `int8 k=4 n=30` | 92.13 ± 0.84 % | 4,300 | 4,250 | 4.00 µs |
| `base` | 90.00 % | 40,000 | 36,000 |  |

### Which of all variants is the most accurate within 10 bytes?

Not answered: none of 13 is within these limits.
"#);
}

/// The JSON that a page for the browser holds.
fn data(page: &str) -> serde_json::Value {
    let (_, rest) = page.split_once("id=\"data\">").expect("a script with data");
    let (json, _) = rest.split_once("</script>").expect("it ends");
    serde_json::from_str(json).expect("JSON")
}

#[test]
fn the_page_for_a_browser_is_one_file_with_every_variant() {
    let page = file(&sweep(10, 10, 10), "report.html");
    assert!(page.len() < 2_000_000, "{} bytes", page.len());
    // The namespace of SVG is a name, nothing is fetched from there.
    let addresses = page.replace("http://www.w3.org/2000/svg", "").replace("url(#clip)", "");
    for word in ["http:", "https:", "src=", "@import", "url("] {
        assert!(!addresses.contains(word), "{word}");
    }
    let data = data(&page);
    let variants = data["variants"].as_array().expect("variants");
    assert_eq!(variants.len(), 1001);
    assert_eq!(page.matches("<tr data-row").count(), 1001);
    assert_eq!(data["axes"], serde_json::json!(["k", "n", "seed"]));
    assert_eq!(variants[1]["title"], "int8 k=1 n=10 seed=1");
    assert_eq!(variants[1]["outcomes"].as_str().map(str::len), Some(52));
    // Lists that variants have alike stand there once.
    assert_eq!(data["shared"].as_array().map(Vec::len), Some(1));
}

#[test]
fn names_do_not_leave_their_place_in_the_page() {
    let nasty = "</script><script>alert(1)</script>\" onload=\"x";
    let input = ReportInput {
        title: nasty.into(),
        baseline: None,
        ..input(vec![entry(nasty, &[("k", nasty)], judged("d", |sample| sample > 3))])
    };
    let page = file(&input, "report.html");
    let (markup, json) = page.split_once("id=\"data\">").expect("a script with data");
    assert!(
        !markup.contains("alert(1)</script>") && !markup.contains("\" onload"),
        "{markup}"
    );
    assert!(!json.contains("alert(1)</script>"), "{json}");
    assert_eq!(data(&page)["variants"][0]["title"], nasty);
}
