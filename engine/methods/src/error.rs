//! Why a method cannot do what was asked.

/// Why a method cannot do what was asked.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum MethodError {
    /// A share of weights that is no share, or leaves nothing.
    #[error("sparsity: {0} is not in 0..1; at 1 no weight would be left")]
    Sparsity(f64),
    /// An N:M pattern that keeps nothing or everything.
    #[error("pattern {keep}:{of}: of each {of} weights between 1 and {} can be kept", of.saturating_sub(1))]
    Pattern {
        /// How many weights stay.
        keep: usize,
        /// Of how many.
        of: usize,
    },
    /// Blocks of no or too many weights.
    #[error("block: {0} weights; blocks have 2 to 64")]
    Block(usize),
    /// Too few clusters to say anything.
    #[error("clusters: {0}; at least 2 are needed, and at most 256")]
    Clusters(usize),
    /// A layer whose weights are not numbers.
    #[error("layer `{layer}`: holds a weight that is infinite or not a number; the training that made it diverged")]
    NotFinite {
        /// The layer.
        layer: String,
    },
    /// A matrix that is not positive definite.
    #[error("the Hessian is not positive definite at column {column}; raise the damping")]
    NotPositive {
        /// Where the factorization stopped.
        column: usize,
    },
    /// A budget that no choice of channels meets.
    #[error("{:.1} % of the network cannot be reached: with all groups at their narrowest {:.1} % are left; exclude fewer layers, or lower `multiple`", 100.0 * share, 100.0 * least)]
    Budget {
        /// The share that was wanted.
        share: f64,
        /// What the narrowest network has.
        least: f64,
    },
    /// A pattern of names that fits nothing.
    #[error("{key}: `{pattern}` matches no layer with weights; there are {known}")]
    NoSuchLayer {
        /// The parameter that holds the pattern.
        key: String,
        /// The pattern.
        pattern: String,
        /// The layers that there are.
        known: String,
    },
    /// A network without weights that a method could change.
    #[error("the model has no layer with float weights")]
    NoLayers,
    /// Patterns that leave no layer.
    #[error("exclude: every layer is excluded; nothing is left to do")]
    AllExcluded,
    /// A change that the graph does not accept.
    #[error(transparent)]
    Graph(#[from] ir::GraphError),
}
