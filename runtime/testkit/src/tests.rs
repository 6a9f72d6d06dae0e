//! The worker over the fakes: both commit shapes, every answer, every end.

mod answers;
mod crash;
mod failures;
mod limits;
mod order;
mod ownership;
mod stage;
mod units;
mod work;
