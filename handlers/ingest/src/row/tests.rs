use super::Row;

fn fields(line: &str) -> Result<Vec<String>, &'static str> {
    let mut row = Row::default();
    row.read("left,over,from,before")?;
    row.read(line)?;
    Ok(row.iter().map(str::to_owned).collect())
}

#[test]
fn fields_stand_between_commas() {
    assert_eq!(fields("a,b,,d").expect("a line"), ["a", "b", "", "d"]);
    assert_eq!(fields("").expect("a line"), [""]);
    assert_eq!(fields("a,").expect("a line"), ["a", ""]);
}

#[test]
fn quoted_fields_hold_commas_and_quotes() {
    assert_eq!(fields(r#"1,"TRAY, ROUND",2"#).expect("a line"), ["1", "TRAY, ROUND", "2"]);
    assert_eq!(fields(r#""FRAME 7"" SINGLE """,x"#).expect("a line"), [r#"FRAME 7" SINGLE ""#, "x"]);
    assert_eq!(fields(r#"x,"""#).expect("a line"), ["x", ""]);
    assert_eq!(fields(r#"7" FRAME,x"#).expect("a line"), [r#"7" FRAME"#, "x"], "inside a plain field it is text");
}

#[test]
fn a_stray_quote_spoils_its_line() {
    assert_eq!(fields(r#"1,"open,2"#), Err("a quoted field does not end on its line"));
    assert_eq!(fields(r#"1,"shut"late,2"#), Err("text follows a quoted field"));
}
