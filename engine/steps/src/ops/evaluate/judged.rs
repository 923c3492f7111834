//! The tasks that are judged by the real numbers of the outputs: several labels, numbers, anomalies, pixels, boxes, points, embeddings.

use data::{LoadedDataset, Sample, Targets};
use ir::ops::Function;
use ir::{ElementType, Graph, Op};
use measure::tasks::detection;
use measure::tasks::keypoints::{self, Pose};
use measure::tasks::multilabel::{self, Decision};
use measure::tasks::ranking::{self, Detector};
use measure::tasks::segmentation::{self, PixelCounts};
use measure::{MeasureError, Quality, Task, argmax, tasks};
use runtime::{Executable, Outputs};

use super::heads::{Decoder, Outlet};
use super::{AnomalyScore, Evaluate, points};
use crate::StepError;
use crate::contract::{Context, LabelKind};
use crate::sampling::Feeder;

/// What a task needs samples to be labelled with.
pub(super) fn labels(task: Task) -> LabelKind {
    match task {
        Task::Classification | Task::Anomaly | Task::Similarity => LabelKind::Class,
        Task::Multilabel => LabelKind::Sets,
        Task::Regression | Task::Keypoints => LabelKind::Numbers,
        Task::Segmentation => LabelKind::Masks,
        Task::Detection => LabelKind::Boxes,
    }
}

/// What labels show that a model is for.
pub(super) fn task(labels: LabelKind) -> Task {
    match labels {
        LabelKind::Class => Task::Classification,
        LabelKind::Sets => Task::Multilabel,
        LabelKind::Numbers => Task::Regression,
        LabelKind::Masks => Task::Segmentation,
        LabelKind::Boxes => Task::Detection,
    }
}

/// All that a judgement needs.
pub(super) struct Judge<'a> {
    pub params: &'a Evaluate,
    pub graph: &'a Graph,
    pub executable: &'a Executable,
    pub feeder: &'a Feeder<'a>,
    pub dataset: &'a LoadedDataset,
    pub context: &'a Context<'a>,
    /// Anchors of a detector, `[y, x, height, width]` in shares of the input.
    pub anchors: &'a [[f32; 4]],
}

impl Judge<'_> {
    /// Judges by one of the tasks of this file.
    pub fn quality(&self, task: Task) -> Result<Quality, StepError> {
        let data = &self.dataset.data;
        match (task, &data.targets, &data.labels) {
            (Task::Multilabel, Some(Targets::Sets(bits)), _) => self.multilabel(bits),
            (Task::Regression, Some(Targets::Numbers { names, values }), _) => self.regression(names, values),
            (Task::Segmentation, Some(Targets::Masks(masks)), _) => self.segmentation(masks),
            (Task::Detection, Some(Targets::Boxes(boxes)), _) => self.detection(boxes),
            (Task::Keypoints, Some(Targets::Numbers { names, values }), _) => self.keypoints(names, values),
            (Task::Anomaly, None, Some(labels)) => self.anomaly(labels),
            (Task::Similarity, None, Some(labels)) => self.similarity(labels),
            _ => Err(StepError::Params(format!(
                "the labels do not fit the task {}",
                task.name()
            ))),
        }
    }

    /// The real numbers of all samples, one after the other: those of the first output, or of all where these are `wanted` together.
    fn outputs(&self, wanted: usize, of_what: &str) -> Result<Vec<f32>, StepError> {
        let each: Vec<usize> = (0..self.executable.outputs().len())
            .map(|at| self.feeder.len_of_sample(at))
            .collect();
        let used = match each.first() {
            Some(&first) if first == wanted => 1,
            _ if each.iter().sum::<usize>() == wanted => each.len(),
            _ => {
                let found = each.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ");
                return Err(StepError::Params(format!(
                    "the model gives {found} numbers for a sample, the dataset has {wanted}: {of_what}"
                )));
            }
        };
        let mut all = Vec::with_capacity(wanted * self.feeder.len());
        let read = |_: usize, outputs: &Outputs<'_>| {
            (0..used)
                .flat_map(|at| self.feeder.real_of_sample(at, outputs.get(at)))
                .collect::<Vec<f32>>()
        };
        self.feeder.each(self.context, read, |values| {
            all.extend(values);
            Ok(())
        })?;
        Ok(all)
    }

    fn regression(&self, names: &[String], targets: &[f32]) -> Result<Quality, StepError> {
        let outputs = self.outputs(names.len(), &format!("targets ({})", names.join(", ")))?;
        Ok(tasks::regression::quality(
            targets,
            &outputs,
            names,
            self.executable.arithmetic(),
        )?)
    }

    fn keypoints(&self, names: &[String], targets: &[f32]) -> Result<Quality, StepError> {
        let by = self.params.keypoints.clone().unwrap_or_default();
        let points = points::point_names(&by, names).map_err(StepError::Params)?;
        let (input, output) = (&self.executable.inputs()[0], &self.executable.outputs()[0]);
        let outlet = points::Outlet::of(&by, &output.sample_dims(), points.len(), &input.sample_dims());
        let outlet = outlet.map_err(StepError::Params)?;
        let read = |sample: usize, outputs: &Outputs<'_>| {
            let target = &targets[sample * names.len()..(sample + 1) * names.len()];
            let found = self.feeder.real_of_sample(0, outputs.get(0));
            Pose {
                found: outlet.points(&found, points.len()),
                ..points::truth(&by, &points, target)
            }
        };
        let mut poses = Vec::with_capacity(self.feeder.len());
        self.feeder.each(self.context, read, |pose| {
            poses.push(pose);
            Ok(())
        })?;
        Ok(keypoints::quality(
            &poses,
            &points,
            by.within,
            self.executable.arithmetic(),
        )?)
    }

    fn similarity(&self, labels: &[u32]) -> Result<Quality, StepError> {
        let width = self.feeder.len_of_sample(0);
        if width < 2 {
            let problem = "task: the model gives one number for a sample; an embedding has several";
            return Err(StepError::Params(problem.into()));
        }
        let embeddings = self.outputs(width, "numbers")?;
        Ok(tasks::similarity::quality(
            &embeddings,
            width,
            labels,
            self.executable.arithmetic(),
        )?)
    }

    fn multilabel(&self, bits: &[u8]) -> Result<Quality, StepError> {
        let classes = &self.dataset.data.classes;
        let scores = self.outputs(classes.len(), &format!("classes ({})", classes.join(", ")))?;
        let decision = Decision {
            threshold: self.threshold(0) as f32,
            beta: self.beta(),
        };
        Ok(multilabel::quality(
            bits,
            &scores,
            classes,
            decision,
            self.executable.arithmetic(),
        )?)
    }

    fn anomaly(&self, labels: &[u32]) -> Result<Quality, StepError> {
        let normal = self.normal()?;
        let positive: Vec<bool> = labels.iter().map(|&label| !normal[label as usize]).collect();
        let (input, len) = (self.feeder.elements_of_sample(), self.feeder.len_of_sample(0));
        let score = match self.params.score {
            Some(score) => score,
            None if len == input => AnomalyScore::Mse,
            None => AnomalyScore::Output,
        };
        match score {
            AnomalyScore::Output if len != 1 => {
                let problem = format!(
                    "score: the model gives {len} numbers for a sample of {input}; an anomaly's score is one number, or the error of a reconstruction as large as the sample"
                );
                return Err(StepError::Params(problem));
            }
            AnomalyScore::Mse | AnomalyScore::Mae if len != input => {
                let problem = format!(
                    "score: the model gives {len} numbers for a sample of {input}; a reconstruction is as large as its sample"
                );
                return Err(StepError::Params(problem));
            }
            _ => {}
        }
        if score != AnomalyScore::Output && self.executable.inputs().len() != 1 {
            let count = self.executable.inputs().len();
            let problem = format!(
                "score: the model has {count} inputs, and a reconstruction is of one; use a model that gives a score"
            );
            return Err(StepError::Params(problem));
        }
        let turned = self.turned(score)?;
        let of = |sample: usize, outputs: &Outputs<'_>| -> Result<f32, StepError> {
            let output = self.feeder.real_of_sample(0, outputs.get(0));
            if score == AnomalyScore::Output {
                return Ok(output[0]);
            }
            let output = match turned {
                Some(dims) => models::fit::channels_last(&output, dims),
                None => output,
            };
            let seen = self.feeder.input_of_sample(sample)?;
            let differences = seen.iter().zip(&output).map(|(a, b)| f64::from(a - b));
            let sum: f64 = match score {
                AnomalyScore::Mae => differences.map(f64::abs).sum(),
                _ => differences.map(|difference| difference * difference).sum(),
            };
            Ok((sum / input as f64) as f32)
        };
        let mut scores = Vec::with_capacity(labels.len());
        self.feeder.each(self.context, of, |score| {
            scores.push(score?);
            Ok(())
        })?;
        let by = Detector {
            most: self.params.max_fpr.unwrap_or(0.1),
            threshold: self.params.threshold,
            beta: self.beta(),
        };
        Ok(ranking::quality(&scores, &positive, by, self.executable.arithmetic())?)
    }

    /// The dimensions of a reconstruction whose channels come first where those of the sample come last.
    fn turned(&self, score: AnomalyScore) -> Result<Option<[usize; 3]>, StepError> {
        let seen = self.executable.inputs()[0].sample_dims();
        let given = self.executable.outputs()[0].sample_dims();
        match (seen.as_slice(), given.as_slice()) {
            _ if score == AnomalyScore::Output => Ok(None),
            (seen, given) if seen == given || seen.len() < 2 || given.len() < 2 => Ok(None),
            (&[h, w, c], &[channels, height, width]) if [h, w, c] == [height, width, channels] => Ok(Some([c, h, w])),
            _ => {
                let problem = format!(
                    "score: the model gives {given:?} for a sample of {seen:?}; a reconstruction is shaped like its sample"
                );
                Err(StepError::Params(problem))
            }
        }
    }

    /// Which classes are not unusual.
    fn normal(&self) -> Result<Vec<bool>, StepError> {
        let classes = &self.dataset.data.classes;
        if let Some(named) = &self.params.normal {
            if let Some(name) = named.iter().find(|name| !classes.contains(name)) {
                let problem = format!(
                    "normal: there is no class `{name}`; the classes are {}",
                    classes.join(", ")
                );
                return Err(StepError::Params(problem));
            }
            return Ok(classes.iter().map(|class| named.contains(class)).collect());
        }
        let is_called = |class: &&String| ["normal", "good", "ok"].contains(&class.to_ascii_lowercase().as_str());
        match classes.iter().filter(is_called).count() {
            1 => Ok(classes.iter().map(|class| is_called(&class)).collect()),
            0 if *classes == ["0", "1"] => Ok(vec![true, false]),
            _ => Err(StepError::Params(format!(
                "normal: say which of the classes {} are not unusual, as in [{}]",
                classes.join(", "),
                classes.first().map_or("normal", String::as_str)
            ))),
        }
    }

    fn segmentation(&self, masks: &data::Samples) -> Result<Quality, StepError> {
        let port = &self.executable.outputs()[0];
        let &[height, width] = masks.sample_shape() else {
            return Err(StepError::Params(format!("masks of shape {:?}", masks.sample_shape())));
        };
        let dims = port.sample_dims();
        let size = [height, width];
        let (channels, planar) = match dims[..] {
            [h, w] if [h, w] == size => (1, false),
            [h, w, c] if [h, w] == size => (c, false),
            [c, h, w] if [h, w] == size => (c, true),
            _ => {
                let problem = format!(
                    "the model gives {dims:?} for a sample, its mask is {height}×{width}; set `resize` in the dataset step to the size that the model gives, or let the model end in a resize"
                );
                return Err(StepError::Params(problem));
            }
        };
        let whole = matches!(port.ty.element, ElementType::I32) && channels == 1;
        let known = &self.dataset.data.classes;
        let count = match channels {
            1 if whole => known.len(),
            1 => 2,
            channels => channels,
        };
        if known.len() > count {
            let problem = format!(
                "the model tells {count} classes apart, the masks have pixels of {}",
                known.len()
            );
            return Err(StepError::Params(problem));
        }
        let classes: Vec<String> = (0..count)
            .map(|class| known.get(class).cloned().unwrap_or_else(|| format!("class {class}")))
            .collect();
        let threshold = self.threshold(0) as f32;
        let pixels = height * width;
        let read = |sample: usize, outputs: &Outputs<'_>| -> Result<PixelCounts, StepError> {
            let values = self.feeder.real_of_sample(0, outputs.get(0));
            let number = sample as u64;
            if let Some(class) = values.iter().position(|value| !value.is_finite()) {
                return Err(MeasureError::NotANumber { sample: number, class }.into());
            }
            let predicted = (0..pixels).map(|pixel| {
                if whole {
                    return values[pixel].max(0.0) as usize;
                }
                if channels == 1 {
                    return usize::from(values[pixel] >= threshold);
                }
                if planar {
                    let score = |class: usize| values[class * pixels + pixel];
                    (1..channels).fold(0, |best, class| if score(class) > score(best) { class } else { best })
                } else {
                    argmax(&values[pixel * channels..(pixel + 1) * channels]).unwrap_or(0)
                }
            });
            let predicted: Vec<usize> = predicted.collect();
            let counted = masks.with(sample, |mask| match mask {
                Sample::U8(mask) => PixelCounts::of(number, mask, predicted.iter().copied(), count),
                Sample::F32(_) => PixelCounts::of(number, &[], [], count),
            })?;
            Ok(counted?)
        };
        let mut counts = Vec::with_capacity(self.feeder.len());
        self.feeder.each(self.context, read, |counted| {
            counts.push(counted?);
            Ok(())
        })?;
        Ok(segmentation::quality(&counts, &classes, self.executable.arithmetic())?)
    }

    fn detection(&self, boxes: &[data::Boxes]) -> Result<Quality, StepError> {
        let classes = &self.dataset.data.classes;
        let &[height, width, _] = self.dataset.data.samples.sample_shape() else {
            let shape = self.dataset.data.samples.sample_shape();
            return Err(StepError::Params(format!("samples of shape {shape:?} are no images")));
        };
        let outlet = |(at, port): (usize, &runtime::Port)| Outlet {
            name: port.name.clone(),
            dims: port.sample_dims(),
            probability: is_probability(self.graph, at),
        };
        let outlets: Vec<Outlet> = self.executable.outputs().iter().enumerate().map(outlet).collect();
        let head = self.params.head.clone().unwrap_or_default();
        let anchors = self.anchors.to_vec();
        let decoder =
            Decoder::new(head, &outlets, classes.len(), [height, width], anchors).map_err(StepError::Params)?;
        let read = |sample: usize, outputs: &Outputs<'_>| -> Result<detection::Image, StepError> {
            let values: Vec<Vec<f32>> = (0..outlets.len())
                .map(|at| self.feeder.real_of_sample(at, outputs.get(at)))
                .collect();
            if values.iter().flatten().any(|value| !value.is_finite()) {
                let (sample, class) = (sample as u64, 0);
                return Err(MeasureError::NotANumber { sample, class }.into());
            }
            let data::Boxes { size, objects } = &boxes[sample];
            let object = |object: &data::Boxed| detection::Object {
                class: object.class as usize,
                bounds: object.bounds,
                area: object.area,
                crowd: object.crowd,
            };
            Ok(detection::Image {
                objects: objects.iter().map(object).collect(),
                found: decoder.decode(&values, *size),
            })
        };
        let mut images = Vec::with_capacity(self.feeder.len());
        self.feeder.each(self.context, read, |image| {
            images.push(image?);
            Ok(())
        })?;
        Ok(detection::quality(&images, classes, self.executable.arithmetic())?)
    }

    fn beta(&self) -> f64 {
        self.params.beta.unwrap_or(1.0)
    }

    /// From which score on a class is found: as the recipe says, half behind a sigmoid or softmax, and 0 of logits.
    fn threshold(&self, output: usize) -> f64 {
        self.params
            .threshold
            .unwrap_or_else(|| if is_probability(self.graph, output) { 0.5 } else { 0.0 })
    }
}

/// Whether an output comes from a sigmoid or softmax, so that it lies in 0..1.
pub(super) fn is_probability(graph: &Graph, output: usize) -> bool {
    let mut tensor = graph.outputs()[output];
    while let Some(node) = graph.producer(tensor).map(|id| graph.node(id)) {
        match &node.op {
            Op::Function(Function::Sigmoid | Function::HardSigmoid { .. }) | Op::Softmax(_) => return true,
            Op::Dequantize(_) | Op::Quantize(_) | Op::Reshape(_) | Op::Transpose(_) => tensor = node.inputs[0],
            _ => return false,
        }
    }
    false
}
