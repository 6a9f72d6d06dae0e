use tidemill_core::code::Code;

use crate::config::Configuration;
use crate::host::Host;

fn opened(settings: &[(&str, &str)]) -> Result<Host, String> {
    let with = |configuration: Configuration, (key, value): &(&str, &str)| configuration.with(key, value);
    let configuration = settings.iter().try_fold(Configuration::default(), with).expect("right settings");
    Host::open(configuration).map_err(|error| {
        assert_eq!(error.code, Code::BAD_VALUE);
        error.message
    })
}

#[test]
fn a_registry_is_there_where_it_is_configured() {
    assert!(opened(&[]).expect("a host").schemas.is_none());
    assert!(opened(&[("registry.url", "none")]).expect("a host").schemas.is_none());
    assert!(opened(&[("registry.url", "http://registry:8081")]).expect("a host").schemas.is_some());
}

#[test]
fn a_name_and_a_password_come_together_and_not_in_the_open() {
    let url = ("registry.url", "http://registry:8081");
    let (user, password) = (("registry.user", "orders"), ("registry.password", "wonder"));
    let allowed = ("registry.allow_plaintext_password", "true");
    let refused = opened(&[url, user]).err().expect("there is no password");
    assert_eq!(refused, "registry.user is set, and registry.password is not; give both or none");
    let refused = opened(&[url, password]).err().expect("there is no name");
    assert_eq!(refused, "registry.password is set, and registry.user is not; give both or none");
    let refused = opened(&[url, user, password]).err().expect("it can be read on the way");
    assert!(refused.contains("registry.allow_plaintext_password") && !refused.contains("wonder"), "{refused}");
    assert!(opened(&[url, user, password, allowed]).expect("a host").schemas.is_some());
    assert!(opened(&[("registry.url", "https://registry"), user, password]).expect("a host").schemas.is_some());
}
