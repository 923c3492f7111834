//! `pipeline inspect --target`: what a small device's runtime asks for, as text.

use models::tflm::{Account, Border, Lack, Used};

use crate::table::{Align, Table};
use crate::units;

/// Arena, borders, operators with the code that registers them, and what the runtime lacks.
pub fn text(account: &Account) -> String {
    let Account {
        arena,
        operators,
        lacking,
        inputs,
        outputs,
    } = account;
    let mut text = format!(
        "TensorFlow Lite Micro\narena {} bytes for activations and scratch buffers of the reference kernels;\n      \
         what the runtime keeps behind them depends on the device (docs/microcontrollers.md)\n",
        units::grouped(arena.bytes as u64)
    );
    for (word, borders) in [("in ", inputs), ("out", outputs)] {
        text.extend(borders.iter().map(|border| format!("{word} {}\n", line(border))));
    }
    let mut largest: Vec<_> = arena.buffers.iter().collect();
    largest.sort_by_key(|buffer| std::cmp::Reverse(buffer.bytes));
    let mut table = Table::new([
        ("Largest buffers", Align::Left),
        ("Bytes", Align::Right),
        ("Offset", Align::Right),
        ("Alive in steps", Align::Right),
    ]);
    for buffer in largest.into_iter().take(LISTED) {
        table.row([
            short(&buffer.name),
            units::grouped(buffer.bytes as u64),
            units::grouped(buffer.offset as u64),
            format!("{}–{}", buffer.first, buffer.last),
        ]);
    }
    text += &format!("\n{}", table.render());
    let mut table = Table::new([
        ("Operator", Align::Left),
        ("Times", Align::Right),
        ("Resolver", Align::Left),
    ]);
    for Used { name, method, count } in operators {
        table.row([name.clone(), count.to_string(), format!("{method}()")]);
    }
    text += &format!("\n{}", table.render());
    if lacking.is_empty() {
        return text + "\n" + &account.resolver();
    }
    text += "\nIt would not run:\n";
    for Lack { name, output, why, fix } in lacking {
        text += &format!("  {name} that makes `{output}`: {why}; {fix}\n");
    }
    text
}

/// A name, of a long one both ends: converters join the names of all that they merged.
fn short(name: &str) -> String {
    const END: usize = 20;
    let letters: Vec<char> = name.chars().collect();
    if letters.len() <= 2 * END + 1 {
        return name.to_owned();
    }
    let (head, tail) = (&letters[..END], &letters[letters.len() - END..]);
    head.iter().chain(&['…']).chain(tail).collect()
}

/// How many buffers are listed.
const LISTED: usize = 5;

/// `x i8[1,32,32,3], 0.0235·(q+128)`.
fn line(border: &Border) -> String {
    let sides: Vec<String> = border.shape.iter().map(ToString::to_string).collect();
    let formula = border.scale.zip(border.zero_point).map(|(scale, zero)| match zero {
        0 => format!(", {scale}·q"),
        zero if zero < 0 => format!(", {scale}·(q+{})", zero.unsigned_abs()),
        zero => format!(", {scale}·(q-{zero})"),
    });
    format!(
        "{} {}[{}]{}",
        border.name,
        border.element,
        sides.join(","),
        formula.unwrap_or_default()
    )
}
