//! The worker over the fakes: both commit shapes, every answer, every end.

mod answers;
mod crash;
mod culprits;
mod failures;
mod fakes;
mod inbox;
mod letters;
mod limits;
mod order;
mod ownership;
mod parking;
mod pauses;
mod positions;
mod relay;
mod sagas;
mod schemas;
mod stage;
mod state;
mod timers;
mod units;
mod work;
