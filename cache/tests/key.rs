//! Keys: what they depend on, what they do not, and that they are the digests the Remote Execution API defines.

use std::collections::BTreeMap;

use cache::{Action, BlobRef, Digest, compare, content_of};
use proptest::collection::btree_map;
use proptest::option;
use proptest::prelude::*;

/// Few distinct values, so that equal fields are as common as different ones; with the characters that could run together.
fn word() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["", "a", "b", "ab", "a/b", "a%2Fb", ".", "é", "1"]).prop_map(str::to_owned)
}

fn blob() -> impl Strategy<Value = BlobRef> {
    word().prop_map(|word| BlobRef::of(word.as_bytes()))
}

fn action() -> impl Strategy<Value = Action> {
    let params = prop::sample::select(vec!["{}", r#"{"a":1}"#, r#"{"a":1.0}"#, r#"{"a":{"b":1}}"#, "a"]);
    let (inputs, environment) = (btree_map(word(), blob(), 0..3), btree_map(word(), word(), 0..3));
    (word(), 0..2u32, params, inputs, environment, option::of(word())).prop_map(
        |(op, revision, params, inputs, environment, host)| {
            let params = params.to_owned();
            Action {
                op,
                revision,
                params,
                inputs,
                environment,
                host,
            }
        },
    )
}

/// An action that shares most fields with the first.
fn relative(of: &Action, other: Action, take: [bool; 6]) -> Action {
    let Action {
        op,
        revision,
        params,
        inputs,
        environment,
        host,
    } = other;
    let mut new = of.clone();
    if take[0] {
        new.op = op;
    }
    if take[1] {
        new.revision = revision;
    }
    if take[2] {
        new.params = params;
    }
    if take[3] {
        new.inputs = inputs;
    }
    if take[4] {
        new.environment = environment;
    }
    if take[5] {
        new.host = host;
    }
    new
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn keys_are_equal_exactly_if_actions_are(a in action(), b in action(), take in any::<[bool; 6]>()) {
        let b = relative(&a, b, take);
        prop_assert_eq!(a.key() == b.key(), a == b);
    }

    #[test]
    fn there_is_a_reason_exactly_if_keys_differ(a in action(), b in action(), take in any::<[bool; 6]>()) {
        let b = relative(&a, b, take);
        prop_assert_eq!(compare(&a, &b).is_empty(), a.key() == b.key(), "{:?}", compare(&a, &b));
    }

    #[test]
    fn the_order_in_which_inputs_were_added_does_not_matter(
        entries in btree_map(word(), blob(), 0..9).prop_map(Vec::from_iter).prop_shuffle(),
        a in action(),
    ) {
        let sorted = BTreeMap::from_iter(entries.clone());
        let mut inputs = BTreeMap::new();
        inputs.extend(entries.into_iter().rev());
        prop_assert_eq!(Action { inputs, ..a.clone() }.key(), Action { inputs: sorted, ..a }.key());
    }

    #[test]
    fn actions_survive_json(a in action()) {
        let json = serde_json::to_string(&a).expect("an action is JSON");
        prop_assert_eq!(serde_json::from_str::<Action>(&json).expect("what was written").key(), a.key());
    }
}

fn example() -> Action {
    let model = content_of(
        "model",
        &BTreeMap::from([
            ("weights".to_owned(), BlobRef::of(b"")),
            ("graph".to_owned(), BlobRef::of(b"graph")),
        ]),
    );
    Action {
        op: "quantize".to_owned(),
        revision: 7,
        params: r#"{"scheme":"int8"}"#.to_owned(),
        inputs: BTreeMap::from([
            ("model".to_owned(), model),
            ("compare/quality[model=int8]".to_owned(), model),
        ]),
        environment: BTreeMap::from([("B".to_owned(), String::new()), ("A".to_owned(), "1".to_owned())]),
        host: None,
    }
}

/// The expected digests were computed with Google's protobuf runtime (Python, 7.36.2, deterministic serialization) from
/// the field numbers of `remote_execution.proto`. They must never change: every cache in use would miss.
#[test]
fn keys_are_the_digests_of_canonical_remote_execution_messages() {
    let action = example();
    insta::assert_snapshot!(action.inputs["model"], @"2e087bc5859b497e4e8f2444d4d74e801ca26d907611a0c1e29ea5cd6ad85305/158");
    insta::assert_snapshot!(action.key(), @"97fa9ba717421e929bb0ed2fb1589f03b6996254634010d03298d31fc849e0bc");
    let hosted = Action {
        host: Some("bench-1".to_owned()),
        ..action
    };
    insta::assert_snapshot!(hosted.key(), @"f0f3a935fa43e68196cf25701f944cd9cd06c8317b75dcc71a17d57c8dcd280d");
    assert!(!hosted.shareable());
}

#[test]
fn the_encoded_action_refers_to_its_parts_by_digest() {
    let encoded = example().encode();
    for part in [&encoded.command, &encoded.input_root] {
        let hex = Digest::of(part).to_string();
        assert!(encoded.action.windows(64).any(|window| window == hex.as_bytes()));
    }
}

// Mistakes that other caches made.

#[test]
fn a_param_named_like_an_output_or_a_field_stays_in_the_key() {
    let with = |params: &str| {
        Action {
            params: params.to_owned(),
            ..example()
        }
        .key()
    };
    assert_ne!(
        with(r#"{"blobs":1,"op":"x","out":"a"}"#),
        with(r#"{"blobs":1,"op":"x","out":"b"}"#)
    );
    assert_ne!(with(r#"{"blobs":1,"op":"x"}"#), with(r#"{"blobs":2,"op":"x"}"#));
}

#[test]
fn inputs_that_swap_their_roles_make_another_key() {
    let (a, b) = (BlobRef::of(b"a"), BlobRef::of(b"b"));
    let with = |teacher, student| {
        let inputs = BTreeMap::from([("teacher".to_owned(), teacher), ("student".to_owned(), student)]);
        Action { inputs, ..example() }.key()
    };
    assert_ne!(with(a, b), with(b, a));
}

#[test]
fn data_that_changes_under_the_same_name_makes_another_key() {
    let with = |data: &[u8]| {
        let inputs = BTreeMap::from([("data".to_owned(), BlobRef::of(data))]);
        Action { inputs, ..example() }.key()
    };
    assert_ne!(with(b"yesterday's archive"), with(b"today's archive"));
}

#[test]
fn a_value_that_moves_from_the_environment_to_the_host_makes_another_key() {
    let environment = BTreeMap::from([("host".to_owned(), "x".to_owned())]);
    let declared = Action {
        environment,
        ..example()
    };
    let hosted = Action {
        environment: BTreeMap::new(),
        host: Some("x".to_owned()),
        ..example()
    };
    assert_ne!(declared.key(), hosted.key());
}

#[test]
fn keys_are_whole_digests() {
    assert_eq!(example().key().to_string().len(), 64);
}
