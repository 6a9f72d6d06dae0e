use tidemill::code::Code;

use super::named;
use crate::options::Luck;

fn names(wanted: &[&str]) -> Result<Vec<String>, Code> {
    let wanted: Vec<String> = wanted.iter().map(ToString::to_string).collect();
    let services = named(&wanted, Luck::default()).map_err(|error| error.code)?;
    Ok(services.iter().map(|service| service.name().to_string()).collect())
}

#[test]
fn a_part_of_the_shop_can_be_chosen() {
    assert_eq!(
        names(&[]),
        Ok(["orders", "inventory", "sales", "payments", "shipping", "checkout"].map(Into::into).into())
    );
    assert_eq!(names(&["sales", "orders", "sales"]), Ok(vec!["orders".into(), "sales".into()]));
}

#[test]
fn an_unknown_name_is_refused_with_those_that_exist() {
    let error = named(&["orders".into(), "warehouse".into()], Luck::default()).err().expect("no such service");
    assert_eq!(error.code, Code::UNKNOWN_NAME);
    assert!(error.message.contains("warehouse") && error.message.contains("inventory"), "{}", error.message);
}

#[test]
fn every_service_fits_together() {
    for service in super::all(Luck::default()) {
        service.build().expect("schemas and declarations agree");
    }
}
