//! What operators of two inputs, of one, and of none have in common as DataFusion plans: no expressions of their own, the parts of
//! [`ExecutionPlan`](datafusion::physical_plan::ExecutionPlan) that only hand on what the operator holds. Two inputs keep no order;
//! one is handed on as it comes.

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

/// Methods of an `impl ExecutionPlan`: of the operator `$operator`, which hands on the rows of its field `$input` as they come. `$again` makes
/// it anew, of itself and another input.
macro_rules! one_input {
    ($operator:literal, $input:ident, $again:expr) => {
        fn name(&self) -> &'static str {
            $operator
        }

        fn properties(&self) -> &std::sync::Arc<datafusion::physical_plan::PlanProperties> {
            self.$input.properties()
        }

        fn maintains_input_order(&self) -> Vec<bool> {
            vec![true]
        }

        fn benefits_from_input_partitioning(&self) -> Vec<bool> {
            vec![false]
        }

        fn children(&self) -> Vec<&std::sync::Arc<dyn datafusion::physical_plan::ExecutionPlan>> {
            vec![&self.$input]
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
            match <[std::sync::Arc<dyn datafusion::physical_plan::ExecutionPlan>; 1]>::try_from(children) {
                Ok([$input]) => {
                    let again: fn(&Self, _) -> Self = $again;
                    Ok(std::sync::Arc::new(again(self.as_ref(), $input)))
                }
                Err(_) => datafusion::common::internal_err!("{} has one input", $operator),
            }
        }

        fn child_stats_requests(
            &self,
            partition: Option<usize>,
        ) -> Vec<datafusion::physical_plan::statistics::ChildStats> {
            vec![datafusion::physical_plan::statistics::ChildStats::At(partition)]
        }

        fn statistics_from_inputs(
            &self,
            inputs: &[std::sync::Arc<datafusion::common::Statistics>],
            _: &datafusion::physical_plan::statistics::StatisticsArgs,
        ) -> datafusion::error::Result<std::sync::Arc<datafusion::common::Statistics>> {
            let own = inputs.first().cloned();
            own.ok_or_else(|| datafusion::common::internal_datafusion_err!("{} has one input", $operator))
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
pub(crate) use one_input;
pub(crate) use two_inputs;
