//! The ops of the recipe language: each in a file or folder named after its key.

pub mod auto;
pub mod benchmark;
pub mod calibrate;
pub mod cluster;
pub mod compress;
pub mod correct_bias;
pub mod dataset;
pub mod distill;
pub mod equalize;
pub mod evaluate;
pub mod export;
pub mod external;
pub mod finetune;
pub mod fold;
pub mod head;
pub mod import;
pub mod initialize;
pub mod prune;
pub mod qat;
pub mod quantize;
pub mod reestimate_bn;
pub mod report;
pub mod sensitivity;
pub mod shrink;
pub mod subnet;
pub mod train;
pub mod verify;

use std::sync::OnceLock;

use crate::contract::Registered;

/// Every op, in the order in which the reference lists them.
pub fn registry() -> &'static [Registered] {
    static REGISTRY: OnceLock<Vec<Registered>> = OnceLock::new();
    REGISTRY.get_or_init(|| {
        vec![
            Registered::of::<import::ImportOp>(),
            Registered::of::<initialize::InitializeOp>(),
            Registered::of::<dataset::DatasetOp>(),
            Registered::of::<fold::FoldOp>(),
            Registered::of::<prune::PruneOp>(),
            Registered::of::<shrink::ShrinkOp>(),
            Registered::of::<subnet::SubnetOp>(),
            Registered::of::<cluster::ClusterOp>(),
            Registered::of::<head::HeadOp>(),
            Registered::of::<train::TrainOp>(),
            Registered::of::<finetune::FinetuneOp>(),
            Registered::of::<distill::DistillOp>(),
            Registered::of::<qat::QatOp>(),
            Registered::of::<equalize::EqualizeOp>(),
            Registered::of::<calibrate::CalibrateOp>(),
            Registered::of::<quantize::QuantizeOp>(),
            Registered::of::<sensitivity::SensitivityOp>(),
            Registered::of::<auto::AutoOp>(),
            Registered::of::<correct_bias::CorrectBiasOp>(),
            Registered::of::<reestimate_bn::ReestimateBnOp>(),
            Registered::of::<export::ExportOp>(),
            Registered::of::<compress::CompressOp>(),
            Registered::of::<verify::VerifyOp>(),
            Registered::of::<evaluate::EvaluateOp>(),
            Registered::of::<external::ExternalOp>(),
            Registered::of::<benchmark::BenchmarkOp>(),
            Registered::of::<report::ReportOp>(),
        ]
    })
}

/// The op of that name.
pub fn find(name: &str) -> Option<&'static Registered> {
    registry().iter().find(|op| op.spec.name == name)
}

/// What recipes and editors need to know of every op.
pub fn specs() -> Vec<recipe::OpSpec> {
    registry().iter().map(|op| op.spec.clone()).collect()
}

#[cfg(test)]
mod tests {
    use recipe::Overrides;

    #[test]
    fn recipes_are_checked_against_every_keyword_of_every_schema() {
        for spec in super::specs() {
            assert_eq!(spec.unchecked_keywords(), Vec::<String>::new(), "{}", spec.name);
        }
    }

    #[test]
    fn every_example_is_a_step_that_passes_the_checks() {
        // The steps and sources that the examples name.
        let around =
            "schema: pipeline/v1\nname: example\nsources:\n  weights: { file: w }\n  cifar: { file: c }\nsteps:\n";
        let others = [
            ("base", "{ import: { from: weights } }"),
            ("test", "{ dataset: { source: cifar, split: test } }"),
            ("train", "{ dataset: { source: cifar, split: train } }"),
            ("ranges", "{ calibrate: { model: base, data: train, count: 500 } }"),
            ("int8", "{ quantize: { model: base, ranges: ranges, scheme: int8 } }"),
            ("tflite", "{ export: { model: int8 } }"),
            ("quality", "{ evaluate: { model: base, data: test } }"),
            ("speed", "{ benchmark: { model: tflite } }"),
        ];
        for spec in super::specs() {
            let name = spec.example.split(':').next().unwrap();
            let others = others.iter().filter(|(other, _)| *other != name);
            let others: Vec<String> = others.map(|(other, step)| format!("  {other}: {step}")).collect();
            let text = format!("{around}  {}\n{}\n", spec.example, others.join("\n"));
            if let Err(complaints) =
                recipe::load("example.yaml", text.as_bytes(), &super::specs(), &Overrides::default())
            {
                panic!("{}: {}", spec.name, complaints[0]);
            }
        }
    }

    #[test]
    fn a_model_chosen_by_its_latency_holds_on_one_machine() {
        let measures = |op: &str, params: serde_json::Value| {
            let op = super::find(op).unwrap();
            op.measures_machine(&op.complete(&params, &["model", "data"]).unwrap())
        };
        assert!(measures("benchmark", serde_json::json!({ "runs": 5 })));
        assert!(measures("auto", serde_json::json!({ "drop": 0.01, "latency": 5 })));
        assert!(!measures("auto", serde_json::json!({ "drop": 0.01, "bytes": 5000 })));
    }

    #[test]
    fn parameters_are_completed_with_their_defaults_and_without_ports() {
        let op = super::find("calibrate").unwrap();
        let complete = op
            .complete(&serde_json::json!({ "count": 5 }), &["model", "data"])
            .unwrap();
        insta::assert_snapshot!(complete, @r#"{"method":"minmax","count":5,"stratified":true,"seed":0,"percentile":99.99,"momentum":0.99}"#);
        let both = op.complete(&serde_json::json!({ "count": 5, "fraction": 0.5 }), &[]);
        assert_eq!(both.unwrap_err(), "count and fraction exclude each other: keep one");
    }
}
