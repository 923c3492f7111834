//! A choice between two tensors, with broadcasting.

use crate::shape::Broadcast;

/// `a` where the condition is not 0, else `b`. `shapes` bring the condition, `a` and `b` to the output, each beside the output itself.
/// Source: `reference_ops::BroadcastSelect5DSlow` (`select.h`).
pub fn select_f32(shapes: &[Broadcast; 3], condition: &[f32], a: &[f32], b: &[f32], output: &mut [f32]) {
    shapes[2].for_each(|to, from| output[to] = b[from]);
    // Where the condition holds, in the order of the output: both walks go through it alike.
    let mut chosen = vec![false; output.len()];
    shapes[0].for_each(|to, from| chosen[to] = condition[from] != 0.0);
    shapes[1].for_each(|to, from| {
        if chosen[to] {
            output[to] = a[from];
        }
    });
}

#[cfg(test)]
mod tests {
    use super::select_f32;
    use crate::shape::Broadcast;

    #[test]
    fn what_is_not_chosen_has_no_effect() {
        let out = [2, 3];
        let shape = |dims: &[usize]| Broadcast::new(&out, dims).unwrap();
        let mut output = [0.0; 6];
        let (a, b) = ([f32::NAN, 2.0, f32::INFINITY], [7.0]);
        let shapes = [shape(&[2, 3]), shape(&[3]), shape(&[1])];
        select_f32(&shapes, &[0.0, 1.0, 0.0, 0.0, -2.0, 0.0], &a, &b, &mut output);
        assert_eq!(output, [7.0, 2.0, 7.0, 7.0, 2.0, 7.0]);
    }
}
