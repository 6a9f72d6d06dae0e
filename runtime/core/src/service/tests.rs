use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{HandlerBuilder, Service, ServiceBuilder};
use crate::code::{Code, Coded};
use crate::codec::{Codec, CodecError, Json};
use crate::context::Context;
use crate::event::Event;
use crate::handler::HandlerError;

macro_rules! event {
    ($type:ident, $name:literal, $codec:ty) => {
        #[derive(Serialize, Deserialize)]
        struct $type;

        impl Event for $type {
            const NAME: &'static str = $name;
            const VERSION: u32 = 1;
            const TOPIC: &'static str = "things";
            type Codec = $codec;

            fn key(&self) -> Option<Cow<'_, [u8]>> {
                None
            }
        }
    };
}

event!(Made, "test.made", Json);
event!(Sold, "test.sold", Json);
event!(Misfit, "test.misfit", Broken);

/// A codec whose schema does not fit.
struct Broken;

impl Codec<Misfit> for Broken {
    const CONTENT_TYPE: &'static str = "application/broken";

    fn open() -> Result<Self, Coded> {
        Err(Coded::new(Code::SCHEMA_MISMATCH, "field size cannot be read"))
    }

    fn encode(&self, _: &Misfit, _: &mut Vec<u8>) -> Result<(), CodecError> {
        unreachable!("it cannot be opened")
    }

    fn decode(&self, _: &bytes::Bytes) -> Result<Misfit, CodecError> {
        unreachable!("it cannot be opened")
    }
}

async fn made(_: &Made, _: &mut Context<'_>) -> Result<(), HandlerError> {
    Ok(())
}

async fn sold(_: &Sold, _: &mut Context<'_>) -> Result<(), HandlerError> {
    Ok(())
}

async fn misfit(_: &Misfit, _: &mut Context<'_>) -> Result<(), HandlerError> {
    Ok(())
}

fn refused(service: ServiceBuilder) -> Coded {
    let Err(error) = service.build() else { panic!("it contradicts itself") };
    error
}

#[test]
fn what_contradicts_itself_is_refused_by_name() {
    let cases = [
        (Service::builder("shop"), "no handler"),
        (Service::builder("Shop").on::<Made>("a", made), "\"Shop\""),
        (Service::builder("").on::<Made>("a", made), "1 to 200"),
        (Service::builder("shop").on::<Made>("a".repeat(201), made), "1 to 200"),
        (Service::builder("shop").on::<Made>("a b", made), "\"a b\""),
        (Service::builder("shop").on::<Made>("a", made).on::<Sold>("a", sold), "two handlers called a"),
        (Service::builder("shop").on::<Made>("a", made).on::<Made>("b", made), "test.made in things has two handlers"),
        (Service::builder("shop").handler("a", made, |handler| handler), "takes no event"),
        (Service::builder("shop").on::<Made>("a", made).ignore_unknown("elsewhere"), "does not read elsewhere"),
    ];
    for (service, expected) in cases {
        let error = refused(service);
        assert_eq!(error.code, Code::BAD_SERVICE);
        assert!(error.message.contains(expected), "{error}");
    }
}

#[test]
fn a_codec_that_does_not_fit_is_told_when_the_service_is_built() {
    for service in [
        Service::builder("shop").on::<Misfit>("a", misfit),
        Service::builder("shop").on::<Made>("a", made).emits::<Misfit>(),
    ] {
        assert_eq!(refused(service).code, Code::SCHEMA_MISMATCH);
    }
}

#[test]
fn a_record_goes_the_way_of_its_type() {
    let one = Service::builder("shop").on::<Made>("a", made).build().expect("a sound service");
    let two = Service::builder("shop").on::<Made>("a", made).on::<Sold>("b", sold).build().expect("a sound service");
    let handler = |service: &Service, event: Option<&[u8]>| {
        service.way(0, event).map(|way| service.handlers[service.route(way).handler].name.to_string())
    };
    assert_eq!(handler(&two, Some(b"test.sold")).as_deref(), Some("b"));
    assert_eq!(handler(&two, Some(b"test.other")), None);
    assert_eq!(handler(&two, None), None, "either could be meant");
    assert_eq!(handler(&one, None).as_deref(), Some("a"), "the topic's only event");
    assert_eq!(handler(&one, Some(b"test.sold")), None, "a type that is named is not another");
}

#[test]
fn one_topic_has_one_place_among_the_outputs() {
    let service = Service::builder("shop")
        .handler("a", made, HandlerBuilder::on::<Made>)
        .emits::<Made>()
        .emits::<Sold>()
        .emits_to("raw")
        .emits_to("things")
        .build()
        .expect("a sound service");
    let topics: Vec<&str> = service.output_topics().map(|topic| &**topic).collect();
    assert_eq!(topics, ["things", "raw", "shop.dead-letters", "shop.operations", "shop.journal"]);
    assert_eq!(service.emitted::<Sold>().map(|(_, topic)| topic), Some(0));
}
