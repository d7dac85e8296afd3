//! What operators of two inputs, and of none, have in common as DataFusion plans: no expressions of their own, no order kept, the parts
//! of [`ExecutionPlan`](datafusion::physical_plan::ExecutionPlan) that only hand on what the operator holds.

/// Methods of an `impl ExecutionPlan`: of the operator `$operator`, over its fields `$left` and `$right`, with the fields `properties` and
/// `metrics`. `$again` makes it anew, of itself and two other inputs.
macro_rules! two_inputs {
    ($operator:literal, $left:ident, $right:ident, $again:expr) => {
        fn name(&self) -> &'static str {
            $operator
        }

        fn properties(&self) -> &std::sync::Arc<datafusion::physical_plan::PlanProperties> {
            &self.properties
        }

        fn maintains_input_order(&self) -> Vec<bool> {
            vec![false, false]
        }

        fn children(&self) -> Vec<&std::sync::Arc<dyn datafusion::physical_plan::ExecutionPlan>> {
            vec![&self.$left, &self.$right]
        }

        fn apply_expressions(
            &self,
            _: &mut dyn FnMut(
                &std::sync::Arc<dyn datafusion::physical_expr::PhysicalExpr>,
            ) -> datafusion::error::Result<datafusion::common::tree_node::TreeNodeRecursion>,
        ) -> datafusion::error::Result<datafusion::common::tree_node::TreeNodeRecursion> {
            Ok(datafusion::common::tree_node::TreeNodeRecursion::Continue)
        }

        fn with_new_children(
            self: std::sync::Arc<Self>,
            children: Vec<std::sync::Arc<dyn datafusion::physical_plan::ExecutionPlan>>,
        ) -> datafusion::error::Result<std::sync::Arc<dyn datafusion::physical_plan::ExecutionPlan>> {
            match <[std::sync::Arc<dyn datafusion::physical_plan::ExecutionPlan>; 2]>::try_from(children) {
                Ok([$left, $right]) => {
                    let again: fn(&Self, _, _) -> Self = $again;
                    Ok(std::sync::Arc::new(again(self.as_ref(), $left, $right)))
                }
                Err(_) => datafusion::common::internal_err!("{} has two inputs", $operator),
            }
        }

        fn metrics(&self) -> Option<datafusion::physical_plan::metrics::MetricsSet> {
            Some(self.metrics.clone_inner())
        }
    };
}

/// Methods of an `impl ExecutionPlan` of an operator without inputs, with the field `properties`.
macro_rules! no_input {
    () => {
        fn properties(&self) -> &std::sync::Arc<datafusion::physical_plan::PlanProperties> {
            &self.properties
        }

        fn children(&self) -> Vec<&std::sync::Arc<dyn datafusion::physical_plan::ExecutionPlan>> {
            Vec::new()
        }

        fn apply_expressions(
            &self,
            _: &mut dyn FnMut(
                &std::sync::Arc<dyn datafusion::physical_expr::PhysicalExpr>,
            ) -> datafusion::error::Result<datafusion::common::tree_node::TreeNodeRecursion>,
        ) -> datafusion::error::Result<datafusion::common::tree_node::TreeNodeRecursion> {
            Ok(datafusion::common::tree_node::TreeNodeRecursion::Continue)
        }

        fn with_new_children(
            self: std::sync::Arc<Self>,
            children: Vec<std::sync::Arc<dyn datafusion::physical_plan::ExecutionPlan>>,
        ) -> datafusion::error::Result<std::sync::Arc<dyn datafusion::physical_plan::ExecutionPlan>> {
            match children.as_slice() {
                [] => Ok(self),
                _ => datafusion::common::internal_err!("{} has no input", self.name()),
            }
        }
    };
}

pub(crate) use no_input;
pub(crate) use two_inputs;
