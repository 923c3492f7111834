//! Groups of layers that follow each other: a list of stages, each so many times.

use recipe::yaml::{Key, Node, Yaml};

use super::{GROUP_KEYS, LAYER_KEYS, Parser, is_pattern};
use crate::tree::{Block, Blocks};

impl Parser {
    pub(super) fn blocks(&mut self, name: &str, node: &Node, entries: &[(Key, Node)]) -> Blocks {
        let known: Vec<&str> = LAYER_KEYS
            .iter()
            .chain(&GROUP_KEYS)
            .copied()
            .filter(|k| *k != "layers")
            .collect();
        self.keys(name, entries, &known);
        let get = |name: &str| entries.iter().find(|(key, _)| key.name == name).map(|(_, node)| node);
        let names = match get("names") {
            None => "{index}".to_owned(),
            Some(node) => {
                if let Some(text) = node.as_str().filter(|text| is_pattern(text)) {
                    text.to_owned()
                } else {
                    let message = format!("names: {} does not tell blocks apart", node.found());
                    let help = "use `{index}`, or `{stage}` and `{block}`, as in \"xif{stage}_{block}\"";
                    self.complain(node, message, Some(help.into()));
                    String::new()
                }
            }
        };
        let first = match get("first") {
            None => 0,
            Some(node) => {
                if let Some(number) = node.plain().as_u64().filter(|&n| n < 1 << 20) {
                    number as usize
                } else {
                    let message = format!("first: {} is not a number to count from", node.found());
                    self.complain(node, message, None);
                    0
                }
            }
        };
        let stages = if let Yaml::List(stages) = &node.value {
            stages.iter().map(|stage| self.stage(stage)).collect()
        } else {
            let message = format!("blocks: {} is not a list of blocks", node.found());
            let help = "a block is written `[module, out, stride, repeat, { … }]`";
            self.complain(node, message, Some(help.into()));
            Vec::new()
        };
        Blocks {
            names,
            first,
            defaults: get("defaults")
                .map(|node| self.entries("defaults", node))
                .unwrap_or_default(),
            stages,
        }
    }

    /// A block, or a list of blocks.
    fn stage(&mut self, node: &Node) -> Vec<Block> {
        match &node.value {
            Yaml::List(items) if items.iter().all(|item| matches!(item.value, Yaml::List(_))) => {
                items.iter().filter_map(|item| self.block(item)).collect()
            }
            _ => self.block(node).into_iter().collect(),
        }
    }

    pub(super) fn block(&mut self, node: &Node) -> Option<Block> {
        let wrong = |parser: &mut Self, node: &Node| {
            let message = format!("{} is not a block", node.found());
            let help = "a block is written `[module, out, stride, repeat, { more params }]`; what follows `module` may be left out";
            parser.complain(node, message, Some(help.into()));
            None
        };
        let items: &[Node] = match &node.value {
            Yaml::List(items) => items,
            Yaml::String(_) => std::slice::from_ref(node),
            _ => return wrong(self, node),
        };
        let (params, positions) = match items.split_last() {
            Some((last, rest)) if matches!(last.value, Yaml::Map(_)) => (self.entries("block", last), rest),
            _ => (Vec::new(), items),
        };
        let [module, numbers @ ..] = positions else {
            return wrong(self, node);
        };
        let Some(name) = module.as_str().filter(|_| numbers.len() <= 3) else {
            return wrong(self, node);
        };
        Some(Block {
            module: self.known(name, &module.place)?,
            place: module.place.clone(),
            out: numbers.first().cloned(),
            stride: numbers.get(1).cloned(),
            repeat: numbers.get(2).cloned(),
            params,
        })
    }
}
