use super::*;

#[test]
fn what_is_not_allowed_names_the_command_that_allows_it() {
    let mut settings = Settings { brokers: "k1:9092".to_owned(), ..Settings::default() };
    let denied = Access::Read("orders").denied(&settings);
    assert_eq!(denied.code, Code::NOT_AUTHORISED);
    assert_eq!(
        denied.message,
        "this client may not read topic orders; it is allowed with: kafka-acls.sh --bootstrap-server k1:9092 --add \
         --allow-principal User:NAME --operation Read --topic orders"
    );
    settings.client.push(("sasl.username".to_owned(), "shop".to_owned()));
    let denied = Access::Transactions("shop.orders.6fb2.0").denied(&settings);
    let (who, what) = ("shop may not open transactions as shop.orders.6fb2.0", "--transactional-id shop.orders. ");
    assert!(denied.message.contains(who) && denied.message.contains(what), "{denied}");
}
