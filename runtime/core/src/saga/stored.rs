//! Whether a build can go on with the instances that are stored, found out when a shard is loaded.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::books::each;
use crate::code::{Code, Coded};
use crate::ports::{Entry, KeyRange, UnitTransaction};
use crate::saga::{About, instance};
use crate::state::{Scope, entry_suffix};
use crate::worker::Env;

/// The map of what each saga of a shard was like when its instances were looked through last.
pub(crate) const SHAPES: &str = "sagas";

/// What is to be written so that instances are not looked through again before their saga is another one.
pub(crate) type Shapes = Vec<(Bytes, Bytes)>;

/// Looks through the instances of each saga that is not as it was when they were looked through last.
pub(crate) async fn look_through(
    env: &Env,
    shard: u32,
    mut transaction: Option<&mut Box<dyn UnitTransaction>>,
    before: &BTreeMap<Bytes, Bytes>,
) -> Result<Shapes, Coded> {
    let mut shapes = Shapes::new();
    for handler in &env.service.handlers {
        let Some(saga) = &handler.saga else { continue };
        if before.get(handler.name.as_bytes()).is_some_and(|shape| *shape == saga.shape.as_bytes()) {
            continue;
        }
        let (range, mut wrong) = (KeyRange::prefix(Scope::handler(&handler.name).into_bytes()), Wrong::default());
        let look = |entry: &Entry| {
            wrong.look(saga, entry);
            Ok(())
        };
        each(env, shard, transaction.as_deref_mut(), range, look).await?;
        if wrong.count > 0 {
            let (name, service) = (&handler.name, env.service.name());
            let message = format!(
                "saga {name} of service {service} cannot go on with {} of its instances in shard {shard}: {}; run the build before until \
                 they have ended, or say how this one reads them",
                wrong.count, wrong.why
            );
            return Err(Coded::new(Code::STATE_UNREADABLE, message));
        }
        let shape = Bytes::copy_from_slice(saga.shape.as_bytes());
        shapes.push((entry_suffix(SHAPES, handler.name.as_bytes()), shape));
    }
    Ok(shapes)
}

/// Instances that a build cannot go on with, and why it cannot with the first.
#[derive(Default)]
struct Wrong {
    count: u64,
    why: String,
}

impl Wrong {
    fn look(&mut self, saga: &About, entry: &Entry) {
        let Some((_, _, read)) = instance(entry) else { return };
        let why = match read {
            Ok(instance) => (saga.check)(&instance),
            Err(error) => Err(error.to_string()),
        };
        if let Err(why) = why {
            self.count += 1;
            if self.count == 1 {
                self.why = why;
            }
        }
    }
}
