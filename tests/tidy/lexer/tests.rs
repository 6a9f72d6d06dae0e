use super::{Kind, lex};

#[test]
fn comments_strings_and_code_are_told_apart() {
    let source = lex("/// About it.\nfn a() { \"fn b()\"; } // fn c()\n/* one\n two */ const X: char = '\\'';\n")
        .expect("it is Rust");
    let words: Vec<(&str, usize)> =
        source.tokens.iter().filter(|token| token.is_word()).map(|token| (token.text.as_str(), token.line)).collect();
    assert_eq!(words, [("doc", 1), ("fn", 2), ("a", 2), ("const", 4), ("X", 4), ("char", 4)]);
    let comments: Vec<(usize, &str)> = source.comments.iter().map(|(line, text)| (*line, text.trim())).collect();
    assert_eq!(comments, [(1, "/// About it."), (2, "// fn c()\n/* one\n two */")]);
}

#[test]
fn brackets_know_their_partners_and_paths_their_separators() {
    let source = lex("fn f(a: x::Y) { [a] }").expect("it is Rust");
    for (at, token) in source.tokens.iter().enumerate() {
        if matches!(token.kind, Kind::Open | Kind::Close) {
            assert_eq!(source.tokens[token.partner].partner, at, "{} at {at}", token.text);
        }
    }
    assert_eq!(source.tokens.iter().filter(|token| token.is("::")).count(), 1);
    assert_eq!(source.tokens.iter().filter(|token| token.is(":")).count(), 1);
}

#[test]
fn lines_are_those_of_the_file_after_letters_of_many_bytes() {
    let source = lex("// größer\nconst A: &str = \"→\"; // ü\nfn b() {}\n").expect("it is Rust");
    let function = source.tokens.iter().find(|token| token.is("fn")).expect("there is one");
    assert_eq!(function.line, 3);
    let lines: Vec<usize> = source.comments.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [1, 2]);
}

#[test]
fn modules_are_found_with_and_without_a_body() {
    let source = lex("mod a;\npub mod b { mod c; }\n").expect("it is Rust");
    let modules: Vec<(&str, bool)> = source.modules().map(|(_, name, here)| (name.text.as_str(), here)).collect();
    assert_eq!(modules, [("a", false), ("b", true), ("c", false)]);
}

#[test]
fn what_is_no_rust_names_its_line() {
    assert_eq!(lex("fn a() {}\nfn b( {\n").err(), Some(2));
}
