use clap::{CommandFactory, Parser};
use ingest::Input;

use super::{Command, Shop};

fn parsed(line: &str) -> Result<Shop, String> {
    Shop::try_parse_from(line.split(' ')).map_err(|error| error.to_string())
}

#[test]
fn the_command_line_contradicts_itself_nowhere() {
    Shop::command().debug_assert();
}

#[test]
fn the_demo_is_what_runs_without_a_command() {
    let shop = parsed("shop --lines 5 --seed 7 --output json").expect("a demo");
    assert!(shop.command.is_none());
    assert_eq!(shop.demo.source.input(), Input::Generated { lines: 5, seed: 7 });
    let shop = parsed("shop demo --input a.csv").expect("a demo");
    assert!(matches!(shop.command, Some(Command::Demo(demo)) if demo.source.input() == Input::File("a.csv".into())));
}

#[test]
fn services_are_separated_by_commas() {
    let shop = parsed("shop run --services orders,sales --until-drained").expect("a run");
    assert!(matches!(shop.command, Some(Command::Run(run)) if run.services == ["orders", "sales"]));
}

#[test]
fn what_does_not_belong_together_is_refused() {
    for line in
        ["shop --input a.csv --lines 5", "shop --lines 5 report", "shop run --input a.csv", "shop --inptu a.csv"]
    {
        parsed(line).expect_err(line);
    }
}
