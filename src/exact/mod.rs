//! Sums whose result depends on the rows alone: not on their order, not on what was added and taken out before.
//!
//! Each [`Cell`] holds one sum exactly; rounding happens once, when the total is asked for. So partial sums merge in any
//! order, rows can leave a window without a trace, and an overflow is seen instead of wrapping.
//!
//! [`FloatCell`] keeps a float sum as an expansion of non-overlapping parts (J. R. Shewchuk, "Adaptive Precision
//! Floating-Point Arithmetic", 1997), which is also how Python's `fsum` works. A cell costs O(parts) per value; sums of
//! like magnitudes have one to three parts.

mod fixed;
mod float;
mod integer;
mod order;

use datafusion::arrow::datatypes::ArrowPrimitiveType;

pub use fixed::Scale;
pub use float::FloatCell;
pub use integer::{DecimalCell, IntegerCell, UnsignedCell, ratio};
pub use order::{float_of_order, order_of_float};

/// One exact sum, and how many values it holds.
pub trait Cell: Default + Clone + Send + Sync + std::fmt::Debug + 'static {
    /// The Arrow type of the values.
    type Arrow: ArrowPrimitiveType + std::fmt::Debug;

    fn add(&mut self, value: <Self::Arrow as ArrowPrimitiveType>::Native);
    /// Takes out a value that was added before.
    fn retract(&mut self, value: <Self::Arrow as ArrowPrimitiveType>::Native);
    fn merge(&mut self, other: &Self);
    /// How many values the cell holds.
    fn count(&self) -> i64;
    /// The total; `None` where it does not fit any result type.
    fn total(&self) -> Total;
    /// The total divided by the count, rounded once or twice; `None` for no value.
    fn mean(&self) -> Option<f64>;
    /// Appends the cell's bytes, for partial aggregates.
    fn write(&self, out: &mut Vec<u8>);
    /// Reads what [`Cell::write`] wrote; `None` for anything else.
    fn read(bytes: &[u8]) -> Option<Self>;
}

/// An exact total in the widest type of its kind.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Total {
    Integer(i128),
    Float(f64),
    /// Wider than any integer or decimal there is.
    TooWide,
}

/// Takes a fixed-size prefix off `bytes`.
fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = bytes.split_first_chunk::<N>()?;
    *bytes = tail;
    Some(*head)
}
