//! The integers that activations are stored in.

/// An integer that activations are stored in.
pub trait Integer: Copy + Ord + Into<i32> + Into<i64> + sealed::Sealed {
    /// The lowest one.
    const LOWEST: Self;
    /// The highest one.
    const HIGHEST: Self;

    /// The nearest one.
    fn saturate(x: i32) -> Self;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! integers {
    ($($integer:ty),*) => {
        $(
            impl sealed::Sealed for $integer {}

            impl Integer for $integer {
                const LOWEST: Self = Self::MIN;
                const HIGHEST: Self = Self::MAX;

                fn saturate(x: i32) -> Self {
                    x.clamp(i32::from(Self::MIN), i32::from(Self::MAX)) as Self
                }
            }
        )*
    };
}

integers!(i8, u8, i16);
